"""The near side of the ns-3 process."""

from __future__ import annotations

from pathlib import Path

import msgspec

from cosim.bridge.child import Child, Runtime
from cosim.bridge.messages import (
    PROTOCOL_VERSION,
    Account,
    Accounted,
    Advance,
    Advanced,
    Close,
    Closed,
    Command,
    ConfigureNetwork,
    Delivered,
    Delivery,
    Direction,
    Knob,
    Link,
    Lose,
    NetworkReady,
    NetworkReply,
    Open,
    Opportunities,
    Reset,
    Send,
    Set,
    Topology,
)
from cosim.bridge.nr_messages import ACCESS_PARTS, NrAccess
from cosim.clock import NS_PER_S
from cosim.kept_children import KeptChildren
from cosim.network.base import Gauge, record
from cosim.network.knobs import direction_at, direction_path

MODULE = "ns3_scenarios.process"
# One request simulates at most this much, so that the silence limit bounds a stuck process and not a long scenario.
SLICE_NS = NS_PER_S
# TCP gives a connection up no sooner than this after it was last used: the SYN is repeated for 127 s, data for longer.
EARLIEST_RESET_NS = 60 * NS_PER_S
# The first start on a machine compiles the C++ library and cppyy's headers.
READY_LIMIT_S = 300.0


class Ns3Network:
    """Packets in ns-3, in a child process.

    Commands are collected here and travel with the next request. While nothing consequential can arrive, `advance`
    answers without a request; the process catches up later.
    """

    def __init__(
        self,
        topology: Topology,
        *,
        runtime: Runtime,
        log: Path,
        silence_limit_s: float,
        gauge: Gauge = lambda t_ns, source, metric, labels, value: None,
        kept: KeptChildren | None = None,
    ) -> None:
        self.hops = hops_of(topology)
        self.wall_ns = 0
        self.run_wall_ns = 0
        self.versions: dict[str, str] = {}
        self._limit_s = silence_limit_s
        self._gauge = gauge
        self._commands: list[Command] = []
        self._now_ns = 0  # of the process
        self._reached_ns = 0  # what `advance` has answered
        self._late: list[Delivery] = []
        self._outstanding = _Outstanding(topology)
        self._given = _GivenOpportunities(topology)
        server = kept.server(MODULE, {}) if kept is not None else None
        self._child = Child("ns-3 network", MODULE, NetworkReply, runtime=runtime, log=log, server=server)
        self._child.send(ConfigureNetwork(PROTOCOL_VERSION, topology))

    def wait_ready(self, *, limit_s: float = READY_LIMIT_S) -> NetworkReady:
        """Wait until the topology stands. Raises ChildError."""
        ready = self._child.receive(NetworkReady, limit_s=limit_s)
        self.wall_ns = self._child.wait_ns
        self.versions = ready.versions
        return ready

    @property
    def pid(self) -> int:
        """Process id of the child."""
        return self._child.pid

    @property
    def refused_messages(self) -> int:
        """Messages of the child that were none."""
        return self._child.refused_messages

    def open(self, connection: int, ue: str, path: str, at_ns: int) -> None:
        """Begin the handshakes of a new connection; `Connected` reports their end."""
        self._outstanding.opened(connection, path, at_ns)
        self._commands.append(Open(at_ns, connection, ue, path))

    def send(self, connection: int, message: int, n_bytes: int, at_ns: int, *, up: bool, wakes: bool) -> None:
        """Hand a message to a connection; `wakes` marks its delivery as consequential."""
        self._outstanding.sent(connection, message, at_ns, up=up, wakes=wakes)
        self._commands.append(Send(at_ns, connection, message, n_bytes, up, wakes))

    def close(self, connection: int, at_ns: int, *, up: bool, wakes: bool) -> None:
        """Close a connection from the UE's side (`up`) or the server's."""
        if up:
            self._outstanding.closed(connection, at_ns, wakes=wakes)
        else:
            self._outstanding.closed_by_server(connection, at_ns)
        self._commands.append(Close(at_ns, connection, up, wakes))

    def set(self, path: str, value: Knob, at_ns: int) -> None:
        """Give what is at a path new values; packets keep their order."""
        self._outstanding.changed(path, value)
        self._commands.append(Set(at_ns, path, self._given.left_out(path, value)))

    def lose(self, link: str, *, up: bool, segment: int, at_ns: int) -> None:
        """Lose one segment: the one with this number, from 1, of those that a direction of a link is given next."""
        self._commands.append(Lose(at_ns, link, up, segment))

    def advance(self, until_ns: int) -> tuple[int, list[Delivery]]:
        """Move to the first consequential delivery or to `until_ns`; returns the time reached and what arrived."""
        deliveries, self._late = self._late, []
        if self._outstanding.none_before(until_ns):
            self._reached_ns = until_ns
            return until_ns, deliveries
        while True:
            arrived, woken = self._request(min(until_ns, self._now_ns + SLICE_NS))
            deliveries += arrived
            # What the process still had to catch up on lies before `_reached_ns` and cannot be consequential.
            if (woken and self._now_ns >= self._reached_ns) or self._now_ns >= until_ns:
                self._reached_ns = self._now_ns
                return self._now_ns, deliveries

    def settle(self, at_ns: int) -> list[Delivery]:
        """Execute everything up to a time that `advance` has reached; returns what had been put off."""
        deliveries, self._late = self._late, []
        while self._now_ns < at_ns or self._commands:
            arrived, _ = self._request(max(self._now_ns, min(at_ns, self._now_ns + SLICE_NS)))
            deliveries += arrived
        return deliveries

    def account(self) -> Accounted:
        """The byte account of every connection and the counters of every link so far."""
        self._late = self.settle(max(self._reached_ns, self._now_ns))
        accounted = self._child.request(Account(), Accounted, limit_s=self._limit_s)
        self.wall_ns = self._child.wait_ns
        record(accounted.kpis, self._gauge)
        return accounted

    def minimum_delay_ns(self, path: str, *, up: bool) -> int:
        """The least time that a byte needs from end to end, over all values that the knobs have had."""
        return self._outstanding.minimum_delay_ns(path, up=up)

    def stop(self, *, politely: bool) -> None:
        """End the process; never raises."""
        self._child.stop(politely=politely)

    def _request(self, until_ns: int) -> tuple[list[Delivery], bool]:
        commands, self._commands = self._commands, []
        reply = self._child.request(Advance(commands, until_ns), Advanced, limit_s=self._limit_s)
        self.wall_ns = self._child.wait_ns
        self.run_wall_ns += reply.run_wall_ns
        self._now_ns = reply.now_ns
        record(reply.kpis, self._gauge)
        return reply.deliveries, self._outstanding.settled(reply.deliveries)


