"""How many runs a sweep carries out in a second, how long the two large ones take, and what they hold in memory.

    benchmarks/sweep_speed.py --json
    benchmarks/sweep_speed.py --rows stub,resume --runs 200
    benchmarks/sweep_speed.py --quick

    stub        --runs points (1,000) of 300 requests, stub engines over `pipe`, two local workers: at most 10 minutes
    resume      `cosim sweep --resume` when all of them are done: at most 3 s
    nr          --nr-runs points (100) of 60 requests, profiled engines over an NR cell, two local workers: at most 15
                minutes
    local_1     points per second of --rate-runs points (100) of `stub` with one local worker, start and tables included
    local_2     the same with two
    ray_2       the same on two Ray nodes of one CPU each; the cluster is there before

A target of fewer points than it names is that share of its time. Memory: the largest process of each kind, MiB, and
how much, while runs were carried out, the peak of the last third of the time exceeds that of the middle third (flat: at
most 5 %). Exit status 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))  # to run as a file

from benchmarks.child import environment
from benchmarks.command import Outcome, carry_out, command_line, count
from benchmarks.errors import ArgumentsError, RigError
from benchmarks.process_memory import DRIVER, MemoryWatch
from benchmarks.workload import PATH, behind_a_link
from cosim.clock import monotonic_s

ROWS = ("stub", "resume", "nr", "local_1", "local_2", "ray_2")
TARGET_S = {"stub": 600.0, "nr": 900.0}
TARGET_POINTS = {"stub": 1_000, "nr": 100}
MOST_RESUME_S = 3.0
MOST_GROWTH = 0.05
WORKER = "cosim.sweep.worker"
SAMPLE_S = 0.5
SAMPLES_SHOWN = 60
QUICK = {"runs": 3, "nr_runs": 0, "rate_runs": 0, "rows": "stub,resume"}


def stub_scenario(points: int, seed: int) -> dict[str, Any]:
    """300 requests to stub engines; `points` delays of the path."""
    tiers = {PATH: {"path": PATH, "engine": {"kind": "stub"}}}
    users = [
        {
            "name": "user",
            "kind": "chat",
            "tier": PATH,
            "count": 10,
            "arrivals": {"kind": "constant", "rate": "1/s"},
            "prompt_tokens": 64,
            "output_tokens": 16,
        }
    ]
    data = behind_a_link("sweep-stub", network="pipe", seed=seed, seconds=30, tiers=tiers, clients=users)
    delays = [f"{0.1 * (index + 1):.1f}ms" for index in range(points)]
    return swept(data, {f"network.paths.{PATH}.delay": delays})


def nr_scenario(points: int, seed: int) -> dict[str, Any]:
    """60 requests with pictures to a profiled engine over a cell: six cameras for 5 s; other delays and SINRs."""
    engine = {
        "kind": "vllm",
        "model": {"kind": "config", "config": "qwen2.5-vl-3b"},
        "executor": {"kind": "profiled", "profile": "gh200-96gb/3g.48gb"},
        "args": {"max_model_len": 8192},
    }
    camera = {"name": "cam", "kind": "frames", "tier": PATH, "count": 6, "period": "500ms", "prompt_tokens": 24}
    camera |= {"image": {"width": 448, "height": 336, "quality": 80}, "output_tokens": 16, "timeout": "10s"}
    tiers = {PATH: {"path": PATH, "engine": engine}}
    data = behind_a_link("sweep-nr", network="ns3", seed=seed, seconds=5, tiers=tiers, clients=[camera])
    data["network"]["access"] = {"kind": "nr", "ues": {"cam": {"sinr": "20dB"}}}
    delays = [f"{index + 1}ms" for index in range(points)]
    sinrs = [f"{5 + index % 20}dB" for index in range(points)]
    return swept(data, {f"network.paths.{PATH}.delay": delays, "network.access.ues.cam.sinr": sinrs})


def swept(data: dict[str, Any], parameters: dict[str, list[str]]) -> dict[str, Any]:
    """One run of each point."""
    return {**data, "sweep": {"kind": "zip", "repeats": 1, "parameters": parameters}}


class Rig:
    """A folder of scenarios and of what was swept."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def sweep(
        self, name: str, data: dict[str, Any], *words: str, variables: dict[str, str] | None = None
    ) -> tuple[float, MemoryWatch]:
        """Seconds that `cosim sweep` took, and its memory. Raises RigError unless every run was done."""
        file, log = self._folder / f"{name}.yaml", self._folder / f"{name}.log"
        file.write_text(yaml.safe_dump(data))
        command = [sys.executable, "-m", "cosim", "sweep", str(file), "-o", str(self._folder / name), "--ui", "none"]
        started_s = monotonic_s()
        with (
            log.open("wb") as output,
            subprocess.Popen(
                [*command, *words], stdout=output, stderr=output, env=environment() | (variables or {})
            ) as process,
        ):
            watch = MemoryWatch(process, SAMPLE_S)
            status = watch.wait()
        seconds = monotonic_s() - started_s
        if status != 0:
            raise RigError(f"cosim sweep of {name} ended with status {status}:\n{log.read_text()[-4000:]}")
        return seconds, watch

    @contextlib.contextmanager
    def two_raylets(self) -> Iterator[tuple[list[str], dict[str, str]]]:
        """Words and variables of a sweep on two Ray nodes, for the time of the block."""
        from tests.raylets import two_raylets

        # A path of a socket has 107 bytes at most, and Ray takes most of them.
        with tempfile.TemporaryDirectory(dir="/tmp") as name, two_raylets(Path(name)) as cluster:
            yield ["--executor", "ray", "--ray-address", cluster.address], cluster.environment


