"""`cosim profile`: from its arguments to a file."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from cosim.profile.records import FEWEST_SAMPLES
from cosim.profiling.record import record
from cosim.profiling.target import COMMAND, Target, model_target, tier_target
from cosim.scenario.errors import Problem, ScenarioError

MOST_REPETITIONS = 1_000


def profile(
    scenario: Path | None,
    *,
    tier: str | None,
    model: str | None,
    synthetic: str | None,
    hardware: str,
    quantization: str | None,
    args: Sequence[str],
    repetitions: int,
    seed: int,
    output: Path,
    say: Callable[[str], None],
) -> None:
    """Check the arguments, then record. Raises ScenarioError for what cannot be, and what `record` raises."""
    problems = [*_option_problems(scenario, tier, model, synthetic), *_number_problems(repetitions, seed)]
    problems += _output_problems(output)
    if problems:
        raise ScenarioError(problems)
    if scenario is not None:
        if hardware != "auto":
            what, allowed = "given beside a scenario, which says it", f"change {scenario} or leave it out"
            raise ScenarioError([Problem(COMMAND, None, "--hardware", what, allowed)])
        target: Target = tier_target(scenario, tier, quantization=quantization, args=args)
    else:
        target = model_target(model=model, synthetic=synthetic, hardware=hardware, quantization=quantization, args=args)
    header = record(target, output, repetitions=repetitions, seed=seed, say=say)
    size_kb = output.stat().st_size / 1_000
    say(f"{output}: {header.label}; {size_kb:.0f} kB")
    say(f"use it with --set tiers.NAME.engine.executor='{{kind: profiled, profile: {output}}}'")


def _option_problems(
    scenario: Path | None, tier: str | None, model: str | None, synthetic: str | None
) -> list[Problem]:
    given = [name for name, value in (("SCENARIO", scenario), ("--model", model), ("--synthetic", synthetic)) if value]
    if len(given) != 1:
        what = f"{' and '.join(given)} given" if given else "nothing to measure is given"
        return [Problem(COMMAND, None, "", what, "one of SCENARIO [--tier NAME], --model NAME, --synthetic NAME")]
    if tier is not None and scenario is None:
        return [Problem(COMMAND, None, "--tier", "given without a scenario", f"beside {given[0]} leave it out")]
    return []


def _number_problems(repetitions: int, seed: int) -> list[Problem]:
    problems = []
    if not FEWEST_SAMPLES <= repetitions <= MOST_REPETITIONS:
        allowed = f"{FEWEST_SAMPLES} to {MOST_REPETITIONS}"
        problems.append(Problem(COMMAND, None, "--repetitions", f"{repetitions} is out of range", allowed))
    if not 0 <= seed < 2**31:
        problems.append(Problem(COMMAND, None, "--seed", f"{seed} is out of range", "0 to 2147483647"))
    return problems


def _output_problems(output: Path) -> list[Problem]:
    """A recording takes minutes: that its file cannot be written shall be known before."""
    if output.is_dir() or output.suffix != ".jsonl":
        return [Problem(COMMAND, None, "-o", f"{output} is not the name of a profile", "NAME.jsonl")]
    if not output.parent.is_dir() or not os.access(output.parent, os.W_OK):
        return [Problem(COMMAND, None, "-o", f"{output.parent} is no directory to write to", "one that can be")]
    return []
