"""The tables of a sweep: a row for each run, tier and SLA class, and one for each point, tier and SLA class."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, Literal, NamedTuple

import msgspec

from cosim.results.metrics import OF_ALL
from cosim.results.parts import in_order
from cosim.results.qualifiers import cell
from cosim.results.run_summary import STATUSES, TIER_FIGURES, SlaClass
from cosim.results.statistics import UNBOUNDED, Interval, mean_interval, share_interval
from cosim.results.store import FAILURE, write_atomic
from cosim.results.sweep_store import (
    RUNS_TABLE,
    SUMMARY_TABLE,
    Sweep,
    SweptPoint,
    read_run_summary,
    read_sweep,
    run_directory,
)

RunStatus = Literal["done", "failed", "missing"]

DECIMALS = 6
# Figures of a tier by their name in the tables: those of its summary; of all requests, failures +inf.
FIGURES = (*TIER_FIGURES, *(f"{name}_e2el_of_all_ms" for name, _ in OF_ALL))


@dataclass(frozen=True, slots=True)
class RunRow:
    """A tier and SLA class in one run; a run that is not done has one row without tier.

    `tier` is None also for requests that were rejected before a tier was chosen. `sla` is None for a run without
    classes. `steps` says what the tier's steps are, as in the tables of a run. `figures` are those of FIGURES;
    `counts`: requests by status; `parts_ms`: mean of each part over ok requests.
    """

    point: SweptPoint
    run: int
    seed: int
    status: RunStatus
    verdict: str | None = None
    tier: str | None = None
    steps: str | None = None
    sla: SlaClass | None = None
    counts: dict[str, int] | None = None
    figures: dict[str, float | None] | None = None
    parts_ms: dict[str, float] | None = None


class Estimate(NamedTuple):
    """The mean over runs and its interval across them; None where a run lacks the figure, or for too few runs."""

    mean: float | None
    interval: Interval


@dataclass(frozen=True, slots=True)
class PointRow:
    """A tier and SLA class at one point: its runs that are done, and how many are not.

    `hit_rate` and `figures` are means of the runs' figures with Student's t interval across the runs (see
    `statistics.share_interval`); `n` and `hits` are sums. `invalid` runs are among those done and count.
    """

    point: SweptPoint
    tier: str | None
    sla_class: str | None
    steps: str | None
    runs: int
    failed: int
    missing: int
    invalid: int
    n: int | None
    hits: int | None
    hit_rate: Estimate
    figures: dict[str, Estimate]


def sweep_rows(directory: Path, sweep: Sweep | None = None) -> list[RunRow]:
    """Rows in the order of points, runs, tiers and classes. Raises ResultsError if sweep.json cannot be read."""
    sweep = sweep or read_sweep(directory)
    return [
        row
        for point in sorted(sweep.points, key=lambda point: point.index)
        for number, seed in enumerate(sweep.seeds)
        for row in _run_rows(run_directory(directory, point.slug, number), point, number, seed)
    ]


def point_rows(rows: Iterable[RunRow]) -> list[PointRow]:
    """The rows of each point's runs put together, in the same order."""
    points: dict[str, list[RunRow]] = {}
    for row in rows:
        points.setdefault(row.point.slug, []).append(row)
    return [row for of_point in points.values() for row in _point_rows(of_point)]


def write_tables(sweep_directory: Path) -> None:
    """Write runs.csv and summary.csv anew; the same runs give the same bytes. Raises ResultsError and OSError."""
    sweep = read_sweep(sweep_directory)
    rows = sweep_rows(sweep_directory, sweep)
    write_atomic(sweep_directory / RUNS_TABLE, _csv(_runs_table(sweep, rows)))
    write_atomic(sweep_directory / SUMMARY_TABLE, _csv(_summary_table(sweep, point_rows(rows))))


