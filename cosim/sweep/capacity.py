"""The search for a service capacity: runs of one load after another in the directory of a sweep over the load."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from cosim.results.capacity import Curve, LoadResult, result_of
from cosim.results.store import write_atomic
from cosim.results.sweep_store import SweptPoint, read_run_summary, run_directory
from cosim.scenario.errors import Problem, ScenarioError
from cosim.scenario.load import Loaded
from cosim.sweep.base import Executor
from cosim.sweep.bracket import Bracket
from cosim.sweep.directory import run_state, write_sweep
from cosim.sweep.driver import SweepFailedError, Work, carry_out_sweep, work_of
from cosim.sweep.progress import SweepProgress, Tally

CAPACITY = "capacity.json"
SCHEMA_VERSION = 1
_QUANTITY = re.compile(r"\s*([0-9.]+)\s*(\D*)")
# Range of the search where none is asked, as multiples of the scenario's own value.
LEAST_SHARE, MOST_TIMES, MOST_COUNT = Decimal("0.125"), 8, 64


@dataclass(frozen=True, slots=True)
class Load:
    """How loads are written: `unit` is None for whole numbers such as a count of clients."""

    unit: str | None

    def written(self, load: float) -> Any:
        """A load as the scenario has it."""
        return int(load) if self.unit is None else f"{Decimal(repr(load)).normalize():f}{self.unit}"

    def parse(self, text: str, flag: str) -> float:
        """A load from a flag. Raises ScenarioError for what is none."""
        match = _QUANTITY.fullmatch(text)
        unit = match[2].strip() if match else ""
        try:
            value = Decimal(match[1]) if match else Decimal(0)
        except InvalidOperation:
            value = Decimal(0)
        whole = value == value.to_integral_value()
        if value <= 0 or unit not in ("", self.unit or "") or (self.unit is None and not whole):
            allowed = "a whole number from 1 on" if self.unit is None else f"a number from 0 on, such as 2{self.unit}"
            raise ScenarioError([Problem(flag, None, "", f"{text!r} is no load", allowed)])
        return float(value)


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: the key that is varied and its range, and whose share of requests has to reach the target."""

    vary: str
    load: Load
    bracket: Bracket
    tier: str
    sla_class: str
    target: float
    runs: int


@dataclass(slots=True)
class Findings:
    """The curve so far, and by load why runs of it are INVALID."""

    curve: Curve
    invalid: dict[float, list[str]] = field(default_factory=dict)  # a reason for each run that is

    def add(self, result: LoadResult, reasons: list[str]) -> None:
        """Take in a load."""
        self.curve.add(result)
        if reasons:
            self.invalid[result.load] = reasons


def question(
    loaded: Loaded,
    *,
    vary: str,
    sla_class: str,
    tier: str | None,
    target: float,
    runs: int,
    least: str | None,
    most: str | None,
    step: str | None,
) -> Question:
    """Check what is asked against a scenario. Raises ScenarioError, which names the flag."""
    scenario = loaded.scenario
    if sla_class not in scenario.sla:
        raise _wrong(
            "--class", f"no SLA class {sla_class!r}", f"allowed: {', '.join(scenario.sla) or 'none is defined'}"
        )
    asked = list(dict.fromkeys(name for group in scenario.clients for name in group.tiers))
    if tier is None and len(asked) > 1:
        raise _wrong("--tier", "is needed, since clients ask several tiers", f"allowed: {', '.join(asked)}")
    if tier is not None and tier not in scenario.tiers:
        raise _wrong("--tier", f"no tier {tier!r}", f"allowed: {', '.join(scenario.tiers)}")
    if tier is not None and tier not in asked and scenario.placement.kind == "fixed":
        raise _wrong("--tier", f"no client asks tier {tier!r}", f"allowed: {', '.join(asked)}")
    if not 0 < target < 1:
        raise _wrong("--target", f"{target:g} is no share below 1", "such as 0.95")
    if runs < 2:
        raise _wrong("--num-runs", f"{runs} run has no interval over seeds", "at least 2")
    value = _value(loaded, vary)
    load = Load(None) if isinstance(value, int) else Load(_QUANTITY.fullmatch(value)[2].strip())  # type: ignore[index]
    own = Decimal(value) if isinstance(value, int) else Decimal(_QUANTITY.fullmatch(value)[1])  # type: ignore[index]
    if load.unit is None:
        smallest, resolution, largest = 1.0, 1.0, max(float(MOST_COUNT), float(MOST_TIMES * own))
    else:
        smallest = resolution = float(own * LEAST_SHARE)
        largest = float(own * MOST_TIMES)
    low = smallest if least is None else load.parse(least, "--from")
    high = largest if most is None else load.parse(most, "--to")
    if low > high:
        raise _wrong("--from", f"{low:g} lies above --to, {high:g}", "a range")
    bracket = Bracket(low, high, resolution if step is None else load.parse(step, "--step"))
    return Question(vary, load, bracket, tier or asked[0], sla_class, target, runs)


def _value(loaded: Loaded, path: str) -> Any:
    """What the scenario has at a path. Raises ScenarioError if that is neither a whole number nor a quantity."""
    data: Any = loaded.data()
    for word in path.split("."):
        try:
            data = data[int(word)] if isinstance(data, list) else data[word]
        except (KeyError, IndexError, TypeError, ValueError):
            raise _wrong("--vary", f"no key {path!r} in this scenario", "such as clients.0.count") from None
    quantity = isinstance(data, str) and _QUANTITY.fullmatch(data) and Decimal(_QUANTITY.fullmatch(data)[1]) > 0  # type: ignore[index]
    if isinstance(data, bool) or not (isinstance(data, int) or quantity):
        raise _wrong("--vary", f"{path} is {data!r}", "a count, or a quantity that grows with the load, such as a rate")
    return data


