"""How far a run that is charged from a recorded profile lies from the run that is executed.

Three models with random weights on this machine's CPU, each under three loads: one client, several, and more than the
engine serves. Per model: every load is executed, the engine's profile is recorded with `cosim profile`, every load is
executed again and then run with the profile; same scenario, network (`pipe`) and seed. Profiles are recorded between
executed runs so that a drift of the machine reaches both; with more `--cycles` it goes on so. Prompts and pictures have
sizes that no profile samples.

    difference = mean of the profiled runs' medians / mean of the executed runs' medians - 1
    executed_difference = mean of |difference| of one executed run's median from that of the next / their mean
    met: |difference| <= max(3 %, executed_difference); 5 % for ttft

`steps` says the same of single steps: the profile's median for each executed step's batch / what it took there;
`held_out` is the share of executed steps whose batch the profile did not sample.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).parents[1]))  # to run as a file

from benchmarks.child import cosim
from benchmarks.command import Outcome, carry_out, command_line, count
from benchmarks.workload import PATH, behind_a_link
from cosim.engine_plan import engine_plans, engine_spec
from cosim.profile.load import load_profile
from cosim.profile.recorded import RecordedProfile, family_of
from cosim.profile.recorded_file import read_recorded
from cosim.results.records import StepRecord
from cosim.results.store import SUMMARY, read_steps
from cosim.scenario.load import load

LIMITS = {"ttft": 0.05, "tpot": 0.03, "e2el": 0.03}
TIER = "edge"
LOADS = ("one", "several", "saturated")
ARGS = {"max_num_seqs": 8, "max_num_batched_tokens": 2048, "max_model_len": 1024}
# Of a text model: two lengths of prompts; of a vision model: a picture of 330 tokens. No profile has either.
PROMPT_TOKENS = (53, 217)
PICTURE = {"width": 616, "height": 420}


def model(name: str) -> dict[str, Any]:
    """A model by `architecture-hidden size x layers`."""
    architecture, _, size = name.rpartition("-")
    hidden_size, layers = map(int, size.split("x"))
    return {"kind": "synthetic", "architecture": architecture, "hidden_size": hidden_size, "layers": layers}


MODELS = ("qwen2_5_vl-256x4", "qwen3-384x4", "qwen3-512x6")
QUICK_MODELS = ("qwen3-128x2",)


def clients(vision: bool, load_name: str) -> list[dict[str, Any]]:
    """Who asks: of one client, of several that leave the engine idle now and then, of more than it has seats for."""
    if vision:
        camera = {"name": "cam", "kind": "frames", "tier": TIER, "image": PICTURE, "on_overrun": "skip"}
        rates = {"one": (1, "600ms"), "several": (3, "700ms"), "saturated": (12, "100ms")}
        number, period = rates[load_name]
        return [{**camera, "count": number, "period": period, "prompt_tokens": 31, "output_tokens": 16}]
    users = {"one": (1, "200ms"), "several": (2, "300ms"), "saturated": (6, "10ms")}
    number, think_time = users[load_name]
    return [
        {
            "name": f"user{tokens}",
            "kind": "chat",
            "tier": TIER,
            "count": number,
            "prompt_tokens": tokens,
            "output_tokens": 24,
            "arrivals": {"kind": "closed", "think_time": think_time},
        }
        for tokens in PROMPT_TOKENS[: 1 if load_name == "one" else None]
    ]


def scenario(name: str, load_name: str, *, seconds: int, seed: int) -> dict[str, Any]:
    """A model under a load."""
    shape = model(name)
    tiers = {TIER: {"path": PATH, "engine": {"kind": "vllm", "model": shape, "args": ARGS}}}
    users = clients("vl" in shape["architecture"], load_name)
    run = behind_a_link(f"{name}-{load_name}", network="pipe", seed=seed, seconds=seconds, tiers=tiers, clients=users)
    return {**run, "warmup": "1s"}


def run(file: Path, directory: Path, *settings: str) -> dict[str, Any]:
    """Summary of a run; a busy machine makes it INVALID (4), which the executed difference shows in figures."""
    words = [word for setting in settings for word in ("--set", setting)]
    cosim("run", file, "-o", directory, "--ui", "none", *words, statuses=(0, 4))
    return summary_of(directory)


def summary_of(directory: Path) -> dict[str, Any]:
    """A finished run's summary.json."""
    summary: dict[str, Any] = json.loads((directory / SUMMARY).read_text())
    return summary


