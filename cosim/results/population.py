"""The requests of a run as columns of numbers: what a report draws of an hour fits into memory."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cosim.results.records import RequestRecord
from cosim.results.sla import met

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NO_TIER = "(none)"
# What a request is drawn as: an ok one by the deadlines that it met, any other by its status.
OUTCOMES = (
    "every deadline met",
    "some deadlines met",
    "no deadline met",
    "error",
    "timeout",
    "rejected",
    "cancelled",
)
OK_OUTCOMES = 3


def outcome(record: RequestRecord, deadlines_ns: Iterable[int]) -> str:
    """The one of OUTCOMES that a request is."""
    if record.status != "ok":
        return record.status
    hits = [met(record, deadline_ns) for deadline_ns in deadlines_ns]
    if all(hits):
        return "every deadline met"
    return "some deadlines met" if any(hits) else "no deadline met"


def _integers() -> array[int]:
    return array("q")


@dataclass(slots=True)
class Population:
    """Columns in the order of requests.jsonl; `tier`, `client`, `outcome` are places in `tiers`, `clients`, OUTCOMES.

    `parts` holds 0 where a request lacks a part. Memory is about 250 bytes a request.
    """

    tiers: list[str]
    clients: list[str] = field(default_factory=list)
    request_id: list[str] = field(default_factory=list)
    tier: array[int] = field(default_factory=_integers)
    client: array[int] = field(default_factory=_integers)
    outcome: array[int] = field(default_factory=_integers)
    warmup: array[int] = field(default_factory=_integers)
    scheduled_ns: array[int] = field(default_factory=_integers)
    end_ns: array[int] = field(default_factory=_integers)
    e2el_ns: array[int] = field(default_factory=_integers)
    parts: dict[str, array[int]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.request_id)

    def select(self, tier: str, *, ok: bool = False) -> NDArray[np.int64]:
        """Places of a tier's counted (not warm-up) requests, or of the ok ones among them."""
        import numpy as np

        chosen = (column(self.tier) == self.tiers.index(tier)) & (column(self.warmup) == 0)
        if ok:
            chosen &= column(self.outcome) < OK_OUTCOMES
        return np.nonzero(chosen)[0]

    def parts_of(self, place: int) -> dict[str, int]:
        """A request's parts that are not 0, in ns."""
        return {name: values[place] for name, values in self.parts.items() if values[place]}

    def status_of(self, place: int) -> str:
        """A request's status as in requests.jsonl."""
        kind = self.outcome[place]
        return "ok" if kind < OK_OUTCOMES else OUTCOMES[kind]

    def e2el_scheduled_ns(self) -> NDArray[np.int64]:
        """`t_end_ns - t_scheduled_ns` of every request."""
        return column(self.end_ns) - column(self.scheduled_ns)


def column(values: array[int]) -> NDArray[np.int64]:
    """A column as numpy sees it, without a copy; the column must not grow while the view lives."""
    import numpy as np

    return np.frombuffer(values, dtype=np.int64) if values else np.empty(0, dtype=np.int64)


def populate(records: Iterable[RequestRecord], tiers: Iterable[str], deadlines_ns: Iterable[int]) -> Population:
    """Read requests into columns; a tier that `tiers` does not name goes after those that it names."""
    population = Population(list(tiers))
    places = {name: place for place, name in enumerate(population.tiers)}
    clients: dict[str, int] = {}
    kinds = {name: place for place, name in enumerate(OUTCOMES)}
    deadlines_ns = tuple(deadlines_ns)
    for record in records:
        tier = record.tier if record.tier is not None else NO_TIER
        if tier not in places:
            places[tier] = len(population.tiers)
            population.tiers.append(tier)
        for name in record.parts:
            if name not in population.parts:
                population.parts[name] = array("q", bytes(8 * len(population)))
        for name, values in population.parts.items():
            values.append(record.parts.get(name, 0))
        population.request_id.append(record.request_id)
        population.tier.append(places[tier])
        population.client.append(clients.setdefault(record.client, len(clients)))
        population.outcome.append(kinds[outcome(record, deadlines_ns)])
        population.warmup.append(record.warmup)
        population.scheduled_ns.append(record.t_scheduled_ns)
        population.end_ns.append(record.t_end_ns)
        population.e2el_ns.append(record.e2el_ns)
    population.clients += clients
    return population
