"""The difference of one statistic of two sets of runs: paired as far as they can be, and unpaired beside it."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

from cosim.results.statistics import (
    UNBOUNDED,
    Interval,
    block_bootstrap,
    bounded_from,
    mean_interval,
    paired_share_interval,
    percentile,
    share_difference_interval,
    two_bootstraps,
    welch_interval,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Values = NDArray[np.float64]

INDEPENDENT = "requests taken as independent"
# Share of the requests of either of two runs that must have a partner for the pairs to stand for the runs.
LEAST_COMMON = 0.5
SEED = 1


class Found(NamedTuple):
    """A difference, its interval and what that rests on; `delta` is None where it is not finite."""

    delta: float | None
    interval: Interval
    rests_on: str


@dataclass(frozen=True, slots=True)
class OneSide:
    """The values of the requests of one run, and whose they are."""

    values: Values
    clients: Sequence[str]


@dataclass(frozen=True, slots=True)
class RunPair:
    """The values of the requests that two runs have in common, and those of all requests of each."""

    a: Values
    b: Values
    clients: Sequence[str]
    all_a: Values
    all_b: Values

    @property
    def complete(self) -> bool:
        """Whether each request of either has a partner."""
        return len(self.a) == len(self.all_a) == len(self.all_b)


@dataclass(frozen=True, slots=True)
class Statistic:
    """A figure of the requests of a run, None for one that only pairs have.

    `of_pairs`: the difference over pairs of requests. `share`: of a percentile.
    """

    name: str
    of_run: Callable[[Values], float] | None
    of_pairs: Callable[[Values, Values], float]
    share: float | None = None


def _mean(values: Values) -> float:
    """Over the answered: a mean with a failure in it would be infinite."""
    known = values[values < math.inf]
    return float(known.mean()) if len(known) else math.nan


def _mean_of_pairs(a: Values, b: Values) -> float:
    """Over the pairs of which both were answered."""
    known = (a < math.inf) & (b < math.inf)
    return float((b[known] - a[known]).mean()) if known.any() else math.nan


def _percentile(values: Values, share: float) -> float:
    found = percentile(values[values == values], share)
    return math.nan if found is None else found


def _percentile_of_pairs(a: Values, b: Values, share: float) -> float:
    known = (a == a) & (b == b)
    return _percentile(b[known], share) - _percentile(a[known], share)


def _median_of_differences(a: Values, b: Values) -> float:
    """What happened to the request in the middle; two failures have no difference."""
    import numpy as np

    with np.errstate(invalid="ignore"):
        return _percentile(b - a, 0.5)


HIT_RATE = Statistic("sla_hit_rate", _mean, _mean_of_pairs)
LATENCY_STATISTICS = (
    Statistic("mean", _mean, _mean_of_pairs),
    *(
        Statistic(name, partial(_percentile, share=share), partial(_percentile_of_pairs, share=share), share)
        for name, share in (("median", 0.5), ("p95", 0.95))
    ),
    Statistic("shift", None, _median_of_differences, 0.5),
)


def level(runs: Sequence[OneSide], statistic: Statistic) -> float | None:
    """The mean over runs of their statistic; None where one is not finite."""
    return None if statistic.of_run is None else _finite_mean([statistic.of_run(run.values) for run in runs])


def paired_difference(pairs: Sequence[RunPair], statistic: Statistic) -> Found:
    """Over pairs of runs Student's t; within one pair of runs its clients, or its requests, are resampled.

    Over pairs of runs each run's figure is that of all its requests, with a partner in the other or not; of one pair
    of runs too few of whose requests have partners there is none. Of hit rates without spread over the runs, pairs of
    requests are taken as independent.
    """
    of_run = statistic.of_run
    if of_run is None or len(pairs) == 1 or all(pair.complete for pair in pairs):
        found = [statistic.of_pairs(pair.a, pair.b) for pair in pairs]
    else:
        found = [of_run(pair.all_b) - of_run(pair.all_a) for pair in pairs]
    delta = _finite_mean(found)
    if delta is None:
        return Found(None, UNBOUNDED, "")
    if statistic is HIT_RATE and len(set(found)) == 1:
        if not all(pair.complete for pair in pairs):
            return Found(delta, UNBOUNDED, "runs that do not differ, and requests without partners")
        gained, lost = (sum(int((sign * (pair.b - pair.a) > 0).sum()) for pair in pairs) for sign in (1, -1))
        n = sum(len(pair.a) for pair in pairs)
        return Found(delta, paired_share_interval(gained, lost, n), f"{n} pairs of {INDEPENDENT}")
    if len(pairs) > 1:
        return Found(delta, mean_interval(found), f"{len(pairs)} pairs of runs")
    pair = pairs[0]
    if of_run is not None and len(pair.a) < LEAST_COMMON * max(len(pair.all_a), len(pair.all_b)):
        return Found(None, UNBOUNDED, "")
    if few := _too_few(int(((pair.a == pair.a) & (pair.b == pair.b)).sum()), statistic):
        return Found(delta, UNBOUNDED, few)
    blocks, rests_on = _blocks(pair.clients)
    interval = block_bootstrap(blocks, lambda places: statistic.of_pairs(pair.a[places], pair.b[places]), seed=SEED)
    return Found(delta, interval, rests_on)


def unpaired_difference(a: Sequence[OneSide], b: Sequence[OneSide], statistic: Statistic) -> Found:
    """Over runs Welch's t; of one run against one their clients, or their requests, are resampled, each on its own.

    Of hit rates without spread over the runs of either side, requests are taken as independent.
    """
    of_run = statistic.of_run
    levels = level(a, statistic), level(b, statistic)
    if of_run is None or levels[0] is None or levels[1] is None:
        return Found(None, UNBOUNDED, "")
    delta = levels[1] - levels[0]
    first, second = ([of_run(run.values) for run in runs] for runs in (a, b))
    if statistic is HIT_RATE and len(set(first)) == len(set(second)) == 1:
        counts = [(int(sum(run.values.sum() for run in runs)), sum(len(run.values) for run in runs)) for runs in (a, b)]
        text = f"{counts[0][1]} and {counts[1][1]} {INDEPENDENT}"
        return Found(delta, share_difference_interval(counts[0], counts[1]), text)
    if len(a) > 1 or len(b) > 1:
        return Found(delta, welch_interval(first, second), f"{len(a)} and {len(b)} runs")
    values = a[0].values, b[0].values
    if few := _too_few(min(int((side == side).sum()) for side in values), statistic):
        return Found(delta, UNBOUNDED, few)
    (blocks_a, rests_on), (blocks_b, _) = _blocks(a[0].clients), _blocks(b[0].clients)
    statistics = (lambda places: of_run(values[0][places])), (lambda places: of_run(values[1][places]))
    return Found(delta, two_bootstraps((blocks_a, blocks_b), statistics, seed=SEED), rests_on)


def _finite_mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values and all(map(math.isfinite, values)) else None


def _too_few(n: int, statistic: Statistic) -> str:
    """Empty if a statistic of so many values can be bounded, else n and the n that would do."""
    needed = bounded_from(statistic.share or 0.5)
    return f"n = {n}; n = {needed} would do" if n < needed else ""


def _blocks(clients: Sequence[str]) -> tuple[Sequence[Hashable], str]:
    """What is resampled as a whole: clients, or where there are few of them, each request."""
    count = len(set(clients))
    if count < bounded_from(0.5):
        return range(len(clients)), f"{len(clients)} {INDEPENDENT}"
    return clients, f"{count} clients"
