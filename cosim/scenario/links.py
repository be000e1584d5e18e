"""One link: values of a direction, values of both ways with a preset under them, and which of them go together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import Field, model_validator

from cosim.scenario.link_values import (
    Delay,
    Discipline,
    FqCodel,
    GammaJitter,
    Jitter,
    LinkRate,
    Loss,
    MahimahiRate,
    RttTrace,
)
from cosim.scenario.path_presets import PresetName, laid_under, presets
from cosim.scenario.section import Finding, Section, problem
from cosim.scenario.units import Duration, PositiveDuration, Size

LONGEST_LINK_DELAY_NS = 3600 * 10**9

_NOTHING_WAITS = "there is no rate, so no packet ever waits"
_JITTER = (
    "Random extra delay of each packet: the mean of an exponential one, or kind gamma; or kind trace, what a series of "
    "round-trip times adds to its least, half each way. Packets keep their order."
)
_DELAY = "One-way propagation delay; or kind trace: half of a round-trip time that changes."
_RATE = "Serialisation rate; or kind mahimahi: a packet-delivery trace. None: no serialisation delay."
_LOSS = "Share of packets lost, each on its own; or kind gilbert-elliott: in bursts."
_QUEUE = "Bytes that wait in a FIFO before packets are dropped; none: no limit."
_DISCIPLINE = "Who of those that wait is sent: fifo, or kind fq-codel, whose limit is in packets."


class LinkDirection(Section):
    """One direction of an access link."""

    rate: LinkRate | None = Field(None, description=_RATE)
    delay: Delay = Field(0, description=_DELAY)
    jitter: Jitter = Field(0, description=_JITTER)
    loss: Loss = Field(0.0, description=_LOSS)
    queue: Size | None = Field(None, description=_QUEUE)
    discipline: Discipline = Field("fifo", description=_DISCIPLINE)

    def takes_packets(self) -> bool:
        """Whether a value has an effect on packets alone: loss, a queue that drops or is shared out, opportunities."""
        own_rate = isinstance(self.rate, MahimahiRate)
        return bool(self.loss) or self.queue is not None or self.discipline != "fifo" or own_rate


class Outage(Section):
    """A time in which a path loses every packet."""

    at: Duration
    duration: PositiveDuration


class Path(Section):
    """A link with the same values each way unless a key with `_up` or `_down` says otherwise."""

    preset: PresetName | None = Field(None, description="Where values come from that are not given here.")
    delay: Delay = Field(0, description=f"{_DELAY} Applies each way.")
    delay_up: Delay | None = None
    delay_down: Delay | None = None
    rate: LinkRate | None = Field(None, description=_RATE)
    rate_up: LinkRate | None = None
    rate_down: LinkRate | None = None
    jitter: Jitter = Field(0, description=_JITTER)
    jitter_up: Jitter | None = None
    jitter_down: Jitter | None = None
    loss: Loss = Field(0.0, description=_LOSS)
    loss_up: Loss | None = None
    loss_down: Loss | None = None
    queue: Size | None = Field(None, description=_QUEUE)
    queue_up: Size | None = None
    queue_down: Size | None = None
    discipline: Discipline = Field("fifo", description=_DISCIPLINE)
    discipline_up: Discipline | None = None
    discipline_down: Discipline | None = None
    outages: list[Outage] = Field(default_factory=list)

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, given: Any) -> Any:
        return laid_under(given) if isinstance(given, dict) else given

    @model_validator(mode="after")
    def _outages_follow_one_another(self) -> Path:
        for index, (before, after) in enumerate(zip(self.outages, self.outages[1:], strict=False)):
            if after.at < before.at + before.duration:
                raise problem(("outages", index + 1, "at"), "begins before the last one has ended", "a later time")
        return self

    def from_preset(self) -> list[str]:
        """The keys whose values are the preset's."""
        if self.preset is None:
            return []
        plain = Path.model_validate({"preset": self.preset})
        return [key for key in presets()[self.preset].figures if getattr(self, key) == getattr(plain, key)]

    def partly_from_preset(self) -> dict[str, list[str]]:
        """The keys of sections of which some values are the preset's, with those that are not."""
        if self.preset is None:
            return {}
        plain = Path.model_validate({"preset": self.preset})
        found: dict[str, list[str]] = {}
        for key in presets()[self.preset].figures:
            own, other = getattr(self, key), getattr(plain, key)
            if isinstance(own, Section) and type(own) is type(other) and own != other:
                names = [name for name in type(own).model_fields if name != "kind"]
                differ = [name for name in names if getattr(own, name) != getattr(other, name)]
                if len(differ) < len(names):
                    found[key] = differ
        return found

    def direction(self, *, up: bool) -> LinkDirection:
        """The values of one direction."""
        suffix = "_up" if up else "_down"
        values = {}
        for key in LinkDirection.model_fields:
            own = getattr(self, key + suffix)
            values[key] = getattr(self, key) if own is None else own
        return LinkDirection.model_construct(**values)


def impossible(link: LinkDirection | Path, mtu_bytes: int) -> Iterator[Finding]:
    """Values that no link has, and those that mean nothing beside the others."""
    for suffix in ("", "_up", "_down"):
        queue = getattr(link, f"queue{suffix}", None)
        if queue is not None and queue < mtu_bytes:
            yield (f"queue{suffix}",), f"{queue} bytes hold no packet", f"at least ue_mtu ({mtu_bytes} B)"
        for name in ("delay", "jitter"):
            value = getattr(link, f"{name}{suffix}", None)
            mean_ns = value.mean if isinstance(value, GammaJitter) else value
            if isinstance(mean_ns, int) and mean_ns > LONGEST_LINK_DELAY_NS:
                yield (f"{name}{suffix}",), "is longer than any link's", "at most 1h"
    for key, directions in _spoken_for(link, "jitter").items():
        if any(_longest_ns(direction) > LONGEST_LINK_DELAY_NS for direction in directions):
            yield (key,), "makes a delay that is longer than any link's", "at most 1h with the delay"
    for key, directions in _spoken_for(link, "queue").items():
        if directions[0].queue is not None and all(direction.rate is None for direction in directions):
            yield (key,), _NOTHING_WAITS, "a rate, or no queue"
    for key, directions in _spoken_for(link, "discipline").items():
        if not isinstance(directions[0].discipline, FqCodel):
            continue
        if all(direction.rate is None for direction in directions):
            yield (key,), _NOTHING_WAITS, "a rate, or discipline: fifo"
        elif any(direction.queue is not None for direction in directions):
            yield (key,), "stands beside a queue in bytes", "queue: null; fq-codel has its own limit, `packets`"


def _longest_ns(values: LinkDirection) -> int:
    """The longest delay of a direction whose jitter is a trace; 0 of any other."""
    if not isinstance(values.jitter, RttTrace):
        return 0
    delay = values.delay
    if isinstance(delay, RttTrace):
        delay = max((rtt_ns for _, rtt_ns in delay.samples or ()), default=0) // 2
    return delay + values.jitter.most_above_least_ns // 2


def _spoken_for(link: LinkDirection | Path, name: str) -> dict[str, list[LinkDirection]]:
    """The directions whose value of a name each key gives."""
    if isinstance(link, LinkDirection):
        return {name: [link]}
    found: dict[str, list[LinkDirection]] = {}
    for up, suffix in ((True, "_up"), (False, "_down")):
        key = name if getattr(link, name + suffix) is None else name + suffix
        found.setdefault(key, []).append(link.direction(up=up))
    return found
