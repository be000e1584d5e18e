"""How fast profiled engines run: virtual seconds per wall second over `pipe`, and how soon an engine is ready.

Qwen2.5-VL-3B on an H100 by roofline, frames of 640 x 480 each 0.5 s, 16 output tokens; no forward pass is executed.

    one_client, twenty_clients    virtual seconds / wall seconds after start-up of `cosim run`, clients on one engine
    first_engine_s                wall seconds from the start of an engine host's process until its engine is ready
    second_engine_s               how much later two engines of one host are ready than one

`cold`: the first run, which makes its frames and prompts; `warm`: later runs find them in the cache (a folder of its
own, so that the user's is left alone). Targets, of warm runs: one client 20, twenty clients 2, an engine within 15 s,
a second one within 2 s. vLLM inspects the class of a model once for each user, beforehand and not measured.
"""

from __future__ import annotations

import argparse
import os
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

LEAST_RATIO = {"one_client": 20.0, "twenty_clients": 2.0}
CLIENTS = {"one_client": 1, "twenty_clients": 20}
MOST_START_S = {"first_engine_s": 15.0, "second_engine_s": 2.0}


def scenario(seconds: int, seed: int, *, clients: int, engines: int = 1) -> dict[str, Any]:
    """The workload; engines beyond the first are asked once, so that they are started."""
    engine = {
        "kind": "vllm",
        "model": {"kind": "config", "config": "qwen2.5-vl-3b"},
        "executor": {"kind": "profiled", "profile": "h100-sxm-80gb"},
        "args": {"max_model_len": 8192},
    }
    camera = {"kind": "frames", "period": "500ms", "output_tokens": 16, "prompt_tokens": 24, "timeout": "60s"}
    camera["image"] = {"width": 640, "height": 480, "quality": 80}
    tiers = {f"edge{index}": {"path": PATH, "engine": engine} for index in range(engines)}
    cameras = [{**camera, "name": f"{tier}-of-{clients}", "tier": tier, "count": clients} for tier in tiers]
    return behind_a_link("profiled-speed", network="pipe", seed=seed, seconds=seconds, tiers=tiers, clients=cameras)


def measured(folder: Path, data: dict[str, Any]) -> dict[str, float]:
    """One run: its ratio, the wall seconds of its parts, and how long its engines took to be ready."""
    file = folder / "scenario.yaml"
    file.write_text(yaml.safe_dump(data))
    cosim("run", file, "-o", folder / "run", "--force", "--ui", "none")
    found = wall_seconds(folder / "run")
    return found | {"ratio": found["virtual_s"] / found["wall_s"]}


def arguments() -> argparse.ArgumentParser:
    parser = command_line(__doc__)
    parser.add_argument("--seconds", type=count(1, 3600), default=30, help="virtual, of the workload (default 30)")
    parser.add_argument("--repetitions", type=count(1, 100), default=3, help="warm runs of each kind (default 3)")
    return parser


def run(options: argparse.Namespace) -> Outcome:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # What vLLM knows of model classes stays where the user has it.
        usual = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        os.environ.setdefault("VLLM_CACHE_ROOT", str(usual / "vllm"))
        os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
        # Of another seed: nothing that it keeps is of use later, but for what vLLM keeps of the model's class.
        measured(folder, scenario(1, options.seed + 1, clients=1))
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in CLIENTS}
        starts: dict[int, list[float]] = {1: [], 2: []}
        for _ in range(1 + options.repetitions):
            for name, clients in CLIENTS.items():
                runs[name].append(measured(folder, scenario(options.seconds, options.seed, clients=clients)))
            for engines, found in starts.items():
                data = scenario(1, options.seed, clients=1, engines=engines)
                found.append(measured(folder, data)["ready_s"])
    return outcome(runs, starts)


def outcome(runs: dict[str, list[dict[str, float]]], starts: dict[int, list[float]]) -> Outcome:
    """Medians of the warm runs, and whether they meet the targets."""
    result: dict[str, Any] = {}
    for name, found in runs.items():
        warm = statistics.median(run["ratio"] for run in found[1:])
        result[name] = {"cold": found[0]["ratio"], "warm": warm, "target": LEAST_RATIO[name]}
        result[name]["met"] = warm >= LEAST_RATIO[name]
    first_s = statistics.median(starts[1])
    second_s = statistics.median(two - one for one, two in zip(starts[1], starts[2], strict=True))
    for name, seconds in (("first_engine_s", first_s), ("second_engine_s", second_s)):
        result[name] = {"s": seconds, "target": MOST_START_S[name], "met": seconds <= MOST_START_S[name]}
    lines = [told(name, figures) for name, figures in result.items()]
    met = all(figures["met"] for figures in result.values())
    return Outcome({**result, "met": met, "runs": runs, "ready_s": starts}, lines, met)


def told(name: str, figures: dict[str, Any]) -> str:
    """A line for a reader."""
    verdict = "met" if figures["met"] else "MISSED"
    if "s" in figures:
        return f"{name} {figures['s']:.2f}, target at most {figures['target']:g}: {verdict}"
    values = f"cold {figures['cold']:.1f}, warm {figures['warm']:.1f} virtual s per wall s"
    return f"{name} {values}, target at least {figures['target']:g}: {verdict}"


def main() -> int:
    """Measure and print; returns the exit status."""
    parser = arguments()
    options = parser.parse_args()
    return carry_out(parser, options, lambda: run(options))


if __name__ == "__main__":
    sys.exit(main())
