"""How many seconds of an NR cell the ns-3 process simulates in a second of its CPU time.

    benchmarks/nr_speed.py --json
    benchmarks/nr_speed.py --preset default --sinr 18dB --repetitions 5

    udp     20 UEs upload 150 kB each every 0.5 s over UDP: 108 datagrams at once, at random offsets
    tcp     the same over TCP, each UE on one connection
    idle    20 UEs are attached and silent; KPIs are asked for each second
    mac     20 UEs without packets: their MACs have a full buffer each way (the cell alone, ns-3 has no part in it)
    start   CPU seconds until the network stands, with a cell less with links

Each figure is measured in a process of its own after a simulated second of warm-up; the rows take turns. Printed are
the median over the repetitions and the least and greatest. Without other options the cell is that of 5G-LENA's own
figures (40 MHz, DSUUD, TDMA-PF), of which it simulates 0.99 s of the row `udp` in a CPU second. Exit status 1 if a
target is missed.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))  # to run as a file

from benchmarks.command import Outcome, carry_out, count
from benchmarks.errors import ArgumentsError
from benchmarks.nr_rig import speed
from benchmarks.nr_rig.options import cell_command_line, typed
from benchmarks.nr_rig.point import KEYS, Point
from cosim.clock import NS_PER_S

LEAST_SIM_S_PER_CPU_S = {"udp": 8.0, "tcp": 5.0, "idle": 1_000.0, "mac": 100.0}
MOST_START_ADDED_CPU_S = 0.5
IDLE_S = 10_000
UES = 20
LENA_DUPLEX = "DSUUD"
LENA_BANDWIDTH = "40MHz"


def arguments() -> argparse.ArgumentParser:
    parser = cell_command_line(
        __doc__, ues=UES, lena=f"with lena {LENA_DUPLEX} and {LENA_BANDWIDTH}, else the preset's"
    )
    add = parser.add_argument
    add("--repetitions", type=count(1, 100), default=3, help="of each row (default 3)")
    add("--rows", help="only these, with commas between: udp,tcp,idle,mac,start")
    return parser


def point_of(options: argparse.Namespace) -> Point:
    lena = options.preset == "lena"
    given = {
        "preset": options.preset,
        "duplex": options.duplex or (LENA_DUPLEX if lena else None),
        "bandwidth": options.bandwidth or (LENA_BANDWIDTH if lena else None),
        "scheduler": options.scheduler,
        "sinr": options.sinr,
    }
    return Point(options={key: given.get(key) for key in KEYS}, load="upload", ues=options.ues, seed=options.seed)


def rows_of(options: argparse.Namespace) -> list[str]:
    """Raises ArgumentsError on a name that is none."""
    known = [*LEAST_SIM_S_PER_CPU_S, "start"]
    rows = options.rows.split(",") if options.rows else known
    for row in rows:
        if row not in known:
            raise ArgumentsError(f"--rows: {row!r} is none of {', '.join(known)}")
    return rows


def measured(loads: dict[str, speed.SpeedLoad], rows: list[str], repetitions: int) -> dict[str, list[speed.CpuTime]]:
    """The CPU times of each load, taken in turns."""
    names = [name for name in loads if name.removesuffix("_link") in rows]
    found: dict[str, list[speed.CpuTime]] = {name: [] for name in names}
    for _ in range(repetitions):
        for name in names:
            found[name].append(speed.measure(loads[name]))
    return found


def spread(values: list[float], *, least: float | None = None, most: float | None = None) -> dict[str, Any]:
    median = statistics.median(values)
    met = median >= least if least is not None else most is not None and median <= most
    target = {"least": least} if least is not None else {"most": most}
    return {"median": median, "low": min(values), "high": max(values), **target, "met": met}


def figures(found: dict[str, list[speed.CpuTime]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for name, least in LEAST_SIM_S_PER_CPU_S.items():
        if name in found:
            rates = [time.simulated_ns / max(time.cpu_ns, 1) for time in found[name]]
            result[f"{name}_sim_s_per_cpu_s"] = spread(rates, least=least)
            if found[name][0].issued:
                last = found[name][-1]
                result[f"{name}_sim_s_per_cpu_s"] |= {"issued": last.issued, "arrived": last.arrived}
    if "start" in found:
        pairs = zip(found["start"], found["start_link"], strict=True)
        added = [(cell.cpu_ns - link.cpu_ns) / NS_PER_S for cell, link in pairs]
        result["start_added_cpu_s"] = spread(added, most=MOST_START_ADDED_CPU_S)
    return result


def told(result: dict[str, Any]) -> list[str]:
    """A line for each figure."""
    lines = []
    for name, figure in result.items():
        bound = f"at least {figure['least']:g}" if "least" in figure else f"at most {figure['most']:g}"
        messages = f", {figure['arrived']} of {figure['issued']} messages arrived" if "issued" in figure else ""
        verdict = "met" if figure["met"] else "MISSED"
        lines.append(
            f"{name} {figure['median']:.4g} ({figure['low']:.4g} to {figure['high']:.4g}); {bound}: {verdict}{messages}"
        )
    return lines


def run(options: argparse.Namespace) -> Outcome:
    measured_ns: dict[speed.Kind, int] = dict.fromkeys(("udp", "tcp", "mac"), options.seconds * NS_PER_S)
    measured_ns["idle"] = IDLE_S * NS_PER_S
    loads = speed.loads(point_of(options), measured_ns)
    result = figures(measured(loads, rows_of(options), options.repetitions))
    return Outcome(result, told(result), all(figure["met"] for figure in result.values()))


def main() -> int:
    """Measure and print; returns the exit status."""
    parser = arguments()
    options = parser.parse_args(typed())
    return carry_out(parser, options, lambda: run(options))


if __name__ == "__main__":
    sys.exit(main())
