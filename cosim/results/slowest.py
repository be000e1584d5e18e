"""Single requests that a report names: the one at a percentile, and the slowest with what was unusual in each."""

from __future__ import annotations

import math
from dataclasses import dataclass

from cosim.results.parts import in_order
from cosim.results.population import Population, column

ROWS = 12
LEAST_ROWS_OF_TIER = 2
# A part is named if it makes up at least this share of what a request took longer than the median one.
NOTABLE_SHARE = 0.2
NOTABLE_PARTS = 2


@dataclass(frozen=True, slots=True)
class Excess:
    """A part of a request and the tier's median of it over counted ok requests, in ns."""

    part: str
    value_ns: int
    median_ns: int


@dataclass(frozen=True, slots=True)
class Slow:
    """A request: its parts in ns add up to `e2el_ns`; `unusual` holds the parts that made it slow.

    It is None where the tier has no ok request to compare with.
    """

    request_id: str
    tier: str
    status: str
    scheduled_ns: int
    end_ns: int
    e2el_ns: int
    parts_ns: dict[str, int]
    unusual: list[Excess] | None


def percentile_request(population: Population, tier: str, quantile: float) -> int | None:
    """Place of the counted ok request of a tier at a quantile of `e2el_ns`; None for a tier without one.

    Nearest rank: the ceil(quantile * n)-th of n requests by (`e2el_ns`, `request_id`), so it is a request that was
    served and its own parts add up. Source: Hyndman and Fan (1996), Am. Stat. 50:361-365, definition 1.
    """
    ok = population.select(tier, ok=True)
    if not len(ok):
        return None
    ordered: list[int] = sorted(
        ok.tolist(), key=lambda place: (population.e2el_ns[place], population.request_id[place])
    )
    return ordered[max(math.ceil(quantile * len(ordered)), 1) - 1]


def slowest(population: Population) -> list[Slow]:
    """The slowest counted requests of each tier, about ROWS in all; those that their client cancelled are left out."""
    seen = [(tier, places) for tier in population.tiers if len(places := population.select(tier))]
    share = max(ROWS // max(len(seen), 1), LEAST_ROWS_OF_TIER)
    rows = []
    for tier, places in seen:
        medians_ns = part_medians_ns(population, tier)
        kept = [place for place in places.tolist() if population.status_of(place) != "cancelled"]
        kept.sort(key=lambda place: (-population.e2el_ns[place], population.request_id[place]))
        rows += [_row(population, tier, place, medians_ns) for place in kept[:share]]
    return rows


def part_medians_ns(population: Population, tier: str) -> dict[str, int]:
    """Median of each part over the counted ok requests of a tier, in ns; empty for a tier without one."""
    import numpy as np

    ok = population.select(tier, ok=True)
    if not len(ok):
        return {}
    return {name: round(float(np.median(column(values)[ok]))) for name, values in population.parts.items()}


def _row(population: Population, tier: str, place: int, medians_ns: dict[str, int]) -> Slow:
    parts_ns = population.parts_of(place)
    return Slow(
        population.request_id[place],
        tier,
        population.status_of(place),
        population.scheduled_ns[place],
        population.end_ns[place],
        population.e2el_ns[place],
        {name: parts_ns[name] for name in in_order(parts_ns)},
        unusual(parts_ns, medians_ns),
    )


def unusual(parts_ns: dict[str, int], medians_ns: dict[str, int]) -> list[Excess] | None:
    """The parts that exceed their medians most, largest excess first, small ones left out; None without medians."""
    if not medians_ns:
        return None
    excess_ns = {name: value - medians_ns.get(name, 0) for name, value in parts_ns.items()}
    total_ns = sum(value for value in excess_ns.values() if value > 0)
    largest = sorted(excess_ns, key=lambda name: (-excess_ns[name], name))[:NOTABLE_PARTS]
    return [
        Excess(name, parts_ns[name], medians_ns.get(name, 0))
        for name in largest
        if excess_ns[name] > 0 and excess_ns[name] >= NOTABLE_SHARE * total_ns
    ]
