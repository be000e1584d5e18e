"""The deterministic double of a network: each link a rate and a delay, messages instead of packets, no TCP dynamics.

A message crosses its hops one after another: it waits until the link is free, is serialised at the link's rate, then
travels for the link's delay and a random jitter. Loss, queue disciplines and delivery opportunities are not modelled:
what they do to a message takes packets to know.
"""

from __future__ import annotations

import heapq
from collections import deque
from dataclasses import dataclass, field

import numpy as np

from cosim.bridge.messages import (
    Accounted,
    Closed,
    Connected,
    ConnectionBytes,
    Delivered,
    Delivery,
    Direction,
    Knob,
    Kpi,
    Link,
    LinkCounters,
    Topology,
)
from cosim.clock import NS_PER_S, monotonic_ns
from cosim.network.base import Gauge, record
from cosim.network.knobs import direction_at
from cosim.network.link_use import LinkUse, window_end_ns

HOPS = ("access", "core", "wan")


# A connection, as draws are keyed by it: the number of its UE, from 1, and which of the UE's it is.
_Draws = tuple[int, int]
_HELD = 0  # no UE's number


class _Pipe:
    """One direction of a link."""

    def __init__(self, values: Direction, seeds: list[int], use: LinkUse) -> None:
        self.values = values
        self.least_delay_ns = values.delay_ns
        self._messages = 0
        self._n_bytes = 0
        self._max_waiting_bytes = 0
        self._waiting_bytes = 0
        self._waiting: deque[tuple[int, int, int]] = deque()  # start and end of transmission, bytes
        self._use = use
        self._seeds = seeds
        self._rngs: dict[_Draws, np.random.Generator] = {}
        self._free_ns = 0
        self._last_arrival_ns = 0

    def set(self, values: Direction) -> None:
        self.values = values
        self.least_delay_ns = min(self.least_delay_ns, values.delay_ns)

    def carry(self, n_bytes: int, t_ns: int, draws: _Draws) -> int:
        """Arrival time of a connection's message that reaches the link at a time; never before an earlier one's."""
        start_ns = max(t_ns, self._free_ns)
        rate = self.values.rate_bps
        self._free_ns = start_ns + (-(-n_bytes * 8 * NS_PER_S // rate) if rate else 0)
        self._last_arrival_ns = max(
            self._last_arrival_ns, self._free_ns + self.values.delay_ns + self._jitter_ns(t_ns, draws)
        )
        if n_bytes:
            self._note(t_ns, start_ns, n_bytes)
        return self._last_arrival_ns

    def forget(self, draws: _Draws) -> None:
        """Nothing more comes of a connection."""
        self._rngs.pop(draws, None)

    def _jitter_ns(self, t_ns: int, draws: _Draws) -> int:
        """A message's extra delay: one draw, but for the exponential's, which numpy makes of as many as it needs.

        Each connection has draws of its own, so that another order among connections leaves them, or each window.
        """
        mean_ns, shape = self.values.jitter_ns, self.values.jitter_shape
        if not mean_ns:
            return 0
        hold_ns = self.values.jitter_hold_ns
        if hold_ns:
            window = (t_ns + int(_generator(*self._seeds, _HELD).random() * hold_ns)) // hold_ns
            rng = _generator(*self._seeds, _HELD, window)
        elif draws in self._rngs:
            rng = self._rngs[draws]
        else:
            rng = self._rngs[draws] = _generator(*self._seeds, *draws)
        if shape == 1:
            return round(rng.exponential(mean_ns))
        from scipy.special import gammaincinv  # Loaded for this alone.

        return round(float(gammaincinv(shape, rng.random())) * mean_ns / shape)

    def counters(self, link: str, now_ns: int, *, up: bool) -> LinkCounters:
        """What it did up to now."""
        self._begin(now_ns)
        sent = self._n_bytes - self._use.unsent_bytes(now_ns)
        return LinkCounters(link, up, self._messages, sent, 0, 0, self._max_waiting_bytes)

    def kpis(self, now_ns: int, *, cut: bool) -> list[Kpi]:
        """See `LinkUse.take`."""
        self._begin(now_ns)
        return self._use.take(now_ns, cut=cut)

    def _note(self, t_ns: int, start_ns: int, n_bytes: int) -> None:
        self._begin(t_ns)
        self._waiting.append((start_ns, self._free_ns, n_bytes))
        self._waiting_bytes += n_bytes
        if start_ns > t_ns:
            self._use.queue(t_ns, self._waiting_bytes)
            self._max_waiting_bytes = max(self._max_waiting_bytes, self._waiting_bytes)
        else:
            self._begin(t_ns)

    def _begin(self, now_ns: int) -> None:
        """Move on from waiting what has begun to be sent."""
        while self._waiting and self._waiting[0][0] <= now_ns:
            start_ns, end_ns, n_bytes = self._waiting.popleft()
            self._messages += 1
            self._n_bytes += n_bytes
            self._waiting_bytes -= n_bytes
            self._use.send(start_ns, end_ns, n_bytes)
            self._use.queue(start_ns, self._waiting_bytes)


def _generator(*seeds: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seeds)))


