"""How much of a run's wall time is not vLLM or ns-3, and how fast the same workload replays.

One engine (qwen2_5_vl, hidden size 512, 8 layers) over ns-3, frames of about 150 kB each 0.5 s, 8 output tokens.

    overhead_ratio = 1 - (vLLM's steps and front ends + ns-3's Run) / wall time after start-up
    replay_virtual_s_per_wall_s = virtual seconds / wall seconds after start-up of `cosim replay` over ns-3
    ns3_share = ns-3's Run / wall time after start-up of the replay

Run and replay alternate; each figure is the median over the repetitions.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))  # to run as a file

from benchmarks.child import cosim
from benchmarks.command import Outcome, carry_out, command_line, count
from benchmarks.workload import PATH, behind_a_link, wall_seconds
from cosim.clock import NS_PER_S
from cosim.results.records import FrontendRecord, StepRecord
from cosim.results.store import read_manifest, read_steps


def scenario(seconds: int, seed: int) -> dict[str, Any]:
    """The workload."""
    model = {"kind": "synthetic", "architecture": "qwen2_5_vl", "hidden_size": 512, "layers": 8}
    camera: dict[str, Any] = {"name": "cam", "kind": "frames", "tier": "edge", "period": "500ms", "output_tokens": 8}
    camera |= {"image": {"width": 640, "height": 480, "quality": 80, "detail": 0.52}}
    tiers = {"edge": {"path": PATH, "engine": {"kind": "vllm", "model": model}}}
    return behind_a_link("overhead", network="ns3", seed=seed, seconds=seconds, tiers=tiers, clients=[camera])


def figures(directory: Path) -> dict[str, float]:
    """Wall seconds of a run by part, from its files."""
    vllm_ns = 0
    for line in read_steps(directory):
        if isinstance(line, (StepRecord, FrontendRecord)) and line.wall_end_ns is not None:
            assert line.wall_start_ns is not None
            vllm_ns += line.wall_end_ns - line.wall_start_ns
    ns3_ns = read_manifest(directory)["ns3_run_wall_ns"]
    return wall_seconds(directory) | {"vllm_s": vllm_ns / NS_PER_S, "ns3_s": ns3_ns / NS_PER_S}


def arguments() -> argparse.ArgumentParser:
    parser = command_line(__doc__)
    parser.add_argument("--seconds", type=count(1, 3600), default=60, help="virtual, of the workload (default 60)")
    parser.add_argument("--repetitions", type=count(1, 100), default=3, help="run, replay, run, replay (default 3)")
    return parser


def run(options: argparse.Namespace) -> Outcome:
    runs, replays = [], []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "overhead.yaml"
        file.write_text(yaml.safe_dump(scenario(options.seconds, options.seed)))
        for _ in range(options.repetitions):
            cosim("run", file, "-o", f"{folder}/run", "--force")
            runs.append(figures(Path(folder) / "run"))
            cosim("replay", f"{folder}/run", "-o", f"{folder}/replay", "--force")
            replays.append(figures(Path(folder) / "replay"))
    medians = {
        "overhead_ratio": statistics.median(1 - (run["vllm_s"] + run["ns3_s"]) / run["wall_s"] for run in runs),
        "replay_virtual_s_per_wall_s": statistics.median(run["virtual_s"] / run["wall_s"] for run in replays),
        "ns3_share": statistics.median(run["ns3_s"] / run["wall_s"] for run in replays),
    }
    lines = [f"{name} {median:.3f}" for name, median in medians.items()]
    return Outcome({**medians, "runs": runs, "replays": replays}, lines)


def main() -> int:
    """Measure and print; returns the exit status."""
    parser = arguments()
    options = parser.parse_args()
    return carry_out(parser, options, lambda: run(options))


if __name__ == "__main__":
    sys.exit(main())
