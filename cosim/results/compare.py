"""`cosim compare`: two runs, points or sweeps side by side, with the difference, its interval and a verdict."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import msgspec

from cosim.results.compared_runs import (
    ALL_TIERS,
    LATENCIES,
    Difference,
    Sample,
    Side,
    differing_keys,
    executes,
    samples,
    sides,
)
from cosim.results.difference import (
    HIT_RATE,
    LATENCY_STATISTICS,
    Found,
    OneSide,
    RunPair,
    Statistic,
    level,
    paired_difference,
    unpaired_difference,
)
from cosim.results.manifest import mapping
from cosim.results.statistics import Interval
from cosim.results.store import read_requests

DECIMALS = 6
# Below this an interval's end is zero: 1 ns, and a ten-millionth of a per cent.
ZERO = 1e-6


class Row(msgspec.Struct, frozen=True):
    """A statistic of a tier: latencies in ms, hit rates (of `sla_class`) as shares.

    `a`, `b`: means over the runs; latencies' means are of answered requests, their percentiles of all requests with
    failures as +inf. `shift` is the median of the differences of paired requests. `delta` is b - a, over pairs where
    runs are paired; `rests_on` says over what, and `unpaired_rests_on` what the interval would rest on without pairs.
    `unanswered_pairs`: pairs that a mean leaves out, since at least one of the two failed.
    """

    tier: str
    sla_class: str | None
    metric: str
    statistic: str
    a: float | None
    b: float | None
    delta: float | None
    low: float | None
    high: float | None
    rests_on: str
    unpaired_delta: float | None
    unpaired_low: float | None
    unpaired_high: float | None
    unpaired_rests_on: str
    unanswered_pairs: int
    verdict: str


class PointComparison(msgspec.Struct, frozen=True):
    """Two points, or two runs. `not_paired`: why their draws are not the same; None if they are.

    `seeds`: of the runs that are compared pair by pair. `requests_paired`: of these runs; `only_a`, `only_b`: counted
    requests without a partner of the same request_id in the other.
    """

    a: str
    b: str
    differs: list[Difference]
    not_paired: str | None
    seeds: list[int]
    runs_a: int
    runs_b: int
    requests_paired: int
    only_a: int
    only_b: int
    rows: list[Row]


class Comparison(msgspec.Struct, frozen=True):
    """All points. `lacking`: points of one sweep only. `objections`: runs that are INVALID or never ended."""

    a: str
    b: str
    lacking: list[str]
    objections: list[str]
    points: list[PointComparison]


def compare(a: Path, b: Path) -> Comparison:
    """Compare two runs, points or sweeps. Raises ResultsError for what is neither, and for damaged files."""
    found, lacking = sides(a, b)
    objections = [text for pair in found for side in pair for text in _objections(side)]
    points = [_point(*pair) for pair in found if all(side.runs for side in pair)]
    return Comparison(str(a), str(b), lacking, [*dict.fromkeys(objections)], points)


def _objections(side: Side) -> Iterator[str]:
    for path in side.unended:
        yield f"{path} never came to its end and is left out"
    for run in side.runs.values():
        issued, found = mapping(run.summary.get("requests")).get("issued"), sum(1 for _ in read_requests(run.directory))
        if found != issued:
            yield f"{run.directory}: requests.jsonl holds {found} of {issued} requests; restore it or run it again"
        if run.summary.get("verdict") != "VALID":
            reasons = run.summary.get("reasons") or ["no reason given"]
            yield f"{run.directory} is INVALID: {'; '.join(map(str, reasons))}"


def _point(a: Side, b: Side) -> PointComparison:
    first, second = ({seed: samples(run) for seed, run in side.runs.items()} for side in (a, b))
    seeds = sorted(first.keys() & second.keys())
    not_paired = _not_paired(a, b, seeds) or _due_otherwise(first, second, seeds)
    common = [_common(first[seed].get(ALL_TIERS), second[seed].get(ALL_TIERS)) for seed in seeds]
    paired = sum(map(len, common))
    of_seeds = [sum(len(of_run[seed][ALL_TIERS].clients) for seed in seeds) for of_run in (first, second)]
    tiers = [*dict.fromkeys(tier for of_run in (first, second) for run in of_run.values() for tier in run)]
    tiers = [tier for tier in tiers if tier != ALL_TIERS and all(_serves(side, tier) for side in (first, second))]
    if _moved(first, second):
        tiers.append(ALL_TIERS)
    return PointComparison(
        a=str(a.directory),
        b=str(b.directory),
        differs=differing_keys(a, b),
        not_paired=not_paired,
        seeds=seeds,
        runs_a=len(a.runs),
        runs_b=len(b.runs),
        requests_paired=paired,
        only_a=of_seeds[0] - paired,
        only_b=of_seeds[1] - paired,
        rows=[row for tier in tiers for row in _tier_rows(tier, first, second, [] if not_paired else seeds)],
    )


def _not_paired(a: Side, b: Side, seeds: Sequence[int]) -> str | None:
    if not seeds:
        return "no seed in common, so arrivals and draws differ"
    if any(executes(run) for side in (a, b) for run in side.runs.values()):
        return "steps were executed, and carry a noise of their own in each run"
    return None


def _due_otherwise(
    first: dict[int, dict[str, Sample]], second: dict[int, dict[str, Sample]], seeds: Sequence[int]
) -> str | None:
    """Requests of one name are not one request where clients that do not wait for answers ask at other times."""
    for seed in seeds:
        due_a, due_b = first[seed][ALL_TIERS].due_ns, second[seed][ALL_TIERS].due_ns
        if any(due_ns != due_b.get(request_id, due_ns) for request_id, due_ns in due_a.items()):
            return "requests of one name were due at other times, so they are not the same"
    return None


def _moved(first: dict[int, dict[str, Sample]], second: dict[int, dict[str, Sample]]) -> bool:
    """Whether a request was served by another tier in the other run, so that tiers on their own do not tell all."""
    served: list[dict[tuple[int, str], str]] = [{}, {}]
    for found, of_run in zip(served, (first, second), strict=True):
        for seed, run in of_run.items():
            for tier in run.keys() - {ALL_TIERS}:
                found |= {(seed, request_id): tier for request_id in run[tier].places}
    if served[0].keys() & served[1].keys():
        return any(served[1].get(key, tier) != tier for key, tier in served[0].items())
    return set(served[0].values()) != set(served[1].values())


def _serves(side: dict[int, dict[str, Sample]], tier: str) -> bool:
    """Whether requests of some run were served by a tier; what one side alone has is in no difference of its own."""
    return any(len(run[tier].clients) for run in side.values() if tier in run)


def _common(a: Sample | None, b: Sample | None) -> list[tuple[int, int]]:
    """Places of the requests that both have."""
    if a is None or b is None:
        return []
    return [(place, b.places[request_id]) for request_id, place in a.places.items() if request_id in b.places]


def _tier_rows(
    tier: str, first: dict[int, dict[str, Sample]], second: dict[int, dict[str, Sample]], seeds: Sequence[int]
) -> Iterator[Row]:
    a, b = ([run.get(tier, Sample()) for run in of_run.values()] for of_run in (first, second))
    pairs = [(first[seed].get(tier, Sample()), second[seed].get(tier, Sample())) for seed in seeds]
    for name in dict.fromkeys(name for sample in [*a, *b] for name in sample.hits):
        data = _data(a, b, pairs, partial(_hits, name=name))
        yield _row(tier, name, HIT_RATE.name, HIT_RATE, data)
    for metric in LATENCIES:
        data = _data(a, b, pairs, partial(_latencies_ms, name=metric))
        for statistic in LATENCY_STATISTICS:
            if statistic.of_run is not None or data.pairs:
                yield _row(tier, None, metric, statistic, data)


def _hits(sample: Sample, name: str) -> list[float]:
    return sample.hits.get(name, [])


def _latencies_ms(sample: Sample, name: str) -> list[float]:
    return sample.latencies_ms[name]


class _Data(NamedTuple):
    """One value of each request: by run of both sides, and by pair of runs."""

    a: list[OneSide]
    b: list[OneSide]
    pairs: list[RunPair]


def _data(
    a: list[Sample], b: list[Sample], pairs: list[tuple[Sample, Sample]], values: Callable[[Sample], list[float]]
) -> _Data:
    import numpy as np

    run_pairs = []
    for first, second in pairs:
        places = _common(first, second)
        columns = [np.array(values(sample), dtype=np.float64) for sample in (first, second)]
        if all(map(len, columns)) and places:
            ends = [column[[pair[k] for pair in places]] for k, column in enumerate(columns)]
            clients = [first.clients[place] for place, _ in places]
            run_pairs.append(RunPair(ends[0], ends[1], clients, columns[0], columns[1]))
    one_sides = [
        [OneSide(np.array(values(sample), dtype=np.float64), sample.clients) for sample in side] for side in (a, b)
    ]
    return _Data(one_sides[0], one_sides[1], run_pairs)


def _row(tier: str, sla_class: str | None, metric: str, statistic: Statistic, data: _Data) -> Row:
    unpaired = _within(unpaired_difference(data.a, data.b, statistic), statistic)
    paired = _within(paired_difference(data.pairs, statistic), statistic) if data.pairs else None
    found = unpaired if paired is None or (paired.delta is None and statistic.of_run is not None) else paired
    unanswered = [int(((pair.a == math.inf) | (pair.b == math.inf)).sum()) for pair in data.pairs]
    return Row(
        tier=tier,
        sla_class=sla_class,
        metric=metric,
        statistic=statistic.name,
        a=_rounded(level(data.a, statistic)),
        b=_rounded(level(data.b, statistic)),
        delta=_rounded(found.delta),
        low=_rounded(found.interval.low),
        high=_rounded(found.interval.high),
        rests_on=found.rests_on,
        unpaired_delta=_rounded(unpaired.delta),
        unpaired_low=_rounded(unpaired.interval.low),
        unpaired_high=_rounded(unpaired.interval.high),
        unpaired_rests_on=unpaired.rests_on,
        unanswered_pairs=sum(unanswered),
        verdict=_verdict(found, share=statistic is HIT_RATE),
    )


def _within(found: Found, statistic: Statistic) -> Found:
    """Two shares differ by no more than 1."""
    if statistic is not HIT_RATE:
        return found
    low, high = found.interval
    return found._replace(
        interval=Interval(None if low is None else max(low, -1.0), None if high is None else min(high, 1.0))
    )


def _verdict(found: Found, *, share: bool) -> str:
    low, high = found.interval
    if found.delta is None:
        return "cannot say: not answered, or not there, in one of the two"
    if low is None or high is None:
        return f"cannot say with {found.rests_on}"
    scale, unit = (100, "points") if share else (1, "ms")
    decimals = 1 if scale * max(abs(low), abs(high)) >= 1 else 3
    interval = f"[{scale * low:.{decimals}f}, {scale * high:.{decimals}f}]"
    if low <= ZERO and high >= -ZERO:
        return f"no difference seen {interval} {unit}"
    words = ("higher", "lower") if share else ("slower", "faster")
    return f"B {words[found.delta < 0]} by {scale * abs(found.delta):.{decimals}f} {unit} {interval}"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, DECIMALS)