@dataclass(slots=True)
class _Bytes:
    sent: int = 0
    delivered: int = 0
    discarded: int = 0


@dataclass(slots=True)
class _Connection:
    ue: str
    path: str
    draws: _Draws
    t_connected_ns: int
    closed: bool = False
    closed_by_server: bool = False
    bytes_by_direction: dict[bool, _Bytes] = field(default_factory=lambda: {True: _Bytes(), False: _Bytes()})


@dataclass(slots=True)
class _Journey:
    """A message (or, with `message` None, a side's close) on its way: the hops it has crossed and their times."""

    connection: int
    message: int | None
    n_bytes: int
    up: bool
    wakes: bool
    sent_ns: int
    emitted_ns: int
    hops_ns: list[int] = field(default_factory=list)


class PipeNetwork:
    """A network in process; see the module for what it models."""

    hops: tuple[str, ...] = HOPS

    def __init__(self, topology: Topology, *, gauge: Gauge = lambda t_ns, source, metric, labels, value: None) -> None:
        self.wall_ns = 0
        self._gauge = gauge
        self._reached_ns = 0
        self._window_end_ns = 0  # no window of a link ends before
        self._tls = topology.transport.tls
        if not isinstance(topology.access, Link):
            raise TypeError("a pipe has no cell; take a network of kind ns3")
        links = {f"access/{ue}": topology.access for ue in topology.ues}
        links["core"] = topology.core
        links.update({f"paths.{name}": link for name, link in topology.paths.items()})
        self._pipes: dict[tuple[str, bool], _Pipe] = {}
        for index, (name, link) in enumerate(links.items()):
            for up, values in ((True, link.uplink), (False, link.downlink)):
                self._pipes[name, up] = _Pipe(values, [topology.seed, index, up], LinkUse(name, up=up))
        self._ues = topology.ues
        self._opened = dict.fromkeys(topology.ues, 0)
        self._connections: dict[int, _Connection] = {}
        self._finished: dict[tuple[int, bool], _Bytes] = {}
        self._agenda: list[tuple[int, int, _Journey | Connected]] = []
        self._sequence = 0
        self._wakers = 0
        self._put_off: list[Delivery] = []

    def open(self, connection: int, ue: str, path: str, at_ns: int) -> None:
        """One round trip for TCP's handshake, another for TLS 1.3 (RFC 8446 2); their bytes take no time."""
        round_trip_ns = sum(self._pipes[name, up].values.delay_ns for name in _route(ue, path) for up in (True, False))
        t_ns = at_ns + round_trip_ns * (2 if self._tls else 1)
        self._opened[ue] += 1
        draws = self._ues.index(ue) + 1, self._opened[ue]
        self._connections[connection] = _Connection(ue, path, draws, t_ns)
        self._at(t_ns, Connected(t_ns, connection))

    def send(self, connection: int, message: int, n_bytes: int, at_ns: int, *, up: bool, wakes: bool) -> None:
        """Hand a message to a connection; one that has ended at this instant discards it."""
        state = self._connections.get(connection)
        if state is None:
            self._finished[connection, up].sent += n_bytes
            self._finished[connection, up].discarded += n_bytes
            return
        state.bytes_by_direction[up].sent += n_bytes
        emitted_ns = max(at_ns, state.t_connected_ns)
        self._start(_Journey(connection, message, n_bytes, up, wakes, at_ns, emitted_ns))

    def close(self, connection: int, at_ns: int, *, up: bool, wakes: bool) -> None:
        """The other side sees the close after what was sent before it; what comes to a side that closed is discarded.

        A message arrives whole here, so no part of a request can keep the server from closing.
        """
        self._catch_up(at_ns)
        state = self._connections.get(connection)
        if state is None or (not up and state.closed):
            return
        if not up:
            state.closed_by_server = True
            self._start(_Journey(connection, None, 0, False, True, at_ns, at_ns))
        elif state.closed_by_server:
            self._finish(connection)  # Nobody is left at either end.
            self._put_off.append(Closed(at_ns, connection, True))
        else:
            state.closed = True
            self._start(_Journey(connection, None, 0, True, wakes, at_ns, at_ns))

    def set(self, path: str, value: Knob, at_ns: int) -> None:
        """New values for messages that reach the link from now on. Raises TypeError for what only a cell has."""
        if not isinstance(value, Direction):
            raise TypeError(f"{path}: a pipe has no {type(value).__name__}; take a network of kind ns3")
        link, up = direction_at(path)
        self._catch_up(at_ns)
        for (name, direction), pipe in self._pipes.items():
            if direction == up and (name == link or (link == "access" and name.startswith("access/"))):
                pipe.set(value)

    def advance(self, until_ns: int) -> tuple[int, list[Delivery]]:
        """Move to the first consequential delivery or to `until_ns`."""
        if not self._wakers:
            self._reached_ns = until_ns
            return until_ns, []
        start_ns = monotonic_ns()
        deliveries, self._put_off = self._put_off, []
        now_ns = until_ns
        while self._agenda and self._agenda[0][0] <= now_ns:
            t_ns = self._agenda[0][0]
            if self._execute_next(deliveries):
                now_ns = t_ns
        self._reached_ns = now_ns
        record(self._kpis(now_ns), self._gauge)
        self.wall_ns += monotonic_ns() - start_ns
        return now_ns, deliveries

    def settle(self, at_ns: int) -> list[Delivery]:
        """Execute everything up to a time that `advance` has reached."""
        self._catch_up(at_ns)
        self._reached_ns = max(self._reached_ns, at_ns)
        record(self._kpis(at_ns), self._gauge)
        deliveries, self._put_off = self._put_off, []
        return deliveries

    def account(self) -> Accounted:
        """Bytes by connection and counters by link; a message counts as a packet here."""
        self._catch_up(self._reached_ns)
        under_way: dict[tuple[int, bool], int] = {}
        for _, _, item in self._agenda:
            if isinstance(item, _Journey):
                key = item.connection, item.up
                under_way[key] = under_way.get(key, 0) + item.n_bytes
        connections = [
            ConnectionBytes(number, up, count.sent, count.delivered, 0, count.discarded)
            for (number, up), count in self._finished.items()
        ]
        for number, state in self._connections.items():
            for up, count in state.bytes_by_direction.items():
                discarded = count.discarded + under_way.get((number, up), 0)
                connections.append(ConnectionBytes(number, up, count.sent, count.delivered, 0, discarded))
        links = [pipe.counters(name, self._reached_ns, up=up) for (name, up), pipe in self._pipes.items()]
        kpis = self._kpis(self._reached_ns, cut=True)
        record(kpis, self._gauge)
        return Accounted(sorted(connections, key=lambda entry: (entry.connection, not entry.up)), links, kpis)

    def minimum_delay_ns(self, path: str, *, up: bool) -> int:
        """Sum of the hops' least delays so far."""
        ue = next(name for name, _ in self._pipes if name.startswith("access/")).removeprefix("access/")
        return sum(self._pipes[name, up].least_delay_ns for name in _route(ue, path))

    def stop(self, *, politely: bool) -> None:
        """Nothing runs outside this process."""

    def _kpis(self, now_ns: int, *, cut: bool = False) -> list[Kpi]:
        """What the links did in the windows that have ended since the last call, in order of time."""
        if not cut and now_ns <= self._window_end_ns:
            return []
        self._window_end_ns = window_end_ns(now_ns)
        kpis = [kpi for pipe in self._pipes.values() for kpi in pipe.kpis(now_ns, cut=cut)]
        return sorted(kpis, key=lambda kpi: kpi.t_ns)

    def _catch_up(self, at_ns: int) -> None:
        """Execute what was put off up to a time, before something changes; what arrived is reported later."""
        while self._agenda and self._agenda[0][0] <= at_ns:
            self._execute_next(self._put_off)

    def _start(self, journey: _Journey) -> None:
        self._wakers += journey.wakes
        self._at(journey.emitted_ns, journey)

    def _at(self, t_ns: int, item: _Journey | Connected) -> None:
        self._sequence += 1
        heapq.heappush(self._agenda, (t_ns, self._sequence, item))

    def _execute_next(self, deliveries: list[Delivery]) -> bool:
        """Execute the earliest event; whether it was a consequential delivery."""
        t_ns, _, item = heapq.heappop(self._agenda)
        if isinstance(item, Connected):
            if item.connection in self._connections:
                deliveries.append(item)
            return False
        state = self._connections.get(item.connection)
        if state is None or (item.message is not None and _is_unread(state, item)):
            self._wakers -= item.wakes
            if state is not None:
                state.bytes_by_direction[item.up].discarded += item.n_bytes
            return False
        route = _route(state.ue, state.path)
        if len(item.hops_ns) < len(route):
            hop = route[len(item.hops_ns)] if item.up else route[-1 - len(item.hops_ns)]
            arrival_ns = self._pipes[hop, item.up].carry(item.n_bytes, t_ns, state.draws)
            if arrival_ns == item.sent_ns and len(item.hops_ns) == len(route) - 1:
                arrival_ns += 1  # A cause comes before its effect, even over links without delay.
            item.hops_ns.append(arrival_ns - t_ns)
            self._at(arrival_ns, item)
            return False
        self._wakers -= item.wakes
        if item.message is None:
            self._finish(item.connection)
            deliveries.append(Closed(t_ns, item.connection, item.up))
        else:
            state.bytes_by_direction[item.up].delivered += item.n_bytes
            deliveries.append(Delivered(t_ns, item.message, item.emitted_ns, tuple(item.hops_ns)))
        return item.wakes

    def _finish(self, connection: int) -> None:
        """Keep a closed connection's account and forget the rest; what is under way in it goes nowhere."""
        state = self._connections.pop(connection)
        for pipe in self._pipes.values():
            pipe.forget(state.draws)
        for up, count in state.bytes_by_direction.items():
            self._finished[connection, up] = _Bytes(count.sent, count.delivered, count.sent - count.delivered)


def _is_unread(state: _Connection, message: _Journey) -> bool:
    """Whether nobody will read a message: the UE has closed before it left or came, or the server before it came."""
    crossed = len(message.hops_ns)
    if state.closed_by_server and message.up:
        return crossed == len(HOPS)
    return state.closed and not (message.up and crossed)


def _route(ue: str, path: str) -> tuple[str, str, str]:
    return f"access/{ue}", "core", f"paths.{path}"
