"""What is compared: runs, the points of a sweep or whole sweeps, and their requests, paired by seed and request_id."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from cosim.clock import NS_PER_MS
from cosim.results.manifest import mapping
from cosim.results.metrics import tpot_ns
from cosim.results.records import RequestRecord
from cosim.results.sla import met
from cosim.results.store import MANIFEST, ResultsError, read_manifest, read_requests
from cosim.results.summary import load_scenario
from cosim.results.sweep_store import POINTS, is_sweep, read_run_summary, read_sweep
from cosim.results.sweep_tables import as_written

LATENCIES = ("ttft", "tpot", "e2el")
ALL_TIERS = "(all)"


class Difference(NamedTuple):
    """A key of the scenario whose value differs; None where a scenario lacks it."""

    key: str
    a: str | None
    b: str | None


class Run(NamedTuple):
    """A run that has a summary."""

    directory: Path
    summary: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Side:
    """The runs of one point, by seed, or a run on its own; `unended` are those without a summary."""

    directory: Path
    runs: dict[int, Run]
    unended: list[Path]


@dataclass(slots=True)
class Sample:
    """Counted requests of a tier in one run: a row each, without those that their client cancelled.

    `latencies_ms` by name: +inf for a request that was not answered, NaN where it is undefined. `hits` by SLA class: 1
    or 0. `places` by request_id; `due_ns` likewise, of clients that do not wait for answers.
    """

    clients: list[str] = field(default_factory=list)
    places: dict[str, int] = field(default_factory=dict)
    due_ns: dict[str, int] = field(default_factory=dict)
    latencies_ms: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in LATENCIES})
    hits: dict[str, list[float]] = field(default_factory=dict)

    def add(self, record: RequestRecord, classes: Mapping[str, int], *, waits: bool) -> None:
        """Add a request that was not cancelled; `waits`: its client asks again when it has been answered."""
        self.places[record.request_id] = len(self.clients)
        if not waits:
            self.due_ns[record.request_id] = record.t_scheduled_ns
        self.clients.append(record.client)
        tpot = tpot_ns(record.e2el_ns, record.ttft_ns, record.output_tokens)
        for name, value_ns in zip(LATENCIES, (record.ttft_ns, tpot, record.e2el_ns), strict=True):
            ms = math.inf if record.status != "ok" else math.nan if value_ns is None else value_ns / NS_PER_MS
            self.latencies_ms[name].append(ms)
        for name, deadline_ns in classes.items():
            self.hits.setdefault(name, []).append(float(met(record, deadline_ns) or 0))


def sides(a: Path, b: Path) -> tuple[list[tuple[Side, Side]], list[str]]:
    """The points to compare, and a sentence on each point that only one of two sweeps has. Raises ResultsError."""
    if is_sweep(a) != is_sweep(b):
        whole = a if is_sweep(a) else b
        raise ResultsError(f"{whole} is a sweep, the other is not; give two sweeps, or a point: {whole / POINTS}/SLUG")
    if not is_sweep(a):
        found = _side(a), _side(b)
        for side in found:
            if not side.runs:
                raise ResultsError(
                    f"{side.directory} has no run that came to its end (no summary.json that can be read); run it again"
                )
        return [found], []
    first, second = _points(a), _points(b)
    lacking = [f"{b} lacks {first[key].name}" for key in first if key not in second]
    lacking += [f"{a} lacks {second[key].name}" for key in second if key not in first]
    common = [key for key in first if key in second]
    if not common:
        raise ResultsError(f"{a} and {b} have no point in common; give two points: {a / POINTS}/SLUG {b / POINTS}/SLUG")
    return [(_side(first[key]), _side(second[key])) for key in common], lacking


def differing_keys(a: Side, b: Side) -> list[Difference]:
    """Where the scenarios of two points differ other than in the seed."""
    first, second = (dict(_flat(load_scenario(next(iter(side.runs.values())).directory))) for side in (a, b))
    return [
        Difference(key, first.get(key), second.get(key))
        for key in dict.fromkeys([*first, *second])
        if key != "seed" and first.get(key) != second.get(key)
    ]


def executes(run: Run) -> bool:
    """Whether a run executed steps, whose durations have a noise of their own."""
    return bool(mapping(run.summary.get("step_coverage")).get("executed"))


def samples(run: Run) -> dict[str, Sample]:
    """The counted requests of a run by tier, and of all tiers together. Raises ResultsError."""
    objectives = mapping(read_manifest(run.directory).get("objectives"))
    classes = mapping(objectives.get("sla"))
    closed = {group for group, loop in mapping(objectives.get("loop")).items() if loop == "closed"}
    found: dict[str, Sample] = {ALL_TIERS: Sample()}
    for record in read_requests(run.directory):
        if not record.warmup and record.status != "cancelled":
            waits = record.client.rpartition("-")[0] in closed
            found[ALL_TIERS].add(record, classes, waits=waits)
            if record.tier is not None:
                found.setdefault(record.tier, Sample()).add(record, classes, waits=waits)
    return found


def _points(sweep_directory: Path) -> dict[str, Path]:
    """Directories of a sweep's points, by the values that they stand for."""
    points = sorted(read_sweep(sweep_directory).points, key=lambda point: point.index)
    return {json.dumps(point.values, sort_keys=True): sweep_directory / POINTS / point.slug for point in points}


def _side(directory: Path) -> Side:
    """A run or a point. Raises ResultsError if it is neither."""
    of_point = sorted(directory.glob("run=*/"), key=lambda path: (len(path.name), path.name))
    if not of_point and not (directory / MANIFEST).exists():
        raise ResultsError(f"{directory} is no run, no point of a sweep (SWEEP/{POINTS}/SLUG) and no sweep")
    runs: dict[int, Run] = {}
    unended = []
    for path in of_point or [directory]:
        summary = read_run_summary(path)
        if summary is None or not isinstance(summary.get("seed"), int):
            unended.append(path)
        else:
            runs[summary["seed"]] = Run(path, summary)
    return Side(directory, runs, unended)


def _flat(value: object, key: str = "") -> Iterator[tuple[str, str]]:
    """The leaves of a scenario by dotted path."""
    children: dict[Any, Any] = (
        value if isinstance(value, dict) else dict(enumerate(value)) if isinstance(value, list) else {}
    )
    if not children:
        yield key, as_written(value)
    for name, child in children.items():
        yield from _flat(child, f"{key}.{name}" if key else str(name))
