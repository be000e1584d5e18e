"""Where the time goes in a sweep, and how long requests take: by point, for each tier."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cosim.results.charts import part_colour
from cosim.results.distribution import cdf, observe
from cosim.results.parts import in_order
from cosim.results.population import Population, populate
from cosim.results.store import REQUESTS, read_requests
from cosim.results.sweep_bars import PointBar, stacked
from cosim.results.sweep_curves import Points
from cosim.results.sweep_panels import spread
from cosim.results.sweep_runs import Run
from cosim.results.sweep_store import run_directory

MAX_BARS, MAX_CURVES, MAX_TIERS = 40, 5, 6
# Of requests.jsonl of one run, and of all that a report reads: more takes longer than a report may.
MAX_RUN_BYTES, MAX_BYTES = 32 << 20, 96 << 20


def bar_charts(points: Points, runs: Mapping[int, Sequence[Run]]) -> list[dict[str, Any]]:
    """For each tier the mean parts of its latency by point; of many points some, from the fastest to the slowest."""
    charts = []
    for tier in tiers_of(runs)[:MAX_TIERS]:
        bars = [bar for index, found in runs.items() if (bar := _bar(points, index, found, tier)) is not None]
        shown = bars
        if len(bars) > MAX_BARS:
            shown = spread(sorted(bars, key=lambda bar: (bar.total_ms, bar.point)), MAX_BARS)
        names = {name for bar in shown for name, ms in bar.parts_ms.items() if ms > 0}
        caption = (
            "Parts of e2el, from sending to the last chunk's arrival: the mean over the counted ok requests of a run, "
            "then over a point's runs, so the parts add up to the mean e2el and a request without an answer is not in "
            "it."
        )
        if points.axes:
            caption += f" Labels: #point: its {', '.join(points.names[key] for key in points.axes)}."
        if len(bars) > len(shown):
            caption += f" {len(shown)} of {len(bars)} points, at equal ranks from the shortest mean to the longest."
        charts.append(
            {
                "title": f"Tier {tier}: mean parts by point",
                "svg": stacked(shown, tier),
                "parts": [(name, part_colour(name)) for name in in_order(names)],
                "caption": caption,
            }
        )
    return charts


def distribution_charts(directory: Path, points: Points, runs: Mapping[int, Sequence[Run]]) -> list[dict[str, Any]]:
    """For each tier the distribution of latency at a few points, from the worst hit rate to the best."""
    populations: dict[int, Population] = {}
    slugs = {point.index: point.slug for point in points.sweep.points}
    budget = MAX_BYTES
    charts = []
    for tier in tiers_of(runs)[:MAX_TIERS]:
        chosen = _few(points, runs, tier)
        drawn = {}
        for index in chosen:
            if index not in populations:
                files = [
                    file
                    for run in runs[index]
                    if run.state in ("VALID", "INVALID")
                    and (file := run_directory(directory, slugs[index], run.number) / REQUESTS).is_file()
                ]
                sizes = [file.stat().st_size for file in files]
                if not files or max(sizes) > MAX_RUN_BYTES or sum(sizes) > budget:
                    continue
                budget -= sum(sizes)
                populations[index] = populate(
                    (record for file in files for record in read_requests(file.parent)), tiers_of(runs), ()
                )
            drawn[index] = observe(populations[index], tier)
        deadlines = [run.deadlines_ms for index in drawn for run in runs[index] if run.deadlines_ms]
        common = deadlines[0] if deadlines and all(found == deadlines[0] for found in deadlines) else {}
        svg = cdf({f"point {index}": found for index, found in drawn.items()}, common)
        if not svg:
            continue
        caption = (
            "Share of counted requests answered within a time, all runs of a point together. The height of a curve at "
            "a deadline is the hit rate. A timeout is censored there (upright mark): from a point's first one on its "
            "curve is dashed, the least that the share can be. "
        )
        caption += (
            f"{len(drawn)} of {len(runs)} points, at equal ranks from the worst hit rate to the best."
            if (len(drawn) < len(runs))
            else ""
        )
        counts = [found.n for found in drawn.values()]
        many = f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
        caption += f" n = {many} requests in all runs of a point; drawn as they are, without an interval."
        charts.append(
            {
                "title": f"Tier {tier}",
                "svg": svg,
                "legend": [(f"point {index}", points.label(index)) for index in drawn],
                "caption": caption,
            }
        )
    return charts


def tiers_of(runs: Mapping[int, Sequence[Run]]) -> list[str]:
    """Every tier that had clients in some run."""
    found = {name: None for of_point in runs.values() for run in of_point for name in run.tiers}
    return list(found)


def _bar(points: Points, index: int, runs: Iterable[Run], tier: str) -> PointBar | None:
    """A point's bar; None where no run has the tier."""
    found = [run.tiers[tier] for run in runs if tier in run.tiers]
    if not found:
        return None
    answered = [one.parts_ms for one in found if one.completed]
    names = {name for parts in answered for name in parts}
    parts = {name: math.fsum(of.get(name, 0.0) for of in answered) / len(answered) for name in in_order(names)}
    n, ok = sum(one.n for one in found), sum(one.completed for one in found)
    note = f"{ok} of {n} ok" if ok < n else ""
    label = ", ".join(axis.texts[points.places[index][key]] for key, axis in points.axes.items())
    return PointBar(index, f"#{index}: {label}" if label else f"#{index}", parts, note)


def _few(points: Points, runs: Mapping[int, Sequence[Run]], tier: str) -> list[int]:
    """Points at equal ranks of a tier's hit rate, or of its mean latency without classes."""

    def key(index: int) -> tuple[float, int]:
        for group in points.tiers():
            row = group.rows.get(index)
            if row is not None and row.tier == tier and row.hit_rate.mean is not None:
                return row.hit_rate.mean, index
        found = [run.tiers[tier] for run in runs[index] if tier in run.tiers]
        return -math.fsum(ms for one in found for ms in one.parts_ms.values()) / max(len(found), 1), index

    ran = [index for index, found in runs.items() if any(tier in run.tiers and run.tiers[tier].n for run in found)]
    return spread(sorted(ran, key=key), MAX_CURVES)