def _wrong(flag: str, what: str, allowed: str) -> ScenarioError:
    return ScenarioError([Problem(flag, None, "", what, allowed)])


def search(
    asked: Question,
    directory: Path,
    *,
    load_sweep: Callable[[dict[str, Any]], Loaded],
    executor: Executor,
    progress: Callable[[Tally], SweepProgress],
    say: Callable[[str], None],
) -> tuple[Findings, list[SweptPoint]]:
    """Run loads until the capacity is settled.

    `load_sweep`: the scenario with a `sweep` section. Runs that the directory holds already are not repeated. Raises
    SweepFailedError if a run failed, KeyboardInterrupt and TerminatedError.
    """
    findings = Findings(Curve(asked.target, asked.bracket.step))
    loads: list[float] = []
    points: list[SweptPoint] = []
    while (load := asked.bracket.next_load(findings.curve)) is not None:
        loads.append(load)
        values = [{asked.vary: asked.load.written(one)} for one in loads]
        loaded = load_sweep({"kind": "list", "repeats": asked.runs, "points": values})
        work = work_of(loaded, directory, None, runnable=True)
        for warning in work.warnings if len(loads) == 1 else ():
            say(f"warning: {warning}")
        write_sweep(directory, work.sweep, loaded.resolved_yaml())
        points = work.sweep.points
        slug = points[-1].slug
        summaries = _runs(asked, directory, slug, work, executor, progress)
        result = result_of(load, summaries, asked.tier, asked.sla_class)
        findings.add(result, [str(summary["reasons"][0]) for summary in summaries if summary["reasons"]])
        say(f"{slug}: {_found(result, asked.target)}")
    return findings, points


def _runs(
    asked: Question,
    directory: Path,
    slug: str,
    work: Work,
    executor: Executor,
    progress: Callable[[Tally], SweepProgress],
) -> list[dict[str, Any]]:
    """The summaries of a load's runs, after those that are not done have been carried out."""
    ours = [task for task in work.tasks if task.point.slug == slug]
    work.tasks = [task for task in ours if run_state(directory / task.directory, task.scenario_hash).verdict is None]
    work.tally = Tally(len(ours), 1, kept=len(ours) - len(work.tasks))
    failed = carry_out_sweep(work, directory, executor, progress(work.tally), "finish")
    if failed:
        raise SweepFailedError(f"{failed[0].task.directory} failed: {failed[0].text}; --resume tries it again")
    return [read_run_summary(run_directory(directory, slug, number)) or {} for number in range(asked.runs)]


def write_capacity(directory: Path, asked: Question, findings: Findings) -> dict[str, Any]:
    """Write capacity.json and return its content: the question, the answer and the curve.

    `invalid`: reasons of runs at the capacity and at the first load that misses the target, which decide it.
    """
    curve = findings.curve
    estimate = curve.estimate()
    deciding = {curve.largest_met(), curve.smallest_missed()}
    said = [(load, _said(asked, load, reasons)) for load, reasons in findings.invalid.items()]

    def written(load: float | None) -> Any:
        return None if load is None else asked.load.written(load)

    content = {
        "schema_version": SCHEMA_VERSION,
        "vary": asked.vary,
        "tier": asked.tier,
        "class": asked.sla_class,
        "target": asked.target,
        "runs": asked.runs,
        "searched": [written(asked.bracket.low), written(asked.bracket.high), written(asked.bracket.step)],
        "capacity": written(estimate.load),
        "capacity_low": written(estimate.low),
        "capacity_high": written(estimate.high),
        "beyond": estimate.beyond,
        "met_above": [written(load) for load in estimate.above],
        "knee": written(estimate.knee),
        "curve": [_row(result, written(result.load)) for result in curve.in_order()],
        "invalid": [text for load, text in said if load in deciding],
        "invalid_elsewhere": [text for load, text in said if load not in deciding],
    }
    write_atomic(directory / CAPACITY, (json.dumps(content, indent=1) + "\n").encode())
    return content


def _said(asked: Question, load: float, reasons: list[str]) -> str:
    return f"{asked.vary}={asked.load.written(load)}: {len(reasons)} of {asked.runs} runs: {reasons[0]}"


def _found(result: LoadResult, target: float) -> str:
    """What a load's runs say of the target: the lower end of the interval has to reach it."""
    low, high = result.interval
    ends = f"[{'-' if low is None else f'{low:.1%}'}, {'-' if high is None else f'{high:.1%}'}]"
    word = "meets" if result.meets(target) else "misses" if result.misses(target) else "does not surely meet"
    return f"hit rate {result.mean:.1%} {ends} {word} {target:.1%}"


def _row(result: LoadResult, load: Any) -> dict[str, Any]:
    low, high = result.interval
    latencies = [value for value in result.mean_e2el_ms if value is not None]
    return {
        "load": load,
        "runs": result.runs,
        "n": sum(result.counts),
        "hits": sum(result.hits),
        "sla_hit_rate": round(result.mean, 6),
        "low": None if low is None else round(low, 6),
        "high": None if high is None else round(high, 6),
        "request_throughput": round(sum(result.requests_per_s) / result.runs, 6),
        "mean_e2el_ms": round(sum(latencies) / len(latencies), 6) if latencies else None,
    }
