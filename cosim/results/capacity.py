"""Service capacity: the largest load at which a share of requests still meets its deadline, and how sure that is.

Definition: the largest arrival rate at which a given share of jobs is done within a delay budget (arXiv 2504.16529,
"service capacity"). Here a load meets the objective if the lower end of the interval of its hit rate over seeds does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import sqrt
from statistics import fmean
from typing import Any

from cosim.results.statistics import Interval, share_interval


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What the runs of one load measured, by run: judged requests, those that met the deadline, throughput, latency.

    A run without an answer has latency None.
    """

    load: float
    hits: tuple[int, ...]
    counts: tuple[int, ...]
    requests_per_s: tuple[float, ...]
    mean_e2el_ms: tuple[float | None, ...]

    @property
    def runs(self) -> int:
        """How many seeds were run."""
        return len(self.hits)

    @property
    def hit_rates(self) -> list[float]:
        """The share of each run; a run that judged no request hit nothing."""
        return [hits / n if n else 0.0 for hits, n in zip(self.hits, self.counts, strict=True)]

    @property
    def mean(self) -> float:
        """Mean hit rate over seeds."""
        return fmean(self.hit_rates)

    @property
    def interval(self) -> Interval:
        """Of the mean over seeds; unbounded with one seed."""
        return share_interval(self.hits, self.counts)

    @property
    def low_of_repetition(self) -> float | None:
        """What the lower end of as many runs with other seeds is expected to be at least.

        The two means differ by a normal variable of sqrt(2) times one mean's standard error, so the bound lies
        sqrt(2) half widths further down. Runs that do not differ show no standard error: then it is the lower end.
        """
        low = self.interval.low
        if low is None or len(set(self.hit_rates)) == 1:
            return low
        return max(0.0, low - sqrt(2) * (self.mean - low))

    @property
    def power(self) -> float | None:
        """Throughput over latency, (requests/s) / s: its largest value is at the knee.

        Source: L. Kleinrock, Power and deterministic rules of thumb for probabilistic problems in computer
        communications, ICC 1979.
        """
        latencies_ms = [value for value in self.mean_e2el_ms if value is not None]
        return fmean(self.requests_per_s) / (fmean(latencies_ms) / 1e3) if latencies_ms else None

    def meets(self, target: float) -> bool:
        """Whether the lower end of the interval reaches a target."""
        low = self.interval.low
        return low is not None and low >= target

    def misses(self, target: float) -> bool:
        """Whether the upper end of the interval stays below a target."""
        high = self.interval.high
        return high is not None and high < target


@dataclass(frozen=True, slots=True)
class Capacity:
    """The estimate. `load`: None if no load that was tried meets the target.

    `low`, `high`: a search with other seeds is expected to end between them; None where the range that was searched
    does not bound it. `knee`: the load of largest power. `beyond`: the largest load of the range meets the target, so
    the capacity is at least that. `above`: loads beyond it that meet the target all the same: the curve is no descent.
    """

    load: float | None
    low: float | None
    high: float | None
    knee: float | None
    beyond: bool
    above: tuple[float, ...] = ()


@dataclass(slots=True)
class Curve:
    """Results by load, and what they say of the capacity."""

    target: float
    step: float
    results: dict[float, LoadResult] = field(default_factory=dict)

    def add(self, result: LoadResult) -> None:
        """Take in a load's runs; a later call for the same load replaces the earlier."""
        self.results[result.load] = result

    def in_order(self) -> list[LoadResult]:
        """Results by rising load."""
        return [self.results[load] for load in sorted(self.results)]

    def largest_met(self) -> float | None:
        """The largest load that meets the target, below the first whose whole interval misses it."""
        clear = self.smallest_clear_miss()
        met = [load for load, result in self.results.items() if result.meets(self.target)]
        return max((load for load in met if clear is None or load < clear), default=None)

    def smallest_missed(self) -> float | None:
        """The smallest load beyond the largest that meets the target; whether its interval reaches it or not."""
        met = self.largest_met()
        return None if met is None else min((load for load in self.results if load > met), default=None)

    def smallest_clear_miss(self) -> float | None:
        """The smallest load whose whole interval lies below the target: with fewer requests a load is undecided."""
        return min((load for load, result in self.results.items() if result.misses(self.target)), default=None)

    def lower_end(self) -> float | None:
        """The largest load at which a repetition is expected to meet the target too; None if none was tried."""
        met = self.largest_met()
        sure = [load for load, result in self.results.items() if (result.low_of_repetition or 0.0) >= self.target]
        return max((load for load in sure if met is not None and load <= met), default=None)

    def estimate(self) -> Capacity:
        """The capacity with the interval in which a search with other seeds is expected to end.

        Neither end is nearer than one step, the resolution of the search.
        """
        load, clear = self.largest_met(), self.smallest_clear_miss()
        if load is None:
            return Capacity(None, None, None, self._knee(), beyond=False)
        low = self.lower_end()
        above = sorted(value for value, result in self.results.items() if value > load and result.meets(self.target))
        return Capacity(
            load,
            None if low is None else min(low, load - self.step),
            None if clear is None else max(clear - self.step, load + self.step),
            self._knee(),
            beyond=self.smallest_missed() is None,
            above=tuple(above),
        )

    def _knee(self) -> float | None:
        """None for fewer loads than have one between two others."""
        powers = [(result.power, result.load) for result in self.in_order() if result.power is not None]
        return max(powers, key=lambda pair: (pair[0], -pair[1]))[1] if len(powers) > 2 else None


def result_of(load: float, summaries: Sequence[dict[str, Any]], tier: str, sla_class: str) -> LoadResult:
    """A load's result from the summaries of its runs; runs without counted requests of the tier hit nothing."""
    hits, counts, rates, latencies = [], [], [], []
    for summary in summaries:
        row = next((row for row in summary["sla"] if row["tier"] == tier and row["class"] == sla_class), None)
        of_tier = summary["tiers"].get(tier) or {}
        hits.append(int(row["hits"]) if row else 0)
        counts.append(int(row["n"]) if row else 0)
        rates.append(float(of_tier.get("request_throughput") or 0.0))
        latencies.append(of_tier.get("mean_e2el_ms"))
    return LoadResult(load, tuple(hits), tuple(counts), tuple(rates), tuple(latencies))