def medians(summary: dict[str, Any]) -> dict[str, float]:
    """The median of each metric, ms."""
    return {metric: summary["tiers"][TIER][f"median_{metric}_ms"] for metric in LIMITS}


def compared(executed: list[dict[str, float]], profiled: list[dict[str, float]]) -> dict[str, Any]:
    """Each metric: what was executed, what was charged, how they differ, what is allowed."""
    rows = {}
    for metric, limit in LIMITS.items():
        values, charged = ([one[metric] for one in runs] for runs in (executed, profiled))
        mean = statistics.fmean(values)
        difference = statistics.fmean(charged) / mean - 1
        noise = statistics.fmean(abs(other - one) for one, other in pairwise(values)) / mean
        rows[metric] = {
            "executed_ms": values,
            "profiled_ms": charged,
            "difference": difference,
            "executed_difference": noise,
            "allowed": max(limit, noise),
            "met": abs(difference) <= max(limit, noise),
        }
    return rows


def executed_steps(directory: Path) -> Iterator[StepRecord]:
    """The steps of a run that had a batch."""
    for line in read_steps(directory):
        if isinstance(line, StepRecord) and line.scheduled:
            yield line


def step_errors(profile: RecordedProfile, directories: list[Path]) -> dict[str, Any]:
    """By family of batches: steps, total predicted / total executed, quartiles of the ratio of single steps."""
    ratios: dict[str, list[float]] = {}
    totals: dict[str, list[int]] = {}
    for directory in directories:
        for step in executed_steps(directory):
            family = family_of(step.signature)
            predicted_ns = profile.step(step.signature, 0.5).duration_ns
            ratios.setdefault(family, []).append(predicted_ns / step.duration_ns)
            total = totals.setdefault(family, [0, 0])
            total[0] += predicted_ns
            total[1] += step.duration_ns
    return {
        family: {
            "steps": len(found),
            "of_total": totals[family][0] / totals[family][1],
            "quartiles": statistics.quantiles(found, n=4) if len(found) > 1 else found,
        }
        for family, found in ratios.items()
    }


def held_out(profile_file: Path, directories: list[Path]) -> float:
    """Share of executed steps with a batch of other tokens, sequences or images than any that was sampled."""
    sampled = {_batch(line.signature) for line in read_recorded(profile_file).steps}
    batches = [_batch(step.signature) for directory in directories for step in executed_steps(directory)]
    with_prefill = [batch for batch in batches if batch[0]]
    return sum(batch not in sampled for batch in with_prefill) / len(with_prefill)


def _batch(signature: Any) -> tuple[int, ...]:
    return signature.prefill_tokens, signature.decode_sequences, signature.prefill_sequences, signature.images


