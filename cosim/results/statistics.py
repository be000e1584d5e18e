"""Intervals for what runs measure, each with the assumption it rests on.

Across runs the runs are independent, for each has its own seed. Inside a run requests share queues and radio
conditions: an interval that takes them as independent says so, and `block_bootstrap` takes only clients as independent.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CONFIDENCE = 0.95
RESAMPLES = 1000


class Interval(NamedTuple):
    """A confidence interval; an end is None where the sample cannot bound it."""

    low: float | None
    high: float | None


UNBOUNDED = Interval(None, None)


def mean_interval(values: Sequence[float]) -> Interval:
    """Student's t interval of the mean of independent values: a figure of each run, or its difference in paired runs.

    mean -+ t(n - 1) * s / sqrt(n); unbounded for fewer than two values or where one is not finite. Source: Student
    (1908), Biometrika 6:1-25, as in scipy.stats.ttest_1samp(values, 0).confidence_interval().
    """
    n = len(values)
    if n < 2 or not all(map(math.isfinite, values)):
        return UNBOUNDED
    mean = fmean(values)
    half = _t(n - 1) * _deviation(values, mean) / math.sqrt(n)
    return Interval(mean - half, mean + half)


def share_interval(hits: Sequence[int], counts: Sequence[int]) -> Interval:
    """Interval of the mean share of runs, `hits` out of `counts` in each; a run of none is left out.

    Student's t over the runs' shares, within 0 and 1. Where all runs have the same share, as when every request of all
    of them was a hit, their spread is not seen: then Wilson's over all requests, which takes them as independent.
    """
    shares = [hit / n for hit, n in zip(hits, counts, strict=True) if n]
    if len(set(shares)) == 1:
        return wilson(sum(hits), sum(counts)) if len(shares) > 1 else UNBOUNDED
    low, high = mean_interval(shares)
    return Interval(None if low is None else max(low, 0.0), None if high is None else min(high, 1.0))


@functools.lru_cache(maxsize=4096)
def wilson(hits: int, n: int) -> Interval:
    """Wilson's score interval of a share; requests are taken as independent. Unbounded for n = 0.

    Source: Wilson (1927), J. Am. Stat. Assoc. 22:209-212, as in scipy.stats.binomtest(hits, n).proportion_ci.
    """
    if n == 0:
        return UNBOUNDED
    # scipy takes most of a second to import, and only a summary needs it.
    from scipy.stats import binomtest

    interval = binomtest(hits, n).proportion_ci(confidence_level=CONFIDENCE, method="wilson")
    return Interval(float(interval.low), float(interval.high))


def percentile(values: Sequence[float] | NDArray[np.float64], share: float) -> float | None:
    """The least value that at least this share of all does not exceed; None without values.

    A failure is a value of +inf, and a percentile that falls on one is +inf. Source: numpy.quantile, inverted_cdf, of
    which it takes a tenth of the time (a bootstrap asks a thousand times).
    """
    if not len(values):
        return None
    import numpy as np

    rank = max(math.ceil(share * len(values) - 1e-9), 1) - 1
    return float(np.partition(values, rank)[rank])


def percentile_interval(values: Sequence[float], share: float) -> Interval:
    """Interval of a percentile between two order statistics; values are taken as independent, of any distribution.

    An end is None where there are too few values for it, or where it falls on a failure (+inf): see `unbounded_text`.
    Source: Conover (1999), Practical Nonparametric Statistics, 3.2, as in scipy.stats.quantile_test.
    """
    if not len(values):
        return UNBOUNDED
    from scipy.stats import quantile_test

    found = quantile_test(list(values), q=0, p=share).confidence_interval(confidence_level=CONFIDENCE)
    return _bounded(float(found.low), float(found.high))


def unbounded_text(values: Sequence[float], share: float) -> str:
    """Why an end of the interval of a percentile is missing, with the number of values that would do; else empty."""
    needed = bounded_from(max(share, 1 - share))
    if len(values) < needed:
        return f"cannot be bounded with n = {len(values)}; n = {needed} would do"
    if percentile_interval(values, share).high is None:
        failed = sum(math.isinf(value) for value in values)
        return f"cannot be bounded from above: {failed} of {len(values)} requests were not answered"
    return ""


def bounded_from(quantile: float, confidence: float = CONFIDENCE) -> int:
    """Least number of independent samples from which a quantile has a finite two-sided upper confidence bound.

    The bound exists when the largest sample exceeds the quantile with probability 1 - (1 - confidence) / 2:
    n >= log((1 - confidence) / 2) / log(quantile). Source: distribution-free order-statistic interval,
    scipy.stats.quantile_test.
    """
    return math.ceil(math.log((1 - confidence) / 2) / math.log(quantile))


def block_bootstrap(
    blocks: Sequence[Hashable], statistic: Callable[[NDArray[np.int64]], float], *, seed: int
) -> Interval:
    """Interval of a statistic of values that depend on one another within blocks, such as requests of one client.

    `blocks` names the block of each value; `statistic` gets the places of the values of a resample, in which whole
    blocks were drawn with replacement. The ends are percentiles of RESAMPLES such statistics, so a share or a
    percentile of few blocks gets too narrow an interval; unbounded below the number of blocks from which even a median
    has an interval (`bounded_from(0.5)`, 6). Source: Efron and Tibshirani (1993), An Introduction to the Bootstrap,
    13.3; blocks: Davison and Hinkley (1997), Bootstrap Methods and their Application, 3.8.
    """
    members = _members(blocks)
    if len(members) < bounded_from(0.5):
        return UNBOUNDED
    return _percentiles([statistic(places) for places in _resamples(members, seed)])


def two_bootstraps(
    blocks: tuple[Sequence[Hashable], Sequence[Hashable]],
    statistics: tuple[Callable[[NDArray[np.int64]], float], Callable[[NDArray[np.int64]], float]],
    *,
    seed: int,
) -> Interval:
    """Interval of the second statistic less the first, of two samples that have nothing to do with each other.

    As `block_bootstrap`, each sample resampled on its own.
    """
    sides = [_members(names) for names in blocks]
    if min(map(len, sides)) < bounded_from(0.5):
        return UNBOUNDED
    first, second = (
        [statistic(places) for places in _resamples(members, seed + side)]
        for side, (members, statistic) in enumerate(zip(sides, statistics, strict=True))
    )
    return _percentiles([b - a for a, b in zip(first, second, strict=True)])


def paired_share_interval(gained: int, lost: int, n: int) -> Interval:
    """Interval of (gained - lost) / n over n pairs of requests, `gained` a hit in the second only, `lost` in the first.

    Pairs are taken as independent; unbounded for n = 0. Wald's interval with half a pair more of each of four kinds:
    d -+ z * sqrt((gained + lost + 1 - (gained - lost)^2 / (n + 2))) / (n + 2). Source: Agresti and Min (2005), Stat.
    Med. 24:729-740.
    """
    if n == 0:
        return UNBOUNDED
    difference = (gained - lost) / (n + 2)
    half = _t(None) * math.sqrt(gained + lost + 1 - (gained - lost) ** 2 / (n + 2)) / (n + 2)
    return Interval(max(difference - half, -1.0), min(difference + half, 1.0))


def share_difference_interval(first: tuple[int, int], second: tuple[int, int]) -> Interval:
    """Interval of the share of `second` less that of `first`, each (hits, n); requests are taken as independent.

    From Wilson's intervals of both; unbounded where either n is 0. Source: Newcombe (1998), Stat. Med. 17:873-890,
    method 10.
    """
    (low_a, high_a), (low_b, high_b) = wilson(*first), wilson(*second)
    if low_a is None or high_a is None or low_b is None or high_b is None:
        return UNBOUNDED
    a, b = first[0] / first[1], second[0] / second[1]
    return Interval(
        b - a - math.hypot(b - low_b, high_a - a),
        b - a + math.hypot(high_b - b, a - low_a),
    )


def welch_interval(first: Sequence[float], second: Sequence[float]) -> Interval:
    """Interval of the mean of `second` less that of `first`, independent samples of unequal variances.

    Unbounded for fewer than two values of either or where one is not finite. Source: Welch (1947), Biometrika
    34:28-35, as in scipy.stats.ttest_ind(second, first, equal_var=False).confidence_interval().
    """
    if min(len(first), len(second)) < 2 or not all(map(math.isfinite, [*first, *second])):
        return UNBOUNDED
    errors = [_deviation(values, fmean(values)) ** 2 / len(values) for values in (first, second)]
    difference, error = fmean(second) - fmean(first), sum(errors)
    if error == 0:
        return Interval(difference, difference)
    degrees = error**2 / sum(e**2 / (len(v) - 1) for e, v in zip(errors, (first, second), strict=True))
    half = _t(degrees) * math.sqrt(error)
    return Interval(difference - half, difference + half)


def _deviation(values: Sequence[float], mean: float) -> float:
    """Standard deviation with the divisor n - 1; a sweep asks for it 100,000 times, and `statistics.stdev` is slow."""
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


@functools.lru_cache(maxsize=1024)
def _t(degrees: float | None) -> float:
    """The two-sided quantile of Student's t, of the normal distribution without degrees."""
    from scipy.special import ndtri, stdtrit

    tail = (1 + CONFIDENCE) / 2
    return float(ndtri(tail) if degrees is None else stdtrit(degrees, tail))


