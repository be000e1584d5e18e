"""What traces of round-trip times make of a link's delay, and when it changes.

A direction has half of the round-trip time (a `delay` that is a trace) or half of what is above the trace's least (a
`jitter` that is one). A sample holds until the next; the last holds for as long as the one before it, then the trace
begins again. A link's packets keep their order when its delay falls.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Iterator

from cosim.scenario.link_values import RttTrace
from cosim.scenario.links import LinkDirection


def delay_ns(values: LinkDirection, t_ns: int) -> int:
    """The fixed part of a direction's delay at a time."""
    delay, jitter = values.delay, values.jitter
    base_ns = _rtt_ns(delay, t_ns) // 2 if isinstance(delay, RttTrace) else delay
    if not isinstance(jitter, RttTrace):
        return base_ns
    assert jitter.samples is not None
    least_ns = min(rtt_ns for _, rtt_ns in jitter.samples)
    return base_ns + (_rtt_ns(jitter, t_ns) - least_ns) // 2


def change_times_ns(values: LinkDirection) -> Iterator[int]:
    """When the delay may change, after 0, in order and without end if the direction has a trace."""
    return heapq.merge(*(_starts_ns(trace) for trace in traces(values)))


def traces(values: LinkDirection) -> list[RttTrace]:
    """The traces that a direction's delay follows."""
    return [value for value in (values.delay, values.jitter) if isinstance(value, RttTrace)]


def _rtt_ns(trace: RttTrace, t_ns: int) -> int:
    assert trace.samples is not None
    if len(trace.samples) == 1:
        return trace.samples[0][1]
    place = bisect_right(trace.samples, t_ns % trace.period_ns, key=lambda sample: sample[0])
    return trace.samples[place - 1][1]


def _starts_ns(trace: RttTrace) -> Iterator[int]:
    """When samples begin to hold, but for the first."""
    assert trace.samples is not None
    if len(trace.samples) == 1:
        return
    round_ns = 0
    while True:
        yield from (round_ns + t_ns for t_ns, _ in trace.samples if round_ns + t_ns)
        round_ns += trace.period_ns