def measure(name: str, folder: Path, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The cells of one model."""
    files = {}
    for load_name in LOADS:
        files[load_name] = folder / f"{name}-{load_name}.yaml"
        content = scenario(name, load_name, seconds=options.seconds, seed=options.seed)
        files[load_name].write_text(yaml.safe_dump(content))
    executed: dict[str, list[Path]] = {load_name: [] for load_name in LOADS}

    def execute() -> None:
        for load_name, file in files.items():
            directory = folder / f"{name}-{load_name}-{len(executed[load_name])}"
            run(file, directory)
            executed[load_name].append(directory)

    execute()
    profile_files = [folder / f"{name}-{cycle}.jsonl" for cycle in range(options.cycles)]
    for profile_file in profile_files:
        words = ("--tier", TIER, "--repetitions", str(options.repetitions), "--seed", str(options.seed))
        cosim("profile", files["one"], *words, "-o", profile_file)
        execute()
    for load_name, file in files.items():
        plan = engine_plans(load(file).scenario)[0]
        summaries = []
        for profile_file in profile_files:
            charged = f"tiers.{TIER}.engine.executor={{kind: profiled, profile: {profile_file}}}"
            summaries.append(run(file, folder / f"{name}-{load_name}-{profile_file.stem}-profiled", charged))
        profile = load_profile(str(profile_files[0]), engine_spec(plan, tls=True), quantization=None)
        assert isinstance(profile, RecordedProfile)
        directories = executed[load_name]
        yield {
            "model": name,
            "load": load_name,
            "requests": summaries[0]["requests"]["ok"],
            "metrics": compared([medians(summary_of(one)) for one in directories], list(map(medians, summaries))),
            "step_coverage": summaries[0]["step_coverage"],
            "held_out": held_out(profile_files[0], directories),
            "steps": step_errors(profile, directories[:2]),
        }


def table(cells: list[dict[str, Any]]) -> Iterator[str]:
    """Lines for a reader."""
    yield f"{'model':<17} {'load':<10} {'metric':<6} {'executed':>20} {'profiled':>13} {'diff':>6} {'noise':>6}"
    for cell in cells:
        for metric, row in cell["metrics"].items():
            executed, profiled = (
                " ".join(f"{value:.4g}" for value in row[key]) for key in ("executed_ms", "profiled_ms")
            )
            yield (
                f"{cell['model']:<17} {cell['load']:<10} {metric:<6} {executed:>20} {profiled:>13} "
                f"{row['difference']:>+6.1%} {row['executed_difference']:>6.1%} {'met' if row['met'] else 'NOT MET'}"
            )
        shares = ", ".join(f"{name} {share:.1%}" for name, share in cell["step_coverage"].items() if share)
        steps = ", ".join(
            f"{family} {found['of_total'] - 1:+.1%} of {found['steps']}" for family, found in cell["steps"].items()
        )
        yield f"{'':<17} {shares}; prefills not sampled {cell['held_out']:.0%}; predicted / executed: {steps}"


def arguments() -> argparse.ArgumentParser:
    parser = command_line(__doc__)
    parser.add_argument("--seconds", type=count(2, 3600), default=20, help="virtual, of each run (default 20)")
    parser.add_argument("--repetitions", type=count(5, 1000), default=10, help="of each profile (default 10)")
    parser.add_argument("--cycles", type=count(1, 100), default=1, help="profiles between executed runs (default 1)")
    parser.add_argument("--model", action="append", help=f"instead of {', '.join(MODELS)}; again for several")
    parser.add_argument("--quick", action="store_true", help="a small model, 3 s, 5 repetitions: a smoke test")
    parser.add_argument("--keep", type=Path, help="an empty directory to leave runs and profiles in")
    return parser


def compare(options: argparse.Namespace) -> Outcome:
    if options.quick:
        options.seconds, options.repetitions = 3, 5
    models = options.model or (QUICK_MODELS if options.quick else MODELS)
    cells = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for name in models:
            for cell in measure(name, folder, options):
                cells.append(cell)
                print(f"{cell['model']} {cell['load']}", file=sys.stderr, flush=True)
    met = all(row["met"] for cell in cells for row in cell["metrics"].values())
    lines = [*table(cells), "met" if met else "not met"]
    return Outcome({"cells": cells, "met": met}, lines, met)


def main() -> int:
    """Measure and print; returns the exit status."""
    parser = arguments()
    options = parser.parse_args()
    return carry_out(parser, options, lambda: compare(options))


if __name__ == "__main__":
    sys.exit(main())