def _members(blocks: Sequence[Hashable]) -> list[NDArray[np.int64]]:
    """The places of each block's values."""
    import numpy as np

    places: dict[Hashable, list[int]] = {}
    for place, block in enumerate(blocks):
        places.setdefault(block, []).append(place)
    return [np.array(found, dtype=np.int64) for found in places.values()]


def _resamples(members: list[NDArray[np.int64]], seed: int) -> Iterator[NDArray[np.int64]]:
    import numpy as np

    draw = np.random.default_rng(seed)
    single = np.concatenate(members) if all(len(places) == 1 for places in members) else None
    for _ in range(RESAMPLES):
        drawn = draw.integers(len(members), size=len(members))
        yield np.concatenate([members[place] for place in drawn.tolist()]) if single is None else single[drawn]


def _percentiles(statistics: list[float]) -> Interval:
    """The ends between which CONFIDENCE of resampled statistics lie; a difference of two failures bounds nothing."""
    import numpy as np

    if any(map(math.isnan, statistics)):
        return UNBOUNDED
    low, high = np.quantile(statistics, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], method="inverted_cdf")
    return _bounded(float(low), float(high))


def _bounded(low: float, high: float) -> Interval:
    return Interval(low if math.isfinite(low) else None, high if math.isfinite(high) else None)
