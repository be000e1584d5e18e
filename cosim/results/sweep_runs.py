"""The runs of a sweep as its report needs them: how each ended, and the few figures that its charts draw."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec
from pydantic import TypeAdapter, ValidationError

from cosim.clock import NS_PER_S
from cosim.results.ground import LINK_KINDS
from cosim.results.manifest import mapping
from cosim.results.qualifiers import headline
from cosim.results.store import FAILURE, REPORT, ResultsError
from cosim.results.summary import load_scenario
from cosim.results.sweep_store import SWEEP_SCENARIO, Sweep, read_run_summary, run_directory
from cosim.scenario.units import Duration

State = Literal["VALID", "INVALID", "failed", "missing"]
STATES: tuple[State, ...] = ("VALID", "INVALID", "failed", "missing")

_VARYING = re.compile(r"[-+]?\d[\d.,]*")


@dataclass(frozen=True, slots=True)
class RunTier:
    """A tier in one run; `n` are its counted requests, `completed` the ok ones.

    `offered`: counted requests per second of the time in which clients issue them.
    """

    n: int
    completed: int
    offered: float
    parts_ms: dict[str, float]


@dataclass(frozen=True, slots=True)
class Run:
    """One run; `reasons` say why it is INVALID or has failed. `steps` is what they are if not all were executed."""

    point: int
    number: int
    state: State
    reasons: tuple[str, ...] = ()
    has_report: bool = False
    steps: str = ""
    qualifiers: tuple[str, ...] = ()
    clock: str = ""
    loops: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    tiers: dict[str, RunTier] = field(default_factory=dict)
    deadlines_ms: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reason:
    """Reasons of runs that differ in numbers only: the first as it is, and the runs that have one of them."""

    text: str
    runs: list[Run]


def read_runs(directory: Path, sweep: Sweep) -> Iterator[Run]:
    """Every run that the sweep is to have, in order of point and number."""
    of_all = load_scenario(directory, SWEEP_SCENARIO).get("duration")
    for point in sweep.points:
        issuing_s = _duration_s(directory, point.values.get("duration", of_all))
        for number in range(len(sweep.seeds)):
            yield _run(run_directory(directory, point.slug, number), point.index, number, issuing_s)


def _duration_s(directory: Path, written: Any) -> float:
    try:
        return TypeAdapter(Duration).validate_python(written) / NS_PER_S
    except ValidationError as error:
        path = directory / SWEEP_SCENARIO
        raise ResultsError(f"{path} is damaged: no duration can be read in it; sweep again elsewhere") from error


def grouped(runs: Iterable[Run]) -> list[Reason]:
    """The reasons of runs, those of most runs first."""
    found: dict[str, Reason] = {}
    for run in runs:
        for text in run.reasons:
            group = found.setdefault(_VARYING.sub("#", text), Reason(text, []))
            if not group.runs or group.runs[-1] is not run:
                group.runs.append(run)
    return sorted(found.values(), key=lambda reason: -len(reason.runs))


def _run(directory: Path, point: int, number: int, issuing_s: float) -> Run:
    summary = read_run_summary(directory)
    if summary is None:
        failure = _failure(directory)
        return Run(point, number, "missing") if failure is None else Run(point, number, "failed", (failure,))
    tiers: dict[str, dict[str, Any]] = summary["tiers"]
    return Run(
        point,
        number,
        "VALID" if summary["verdict"] == "VALID" else "INVALID",
        tuple(summary["reasons"]),
        (directory / REPORT).is_file(),
        headline(tiers),
        tuple(summary["qualifiers"]),
        str(summary["clock"]),
        tuple(sorted(set(summary["loop"].values()))),
        tuple(_path(name, link) for name, link in summary.get("paths", {}).items() if _rests_on_more(link)),
        {name: _tier(tier, issuing_s) for name, tier in tiers.items()},
        {row["class"]: row["deadline_ms"] for row in summary["sla"]},
    )


def _path(name: str, link: dict[str, Any]) -> str:
    """What a link rests on, by kind: what is measured with percentile, source and date, what is an assumption."""
    preset = f"{name}, preset {link['preset']}" if link["preset"] else name
    by_kind: dict[str, list[str]] = {}
    for row in link["figures"]:
        known = ", ".join(str(row[part]) for part in ("percentile", "source", "date") if row[part] is not None)
        # A value of the scenario may be a swept one; the link rests on it at every point alike.
        said = row["key"] if row["kind"] == "scenario" else f"{row['key']} {row['value']}"
        by_kind.setdefault(row["kind"], []).append(f"{said} ({known})" if known else said)
    ordered = [kind for kind in LINK_KINDS if kind in by_kind]
    return f"{preset}: " + "; ".join(f"{kind}: {', '.join(by_kind[kind])}" for kind in ordered)


def _rests_on_more(link: dict[str, Any]) -> bool:
    """Whether a link's values come from a preset or a trace and not from the scenario alone."""
    return link["preset"] is not None or any(row["kind"] == "trace" for row in link["figures"])


def _tier(tier: dict[str, Any], issuing_s: float) -> RunTier:
    return RunTier(tier["n"], tier["completed"], tier["n"] / issuing_s, tier["parts_ms"])


def _failure(directory: Path) -> str | None:
    """What failure.json says, None without one."""
    try:
        content = msgspec.json.decode((directory / FAILURE).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        return f"{FAILURE} cannot be read: {error}"
    said = mapping(content)
    return str(said.get("text") or said.get("error") or "failed").strip()
