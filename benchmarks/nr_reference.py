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
import contextlib
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # to run as a file

from benchmarks.nr_rig import table
from benchmarks.nr_rig.point import KEYS, LOADS, ImpossibleCell, Point
from benchmarks.nr_rig.run import RigError, measure
from benchmarks.tcp_path import count, quantity
from cosim.clock import NS_PER_MS, NS_PER_S
from cosim.scenario.units import PositiveDuration

MOST_UES = 200
LEAST_PERIOD_NS = NS_PER_MS
LONGEST_S = 3600


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    add = parser.add_argument
    add("--preset", choices=("default", "lena", "oai"), default="lena", help="of the cell (default lena)")
    add("--duplex", help="FDD, or a pattern such as DDDSU, DSUUD, 7DS2U")
    add("--bandwidth", help='such as "40MHz"')
    add("--numerology", type=int, choices=(0, 1, 2), help="of 38.211 4.2")
    add("--sinr", default="25dB", help="of every UE, both ways, over the whole carrier, for one layer (default 25dB)")
    add("--dl-layers", type=int, choices=(1, 2, 3, 4))
    add("--mcs-table", type=int, choices=(1, 2, 3), help="of both directions: 64QAM, 256QAM, low efficiency")
    add("--scheduler", choices=("tdma-pf", "tdma-rr", "ofdma-pf", "ofdma-rr"))
    add("--k2", type=count(0, 32), help="least slots from DCI to PUSCH (5G-LENA's N2Delay)")
    add("--ues", type=count(1, MOST_UES), default=1, help="how many (default 1)")
    add("--load", choices=LOADS, default="probes", help="(default probes)")
    add("--period", type=quantity(PositiveDuration), default="500ms", help="of each UE's bursts (default 500ms)")
    add("--seconds", type=count(1, LONGEST_S), default=10, help="simulated and measured (default 10)")
    add("--seed", type=count(0, 2**63 - 1), default=1, help="of all random streams (default 1)")
    add("--table", action="store_true", help="measure every row of 5G-LENA's figures")
    add("--json", action="store_true", help="one JSON object on the last line")
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


def run_table(parser: argparse.ArgumentParser) -> tuple[dict[str, Any], bool]:
    found = table.compare(lambda row: measure(point_of(parser.parse_args(row))), lambda line: print(line, flush=True))
    within = sum(entry["within"] for entry in found)
    print(f"\n{within} of {len(found)} figures are within")
    return {"rows": found, "within": within, "figures": len(found)}, within == len(found)


def typed() -> list[str]:
    """The command line; a negative SINR is a value and no option."""
    words: list[str] = []
    for word in sys.argv[1:]:
        if words and words[-1] == "--sinr":
            words[-1] = f"--sinr={word}"
        else:
            words.append(word)
    return words


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
    fine = True
    try:
        if options.table:
            result, fine = run_table(parser)
        else:
            result = measure(point_of(options))
            if not options.json:
                print("\n".join(told(result)))
        if options.json:
            print(json.dumps(result))
        sys.stdout.flush()
    except ImpossibleCell as error:
        parser.error(str(error))
    except (RigError, OSError) as error:
        print(f"nr_reference: {error}", file=sys.stderr)
        with contextlib.suppress(OSError):
            sys.stdout.close()
        return 3
    except KeyboardInterrupt:
        return 130
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
