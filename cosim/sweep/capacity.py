"""The search for a service capacity: runs of one load after another in the directory of a sweep over the load."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from cosim.results.capacity import Curve, LoadResult, result_of
from cosim.results.manifest import mapping
from cosim.results.store import ResultsError, write_atomic
from cosim.results.summary import load_scenario
from cosim.results.sweep_store import CAPACITY, SWEEP_SCENARIO, SweptPoint, read_run_summary, read_sweep, run_directory
from cosim.scenario.errors import Problem, ScenarioError
from cosim.scenario.load import Loaded
from cosim.scenario.units import quantity, units_beside
from cosim.sweep.base import Executor
from cosim.sweep.bracket import Bracket
from cosim.sweep.compared import check_files, compared
from cosim.sweep.directory import refuse_change, run_state, write_sweep
from cosim.sweep.driver import SweepFailedError, Work, carry_out_sweep, work_of
from cosim.sweep.loads import Load
from cosim.sweep.progress import SweepProgress, Tally

SCHEMA_VERSION = 1
# Range of the search where none is asked, as multiples of the scenario's own value.
LEAST_SHARE, MOST_TIMES, MOST_COUNT = Decimal("0.125"), 8, 64


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
    fault: Callable[[Any], Problem | None],
) -> Question:
    """Check what is asked against a scenario. Raises ScenarioError, which names the flag.

    `fault`: why the scenario cannot have a value at `vary`.
    """
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
    load, own = _own(loaded, vary)
    bracket = _range(load, own, fault=lambda value: fault(load.written(value)), least=least, most=most, step=step)
    return Question(vary, load, bracket, tier or asked[0], sla_class, target, runs)


def _own(loaded: Loaded, path: str) -> tuple[Load, Decimal]:
    """What the scenario has at a path, in the unit in which the user wrote it.

    Raises ScenarioError if that is neither a whole number nor a quantity.
    """
    value = _at(loaded.data(), path)
    if isinstance(value, int) and not isinstance(value, bool):
        return Load(None), Decimal(value)
    resolved = quantity(value) if isinstance(value, str) else None
    if resolved is None or resolved[0] <= 0 or not units_beside(resolved[1]):
        raise _wrong(
            "--vary", f"{path} is {value!r}", "a count, or a quantity that grows with the load, such as a rate"
        )
    try:
        written = quantity(str(_at(loaded.source.data, path)))
    except ScenarioError:  # It is a default.
        written = None
    number, unit = written if written and written[1] in units_beside(resolved[1]) else resolved
    return Load(unit), number


def _at(data: Any, path: str) -> Any:
    for word in path.split("."):
        try:
            data = data[int(word)] if isinstance(data, list) else data[word]
        except (KeyError, IndexError, TypeError, ValueError):
            raise _wrong("--vary", f"no key {path!r} in this scenario", "such as clients.0.count") from None
    return data


def _range(
    load: Load,
    own: Decimal,
    *,
    fault: Callable[[float], Problem | None],
    least: str | None,
    most: str | None,
    step: str | None,
) -> Bracket:
    """The range and the resolution, as asked or from the scenario's own value. `fault`: why a load cannot be."""
    low = (1.0 if load.unit is None else float(own * LEAST_SHARE)) if least is None else load.parse(least, "--from")
    while (wrong := fault(low)) and least is None and low < own:
        low = min(2 * low, float(own))
    if wrong:
        raise _wrong("--from", f"{load.written(low)}: {wrong.what}", wrong.allowed)
    high = MOST_TIMES * max(low, float(own))
    if most is not None:
        high = load.parse(most, "--to")
    elif load.unit is None:
        high = max(high, MOST_COUNT)
    if low > high:
        raise _wrong("--from", f"{load.written(low)} lies above --to, {load.written(high)}", "a range")
    while (wrong := fault(high)) and most is None:
        high = max(low, high // 2 if load.unit is None else high / 2)
    if wrong:
        raise _wrong("--to", f"{load.written(high)}: {wrong.what}", wrong.allowed)
    resolution = 1.0 if load.unit is None else low
    return Bracket(low, high, resolution if step is None else load.parse(step, "--step"))


def _wrong(flag: str, what: str, allowed: str | None) -> ScenarioError:
    return ScenarioError([Problem(flag, None, "", what, allowed)])


def begin(directory: Path, asked: Question) -> None:
    """Write capacity.json with the question only, which tells the directory from that of a sweep."""
    _write(directory, _asked(asked))


def refuse_other(directory: Path, asked: Question, load_sweep: Callable[[dict[str, Any]], Loaded]) -> None:
    """Raise ResultsError where what is to be gone on with is no search for this load in this scenario."""
    if not (directory / CAPACITY).exists():
        what = f"{directory} holds a sweep that cosim capacity did not make (it has no {CAPACITY})"
        raise ResultsError(f"{what}; choose another directory with -o")
    earlier = read_sweep(directory)
    if earlier.keys != [asked.vary]:
        what = f"{directory} holds a search over {', '.join(earlier.keys)}, not over {asked.vary}"
        raise ResultsError(f"{what}; choose another directory with -o")
    # Its sweep is the loads that were tried so far, so only the rest can be another.
    now = load_sweep(mapping(load_scenario(directory, SWEEP_SCENARIO).get("sweep")))
    check_files(directory, earlier, compared(now))
    if (directory / SWEEP_SCENARIO).read_text(encoding="utf-8") != now.resolved_yaml():
        raise refuse_change(directory, now.resolved_yaml())


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
        **_asked(asked),
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
    _write(directory, content)
    return content


def _asked(asked: Question) -> dict[str, Any]:
    bracket = asked.bracket
    return {
        "schema_version": SCHEMA_VERSION,
        "vary": asked.vary,
        "tier": asked.tier,
        "class": asked.sla_class,
        "target": asked.target,
        "runs": asked.runs,
        "searched": [asked.load.written(load) for load in (bracket.low, bracket.high, bracket.step)],
    }


def _write(directory: Path, content: dict[str, Any]) -> None:
    write_atomic(directory / CAPACITY, (json.dumps(content, indent=1) + "\n").encode())


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
