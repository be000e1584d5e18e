"""How long packets take through one NR cell, and how many fit through it: UDP between UEs and a host, without a WAN.

    benchmarks/nr_reference.py --preset lena --duplex DDDSU --bandwidth 40MHz --sinr 25dB --load upload --json
    benchmarks/nr_reference.py --preset lena --ues 20 --bandwidth 100MHz --load upload --period 500ms --seconds 60
    benchmarks/nr_reference.py --table

Loads: `probes` is 64 B of payload each way and UE about every 20 ms; `upload` and `download` are that and 150 kB (108
datagrams of 1,400 B at once) of each UE every period, at a random offset; `peak-ul` and `peak-dl` keep one direction
full. Latencies are between the IP of UE and host. A second before is not measured; what is under way at the end is
waited for, 10 s at most. `mcs_mean` and `bler` (of first transmissions) are the cell's in the direction loaded, with
`probes` the uplink. What is not given is the preset's. With --table, every row of 5G-LENA's figures; exit status 1 if
one is out of its tolerance.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # to run as a file

from benchmarks.command import Outcome, carry_out, count, quantity
from benchmarks.nr_rig import table
from benchmarks.nr_rig.options import cell_command_line, typed
from benchmarks.nr_rig.point import KEYS, LOADS, Point
from benchmarks.nr_rig.run import measure
from cosim.clock import NS_PER_MS, NS_PER_S
from cosim.scenario.units import PositiveDuration

LEAST_PERIOD_NS = NS_PER_MS


def arguments() -> argparse.ArgumentParser:
    parser = cell_command_line(__doc__, ues=1)
    add = parser.add_argument
    add("--numerology", type=int, choices=(0, 1, 2), help="of 38.211 4.2")
    add("--dl-layers", type=int, choices=(1, 2, 3, 4))
    add("--mcs-table", type=int, choices=(1, 2, 3), help="of both directions: 64QAM, 256QAM, low efficiency")
    add("--k2", type=count(0, 32), help="least slots from DCI to PUSCH (5G-LENA's N2Delay)")
    add("--load", choices=LOADS, default="probes", help="(default probes)")
    add("--period", type=quantity(PositiveDuration), default="500ms", help="of each UE's bursts (default 500ms)")
    add("--table", action="store_true", help="measure every row of 5G-LENA's figures")
    return parser


def point_of(options: argparse.Namespace) -> Point:
    return Point(
        options={name: getattr(options, name) for name in KEYS},
        load=options.load,
        ues=options.ues,
        period_ns=options.period,
        measured_ns=options.seconds * NS_PER_S,
        seed=options.seed,
    )


def run_table(parser: argparse.ArgumentParser) -> Outcome:
    found = table.compare(lambda row: measure(point_of(parser.parse_args(row))), lambda line: print(line, flush=True))
    within = sum(entry["within"] for entry in found)
    print(f"\n{within} of {len(found)} figures are within")
    return Outcome({"rows": found, "within": within, "figures": len(found)}, (), within == len(found))


def run_point(options: argparse.Namespace) -> Outcome:
    found = measure(point_of(options))
    return Outcome(found, told(found))


def told(found: dict[str, Any]) -> list[str]:
    """The figures that the load measures, a line each."""
    lines = []
    for key, value in found.items():
        if isinstance(value, dict):
            parts = (f"{name} {part:g}" if part is not None else f"{name} none" for name, part in value.items())
            lines.append(f"{key}: {', '.join(parts)}")
        elif value is not None:
            lines.append(f"{key}: {value:.4g}")
    return lines


def main() -> int:
    """Measure and print; returns the exit status."""
    parser = arguments()
    options = parser.parse_args(typed())
    if options.period < LEAST_PERIOD_NS:
        parser.error("argument --period: is shorter than a subframe; at least 1ms")
    return carry_out(parser, options, lambda: run_table(parser) if options.table else run_point(options))


if __name__ == "__main__":
    sys.exit(main())