def as_written(value: object) -> str:
    """A value of a swept key as text: a string as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _run_rows(directory: Path, point: SweptPoint, number: int, seed: int) -> Iterator[RunRow]:
    summary = read_run_summary(directory)
    if summary is None:
        yield RunRow(point, number, seed, "failed" if (directory / FAILURE).exists() else "missing")
        return
    of_classes = msgspec.convert(summary["sla"], list[SlaClass])
    tiers: list[str | None] = [*summary["tiers"]]
    if any(line.tier is None for line in of_classes):
        tiers.append(None)
    for name in tiers:
        tier = None if name is None else summary["tiers"][name]
        lines: list[SlaClass | None] = [line for line in of_classes if line.tier == name]
        for sla in lines or [None]:
            yield RunRow(
                point,
                number,
                seed,
                "done",
                summary["verdict"],
                name,
                None if tier is None else cell(tier),
                sla,
                None if tier is None else {"ok": tier["completed"], **{name: tier[name] for name in STATUSES[1:]}},
                None if tier is None else _figures(tier),
                None if tier is None else tier["parts_ms"],
            )


def _figures(tier: dict[str, Any]) -> dict[str, float | None]:
    of_all = {f"{name}_e2el_of_all_ms": tier["e2el_of_all_ms"][name] for name, _ in OF_ALL}
    return {name: of_all[name] if name in of_all else tier[name] for name in FIGURES}


def _point_rows(rows: list[RunRow]) -> Iterator[PointRow]:
    """Rows of one point from those of its runs."""
    runs = {row.run: row for row in rows}
    ended = Counter(row.status for row in runs.values())
    invalid = sum(row.verdict == "INVALID" for row in runs.values())
    places: dict[tuple[str | None, str | None], list[RunRow]] = {}
    for row in rows:
        if row.status == "done":
            places.setdefault((row.tier, row.sla.sla_class if row.sla else None), []).append(row)
    for (tier, sla_class), found in (places or {(None, None): []}).items():
        hits = [row.sla.hits for row in found if row.sla]
        counts = [row.sla.n for row in found if row.sla]
        shares = [hit / n for hit, n in zip(hits, counts, strict=True) if n]
        measured = [row.figures for row in found if row.figures is not None]
        yield PointRow(
            point=rows[0].point,
            tier=tier,
            sla_class=sla_class,
            steps=" / ".join(sorted({row.steps for row in found if row.steps})) or None,
            runs=ended["done"],
            failed=ended["failed"],
            missing=ended["missing"],
            invalid=invalid,
            n=sum(counts) if counts else None,
            hits=sum(hits) if counts else None,
            hit_rate=Estimate(fmean(shares) if shares else None, share_interval(hits, counts)),
            figures={name: _estimate([figures[name] for figures in measured]) for name in FIGURES},
        )


def _estimate(values: list[float | None]) -> Estimate:
    """The mean of a figure; without one if a run lacks it, since the others are then no fair sample."""
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return Estimate(None, UNBOUNDED)
    return Estimate(fmean(known), mean_interval(known))


def _runs_table(sweep: Sweep, rows: Sequence[RunRow]) -> Iterator[list[object]]:
    parts = in_order({name for row in rows for name in row.parts_ms or ()})
    sla_columns = ("n", "hits", "sla_hit_rate", "wilson_low", "wilson_high")
    yield [
        *("point", *sweep.keys, "run", "seed", "status", "verdict", "steps", "tier", "class", *sla_columns),
        *(*STATUSES, *FIGURES, *(f"mean_{name}_ms" for name in parts)),
    ]
    for row in rows:
        of_class = [None] * 6 if row.sla is None else [row.sla.sla_class, *(getattr(row.sla, c) for c in sla_columns)]
        yield [
            *_point_cells(sweep, row.point),
            *(row.run, row.seed, row.status, row.verdict, row.steps, row.tier, *of_class),
            *((row.counts or {}).get(status) for status in STATUSES),
            *((row.figures or {}).get(name) for name in FIGURES),
            *((row.parts_ms or {}).get(name) for name in parts),
        ]


def _summary_table(sweep: Sweep, rows: Sequence[PointRow]) -> Iterator[list[object]]:
    means = ["sla_hit_rate", *FIGURES]
    yield [
        *(
            "point",
            *sweep.keys,
            "runs",
            "failed",
            "missing",
            "invalid",
            "paired",
            "steps",
            "tier",
            "class",
            "n",
            "hits",
        ),
        *(column for name in means for column in (name, f"{name}_low", f"{name}_high")),
    ]
    for row in rows:
        estimates = [row.hit_rate, *(row.figures[name] for name in FIGURES)]
        yield [
            *_point_cells(sweep, row.point),
            *(row.runs, row.failed, row.missing, row.invalid, "yes" if sweep.paired else "no"),
            *(row.steps, row.tier, row.sla_class, row.n, row.hits),
            *(value for estimate in estimates for value in (estimate.mean, *estimate.interval)),
        ]


def _point_cells(sweep: Sweep, point: SweptPoint) -> list[str]:
    values = point.values
    return [point.slug, *(as_written(values[key]) if key in values else "" for key in sweep.keys)]


def _csv(rows: Iterable[list[object]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for row in rows:
        writer.writerow([round(value, DECIMALS) if isinstance(value, float) else value for value in row])
    return text.getvalue().encode()
