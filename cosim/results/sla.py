"""Hit rates: the share of requests that met each class's deadline, with an interval."""

from __future__ import annotations

from dataclasses import dataclass, field

from cosim.clock import NS_PER_MS
from cosim.results.records import RequestRecord
from cosim.results.statistics import wilson

ASSUMPTION = (
    "Wilson intervals (95 %) assume that requests are independent. Requests of one run share queues and radio "
    "conditions, so the interval is too narrow where they do; the headline interval of repeated runs is across seeds."
)


def met(record: RequestRecord, deadline_ns: int) -> bool | None:
    """Whether a request met a deadline, by `e2el_scheduled_ns` <= deadline.

    Error, timeout and rejected are misses; None for a request that its own client cancelled, which is left out.
    """
    if record.status == "cancelled":
        return None
    return record.status == "ok" and record.e2el_scheduled_ns <= deadline_ns


@dataclass(slots=True)
class _Count:
    n: int = 0
    hits: int = 0
    cancelled: int = 0


@dataclass(slots=True)
class SlaTally:
    """Judges each request of each tier against every class; warm-up is the caller's to leave out.

    `tiers` fixes the order of the rows and gives a tier without requests its rows too; a request that was rejected
    before a tier was chosen counts under tier None, which comes last.
    """

    classes: dict[str, int]
    tiers: list[str]
    _counts: dict[tuple[str | None, str], _Count] = field(default_factory=dict)

    def add(self, record: RequestRecord) -> None:
        """Count a request against every class."""
        for name, deadline_ns in self.classes.items():
            count = self._counts.setdefault((record.tier, name), _Count())
            hit = met(record, deadline_ns)
            if hit is None:
                count.cancelled += 1
            else:
                count.n += 1
                count.hits += hit

    def rows(self) -> list[dict[str, object]]:
        """The `sla` list of summary.json; rates and bounds are None where n is 0."""
        seen = {tier for tier, _ in self._counts}
        tiers: list[str | None] = [*self.tiers, *sorted(t for t in seen if t is not None and t not in self.tiers)]
        if None in seen:
            tiers.append(None)
        return [self._row(tier, name, deadline_ns) for tier in tiers for name, deadline_ns in self.classes.items()]

    def _row(self, tier: str | None, name: str, deadline_ns: int) -> dict[str, object]:
        count = self._counts.get((tier, name), _Count())
        interval = wilson(count.hits, count.n)
        return {
            "tier": tier,
            "class": name,
            "deadline_ms": deadline_ns / NS_PER_MS,
            "n": count.n,
            "hits": count.hits,
            "sla_hit_rate": count.hits / count.n if count.n else None,
            "wilson_low": interval.low,
            "wilson_high": interval.high,
            "cancelled": count.cancelled,
        }