def hops_of(topology: Topology) -> tuple[str, ...]:
    """Names of what a packet's way divides into; a cell's parts each have one of their own."""
    if isinstance(topology.access, NrAccess):
        return (*(f"access_{part}" for part in ACCESS_PARTS), "core", "wan")
    return "access", "core", "wan"


class _GivenOpportunities:
    """Delivery opportunities that the process has: a change of a direction's other values does not repeat them."""

    def __init__(self, topology: Topology) -> None:
        self._given: dict[str, Opportunities | None] = {}
        links = {"core": topology.core} | {f"paths.{name}": link for name, link in topology.paths.items()}
        if isinstance(topology.access, Link):
            links["access"] = topology.access
        for name, link in links.items():
            self._given[direction_path(name, up=True)] = link.uplink.opportunities
            self._given[direction_path(name, up=False)] = link.downlink.opportunities

    def left_out(self, path: str, value: Knob) -> Knob:
        """A knob's value without the opportunities that its direction has."""
        if not isinstance(value, Direction):
            return value
        before, given = self._given.get(path), value.opportunities
        self._given[path] = given
        if given is None or given != before:
            return value
        return msgspec.structs.replace(value, opportunities=Opportunities((), given.period_ns))


class _Outstanding:
    """What is consequential and under way, and how early it can arrive."""

    def __init__(self, topology: Topology) -> None:
        self._delays: dict[tuple[str, bool], int] = {}
        links = {"core": topology.core} | {f"paths.{name}": link for name, link in topology.paths.items()}
        if isinstance(topology.access, NrAccess):
            self._delays["access", True] = topology.access.minimum_delay_ns(up=True)
            self._delays["access", False] = topology.access.minimum_delay_ns(up=False)
        else:
            links["access"] = topology.access
        for name, link in links.items():
            self._delays[name, True] = link.uplink.delay_ns
            self._delays[name, False] = link.downlink.delay_ns
        self._paths: dict[int, str] = {}
        self._messages: dict[int, tuple[int, bool, int]] = {}  # message -> connection, up, when sent
        self._closes: dict[int, int] = {}  # connection -> when closed, for consequential closes
        self._server_closes: dict[int, int] = {}  # connection -> when closed by the server, unless it did not
        self._used_ns: dict[int, int] = {}  # connection -> when it was last used, while it may still be reset
        self._of_connection: dict[int, set[int]] = {}

    def minimum_delay_ns(self, path: str, *, up: bool) -> int:
        return sum(self._delays[link, up] for link in ("access", "core", f"paths.{path}"))

    def opened(self, connection: int, path: str, at_ns: int) -> None:
        self._paths[connection] = path
        self._used_ns[connection] = at_ns

    def sent(self, connection: int, message: int, at_ns: int, *, up: bool, wakes: bool) -> None:
        if connection in self._used_ns:
            self._used_ns[connection] = at_ns
        if wakes and connection in self._paths:
            self._messages[message] = (connection, up, at_ns)
            self._of_connection.setdefault(connection, set()).add(message)

    def closed(self, connection: int, at_ns: int, *, wakes: bool) -> None:
        if connection not in self._paths:
            return
        self._used_ns[connection] = at_ns
        self._server_closes.pop(connection, None)
        # What TCP holds still reaches the server; nothing reaches the UE, and messages to come are discarded.
        for message in list(self._of_connection.get(connection, ())):
            if not self._messages[message][1]:
                self._forget(message)
        if wakes:
            self._closes[connection] = at_ns

    def closed_by_server(self, connection: int, at_ns: int) -> None:
        if connection in self._paths:
            self._server_closes[connection] = at_ns

    def changed(self, path: str, value: Knob) -> None:
        if isinstance(value, Direction):
            direction = direction_at(path)
            self._delays[direction] = min(self._delays.get(direction, value.delay_ns), value.delay_ns)

    def none_before(self, until_ns: int) -> bool:
        """Whether nothing consequential can arrive up to and at a time.

        A message needs the least delay; a reset comes no sooner than EARLIEST_RESET_NS after a connection's last use.
        """
        if any(used_ns + EARLIEST_RESET_NS <= until_ns for used_ns in self._used_ns.values()):
            return False
        return (
            all(
                at_ns + self.minimum_delay_ns(self._paths[connection], up=up) > until_ns
                for connection, up, at_ns in self._messages.values()
            )
            and all(
                at_ns + self.minimum_delay_ns(self._paths[connection], up=True) > until_ns
                for connection, at_ns in self._closes.items()
            )
            and all(
                at_ns + self.minimum_delay_ns(self._paths[connection], up=False) > until_ns
                for connection, at_ns in self._server_closes.items()
            )
        )

    def settled(self, deliveries: list[Delivery]) -> bool:
        """Strike off what has arrived; whether any of it was consequential."""
        woken = False
        for delivery in deliveries:
            if isinstance(delivery, Delivered):
                if delivery.message in self._messages:
                    connection, up, _ = self._messages[delivery.message]
                    if up:
                        self._server_closes.pop(connection, None)  # It had begun to arrive: the server did not close.
                    self._forget(delivery.message)
                    woken = True
            elif isinstance(delivery, (Closed, Reset)):
                woken |= isinstance(delivery, Reset) or not delivery.up or delivery.connection in self._closes
                self._closes.pop(delivery.connection, None)
                self._server_closes.pop(delivery.connection, None)
                for message in list(self._of_connection.get(delivery.connection, ())):
                    self._forget(message)
                self._paths.pop(delivery.connection, None)
                self._used_ns.pop(delivery.connection, None)
        return woken

    def _forget(self, message: int) -> None:
        connection, _, _ = self._messages.pop(message)
        messages = self._of_connection[connection]
        messages.discard(message)
        if not messages:
            del self._of_connection[connection]
