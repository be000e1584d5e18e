"""Options of commands that measure a cell."""

from __future__ import annotations

import argparse
import sys

from benchmarks.command import command_line, count

MOST_UES = 200


def cell_command_line(description: str | None, *, ues: int, lena: str = "the preset's") -> argparse.ArgumentParser:
    """A parser with the cell's options; `ues`: how many by default, `lena`: duplex and bandwidth by default."""
    parser = command_line(description)
    add = parser.add_argument
    add("--preset", choices=("default", "lena", "oai"), default="lena", help="of the cell (default lena)")
    add("--duplex", help=f"FDD, or a pattern such as DDDSU, DSUUD, 7DS2U (default: {lena})")
    add("--bandwidth", help=f'such as "100MHz" (default: {lena})')
    add("--scheduler", choices=("tdma-pf", "tdma-rr", "ofdma-pf", "ofdma-rr"), help="(default: the preset's)")
    add("--sinr", default="25dB", help="of every UE, both ways, over the whole carrier, for one layer (default 25dB)")
    add("--ues", type=count(1, MOST_UES), default=ues, help=f"how many (default {ues})")
    add("--seconds", type=count(1, 3600), default=10, help="simulated and measured (default 10)")
    return parser


def typed() -> list[str]:
    """The command line; a negative SINR is a value and no option."""
    words: list[str] = []
    for word in sys.argv[1:]:
        if words and words[-1] == "--sinr":
            words[-1] = f"--sinr={word}"
        else:
            words.append(word)
    return words
