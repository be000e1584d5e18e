"""What a sweep's report draws of a point: hit rate and latencies with their intervals, and the words for them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from cosim.results.statistics import CONFIDENCE, wilson
from cosim.results.sweep_tables import PointRow

NO_TIER = "(none)"
LEVEL = f"{100 * CONFIDENCE:g} %"


class Figure(NamedTuple):
    """A figure with its interval; None where it is undefined or cannot be bounded, infinite where too many failed."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Measure:
    """Something that is drawn against keys; `of` reads it."""

    title: str
    unit: str
    of: Callable[[PointRow], Figure]


def hit_rate(row: PointRow) -> Figure:
    """The mean hit rate of a point's runs; of a single run with Wilson's interval, for there is none across runs."""
    interval = row.hit_rate.interval
    if row.runs == 1 and row.hits is not None and row.n:
        interval = wilson(row.hits, row.n)
    return Figure(row.hit_rate.mean, *interval)


def latency(row: PointRow, name: str) -> Figure:
    """A latency in ms; a percentile of all requests is infinite where a run left that many unanswered."""
    estimate = row.figures[name]
    if estimate.mean is None and name.endswith("of_all_ms") and row.n:
        return Figure(math.inf, None, None)
    return Figure(estimate.mean, *estimate.interval)


def _latency(name: str) -> Callable[[PointRow], Figure]:
    return lambda row: latency(row, name)


HIT_RATE = Measure("hit rate", "%", hit_rate)
LATENCIES = (
    Measure("e2el p50", "ms", _latency("median_e2el_of_all_ms")),
    Measure("e2el p95", "ms", _latency("p95_e2el_of_all_ms")),
    Measure("ttft p50", "ms", _latency("median_ttft_ms")),
    Measure("ttft p95", "ms", _latency("p95_ttft_ms")),
)


def counts_text(rows: Iterable[PointRow], runs: int) -> str:
    """How many runs and requests a figure rests on: `n = 5 runs x 286 to 300 requests`."""
    each = [row.n / row.runs for row in rows if row.n and row.runs]
    if not each:
        return "n = 0: no run has a counted request"
    low, high = math.floor(min(each)), math.ceil(max(each))
    requests = f"{low}" if low == high else f"{low} to {high}"
    return f"n = {_runs(runs)} x {requests} counted requests at each point"


def interval_text(runs: int) -> str:
    """How the intervals of hit rates are made, to be said after `Interval:`."""
    if runs == 1:
        return f"{LEVEL} Wilson inside the one run. Wilson: independent requests assumed."
    return (
        f"{LEVEL} Student t across {runs} seeds; where all runs of a point have the same rate, or one run alone came "
        "to its end, Wilson over its requests. Wilson: independent requests assumed."
    )


def latency_interval_text(runs: int) -> str:
    """How the intervals of latencies are made, to be said after `Interval:`."""
    if runs == 1:
        return "none, for across seeds none can be had from one run."
    return f"{LEVEL} Student t across {runs} seeds; none where one run alone came to its end."


def short_names(keys: Sequence[str]) -> dict[str, str]:
    """Of each dotted path its last words: two, or as many as tell it from the others and do not begin with a number."""
    found: dict[str, str] = {}
    for key in keys:
        words = key.split(".")
        least = min(2, len(words))
        found[key] = next(
            suffix
            for count in range(least, len(words) + 1)
            if (suffix := ".".join(words[-count:]))
            and (count == len(words) or not (words[-count].isdigit() or _ambiguous(suffix, key, keys)))
        )
    return found


def _ambiguous(suffix: str, key: str, keys: Sequence[str]) -> bool:
    return any(other != key and f".{other}".endswith(f".{suffix}") for other in keys)


def _runs(count: int) -> str:
    return f"{count} run{'s' if count != 1 else ''}"