def large(rig: Rig, name: str, data: dict[str, Any], points: int) -> dict[str, Any]:
    """A target: its time, and its memory over time."""
    seconds, watch = rig.sweep(name, data, "-j", "2")
    most_s = TARGET_S[name] * points / TARGET_POINTS[name]
    growth = {role: watch.growth(role, beside=WORKER) for role in (DRIVER, WORKER)}
    flat = all(grown is None or grown <= MOST_GROWTH for grown in growth.values())
    shown = watch.samples[:: max(1, len(watch.samples) // SAMPLES_SHOWN)]
    return {
        "points": points,
        "s": seconds,
        "points_per_s": points / seconds,
        "target_s": most_s,
        "peak_mib": watch.peaks(),
        "growth": growth,
        "flat": flat,
        "mib_over_time": [{"s": at_s, **sizes} for at_s, sizes in shown],
        "met": seconds <= most_s and flat,
    }


def arguments() -> argparse.ArgumentParser:
    parser = command_line(__doc__)
    add = parser.add_argument
    add("--runs", type=count(1, 10_000), default=1_000, help="points of `stub` (default 1000)")
    add("--nr-runs", type=count(1, 10_000), default=100, help="points of `nr` (default 100)")
    add("--rate-runs", type=count(1, 10_000), default=100, help="points of local_1, local_2, ray_2 (default 100)")
    add("--rows", default=",".join(ROWS), help="only these, with commas between")
    add("--quick", action="store_true", help="a few points of some rows, against no target")
    return parser


def run(options: argparse.Namespace) -> Outcome:
    if options.quick:
        vars(options).update(QUICK)
    rows = options.rows.split(",")
    for row in rows:
        if row not in ROWS:
            raise ArgumentsError(f"--rows: {row!r} is none of {', '.join(ROWS)}")
    if "resume" in rows and "stub" not in rows:
        raise ArgumentsError("--rows: resume goes on with the sweep of stub; give both")
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        rig = Rig(Path(name))
        if "stub" in rows:
            data = stub_scenario(options.runs, options.seed)
            result["stub"] = large(rig, "stub", data, options.runs)
            if "resume" in rows:
                seconds, _ = rig.sweep("stub", data, "--resume")
                result["resume"] = {"s": seconds, "target_s": MOST_RESUME_S, "met": seconds <= MOST_RESUME_S}
        if "nr" in rows:
            result["nr"] = large(rig, "nr", nr_scenario(options.nr_runs, options.seed), options.nr_runs)
        few = stub_scenario(options.rate_runs, options.seed)
        for row in rows:
            if row.startswith("local_"):
                seconds, _ = rig.sweep(row, few, "-j", row.removeprefix("local_"))
            elif row == "ray_2":
                with rig.two_raylets() as (words, variables):
                    seconds, _ = rig.sweep(row, few, *words, variables=variables)
            else:
                continue
            result[row] = {"points": options.rate_runs, "s": seconds, "points_per_s": options.rate_runs / seconds}
    if options.quick:
        for figures in result.values():
            figures.pop("met", None)
    met = all(figures.get("met", True) for figures in result.values())
    return Outcome({**result, "met": met}, [told(name, figures) for name, figures in result.items()], met)


def told(name: str, figures: dict[str, Any]) -> str:
    """A line for a reader."""
    text = f"{name} {figures['s']:.1f} s"
    if "points_per_s" in figures:
        text += f", {figures['points']} points, {figures['points_per_s']:.2f} points per s"
    if "peak_mib" in figures:
        peaks = ", ".join(f"{role} {mib:.0f}" for role, mib in sorted(figures["peak_mib"].items()))
        text += f", peak MiB: {peaks}, {'flat' if figures['flat'] else 'GROWING'}"
    if "met" in figures:
        text += f"; at most {figures['target_s']:g} s: {'met' if figures['met'] else 'MISSED'}"
    return text


def main() -> int:
    """Measure and print; returns the exit status."""
    parser = arguments()
    options = parser.parse_args()
    return carry_out(parser, options, lambda: run(options))


if __name__ == "__main__":
    sys.exit(main())
