"""The network as the conductor sees it: connections that carry messages, and knobs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from cosim.bridge.messages import (
    Accounted,
    Closed,
    Connected,
    Delivered,
    Delivery,
    Knob,
    Kpi,
    Reset,
)

__all__ = ["Accounted", "Closed", "Connected", "Delivered", "Delivery", "Knob", "Kpi", "Network", "Reset"]

Gauge = Callable[[int, str, str, dict[str, str], float], None]
"""Where a network's KPIs go as they come in, given at its construction: time (ns), source, metric, labels, value."""

KnobChange = tuple[int, str, Knob]
"""Time (ns), the knob's path, and its value from then on."""


def record(kpis: list[Kpi], gauge: Gauge) -> None:
    """Hand KPIs on, value by value."""
    for kpi in kpis:
        for metric, value in kpi.values.items():
            gauge(kpi.t_ns, kpi.source, metric, kpi.labels, value)


class Network(Protocol):
    """Packets between UEs and servers in virtual time.

    Times are int ns since the epoch and never lie in the network's past. Messages of one direction of a connection
    arrive in the order in which they were sent, at least 1 ns after that.
    """

    hops: tuple[str, ...]
    """Names of the entries of `Delivered.hops_ns` for a message towards a server; reversed for one towards a UE."""

    wall_ns: int
    """Wall time spent in the network so far, seen from the conductor."""

    def open(self, connection: int, ue: str, path: str, at_ns: int) -> None:
        """Begin the handshakes of a new connection; `Connected` reports their end."""

    def send(self, connection: int, message: int, n_bytes: int, at_ns: int, *, up: bool, wakes: bool) -> None:
        """Hand a message to a connection; `wakes` marks its delivery as consequential."""

    def close(self, connection: int, at_ns: int, *, up: bool, wakes: bool) -> None:
        """Close a connection from the UE's side (`up`) or the server's; `Closed` reports that the other side sees it.

        From the UE's, what has not reached TCP yet is discarded, and `wakes` marks the report as consequential. From
        the server's, nothing happens if a part of a request has arrived; the report is always consequential.
        """

    def set(self, path: str, value: Knob, at_ns: int) -> None:
        """Give what is at a path (see `cosim.network.knobs`) a new value; packets keep their order."""

    def advance(self, until_ns: int) -> tuple[int, list[Delivery]]:
        """Move to the first consequential delivery or to `until_ns`; returns the time reached and what arrived.

        While no consequential message is under way a network may put work off and answer at once; what was put off
        arrives with a later call, each delivery with its own time.
        """

    def settle(self, at_ns: int) -> list[Delivery]:
        """Execute everything up to a time that `advance` has reached; returns what had been put off."""

    def account(self) -> Accounted:
        """The byte account of every connection and the counters of every link so far."""

    def minimum_delay_ns(self, path: str, *, up: bool) -> int:
        """The least time that a byte needs from end to end, over all values that the knobs have had."""

    def stop(self, *, politely: bool) -> None:
        """End what runs; never raises."""
