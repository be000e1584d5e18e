"""HTTP over the network's connections: which one carries which request, what is under way, who closes when.

An HTTP/1.1 connection carries one request at a time, and a client that gives up closes it. Through a gateway that
speaks HTTP/2 the requests of a client share one connection, and giving up sends RST_STREAM; the gateway's hop to the
server costs nothing. A connection's messages leave one after another, so frames of overlapping requests do not
interleave, and flow control is that of TCP alone: the gateway's windows hold whatever is sent.

Both ends close it once it has been idle for long enough: the client from
the arrival of the answer's last byte (httpx: `keepalive_expiry`), the server from the writing of it (uvicorn:
`timeout_keep_alive`) until the first byte of the next request is there. A request that crosses the server's FIN fails
when the FIN arrives: httpcore then reads the end of the stream where an answer should begin. The RST that the server's
kernel sends for the request comes later, and matters only where the FIN was lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol

from cosim import wire
from cosim.bridge.engine_messages import Tokens
from cosim.bridge.messages import Closed, Connected, Delivered, Delivery, Reset
from cosim.clock import Agenda, Clock, Event, Priority
from cosim.http.pool import Connection, ConnectionPool
from cosim.invariants import Invariants
from cosim.network.base import Network
from cosim.request import Attempt


class Ends(Protocol):
    """What the client and the server of a request make of what arrives: the conductor."""

    def on_prompt(self, attempt: Attempt, t_ns: int) -> None:
        """The last byte of a request is readable at its server."""

    def on_answer(self, attempt: Attempt, tokens: Tokens, n_bytes: int, t_ns: int) -> None:
        """A part of an answer is readable at its client."""

    def on_broken(self, attempt: Attempt, text: str) -> None:
        """The connection of a request broke before the answer was complete."""

    def on_abandoned(self, attempt: Attempt) -> None:
        """The server sees that the client of a request has gone."""


@dataclass(frozen=True, slots=True)
class _Message:
    """A prompt (`tokens` None), its cancellation in HTTP/2 (`resets`), or a part of an answer on its way."""

    attempt: Attempt
    sent_ns: int
    n_bytes: int
    tokens: Tokens | None
    resets: bool


class HttpConnections:
    """Every connection of every client; `attach` the ends before the first request. `multiplexed`: paths with HTTP/2.

    `sent_bytes`: bytes handed to the network, by connection and whether up.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        agenda: Agenda,
        network: Network,
        invariants: Invariants,
        keepalive_ns: int,
        server_keepalive_ns: int,
        multiplexed: Collection[str],
        observe: Callable[[int, str], None],
    ) -> None:
        self.sent_bytes: Counter[tuple[int, bool]] = Counter()
        self._clock = clock
        self._agenda = agenda
        self._network = network
        self._invariants = invariants
        self._keepalive_ns = keepalive_ns
        self._server_keepalive_ns = server_keepalive_ns
        self._observe = observe
        self._ends: Ends
        self._pool = ConnectionPool(multiplexed)
        self._open: dict[int, Connection] = {}
        self._idle_timers: dict[int, Event] = {}  # the clients'
        self._server_timers: dict[int, Event] = {}
        self._at_client: dict[int, dict[Attempt, None]] = {}  # whose answers are not complete
        self._at_server: dict[int, dict[Attempt, None]] = {}  # taken, and not answered to the end
        self._messages: dict[int, _Message] = {}
        self._message_count = 0
        self._least_delay_ns: dict[tuple[str, bool], int] = {}

    def attach(self, ends: Ends) -> None:
        """Say who takes what arrives."""
        self._ends = ends

    # The client's side.

    def send(self, attempt: Attempt, path: str) -> None:
        """Put a request's bytes on a connection to the path's server: an available one, or a new one."""
        now_ns, client = self._clock.now_ns, attempt.request.question.client
        connection, new = self._pool.acquire(client, path)
        attempt.connection, attempt.request.connection_use = connection, "new" if new else "reused"
        if new:
            self._open[connection.number] = connection
            self._at_client[connection.number], self._at_server[connection.number] = {}, {}
            self._network.open(connection.number, client, path, now_ns)
        self._agenda.cancel(self._idle_timers.pop(connection.number, None))
        self._at_client[connection.number][attempt] = None
        self._transmit(connection, attempt, attempt.request.prompt_bytes)

    def abandon(self, attempt: Attempt) -> None:
        """The client gives up; the server learns of it when the close, or RST_STREAM, has crossed the network."""
        connection = attempt.connection
        assert connection is not None
        if connection.multiplexed and not connection.closed:
            self._transmit(connection, attempt, wire.reset_stream_bytes(), resets=True)
            self._leave_client(connection, attempt)
        else:
            self._close(connection, wakes=not attempt.left_server)

    def _leave_client(self, connection: Connection, attempt: Attempt) -> None:
        """A request is over at its client; a connection without any is idle."""
        waiting = self._at_client[connection.number]
        del waiting[attempt]
        if not waiting:
            self._pool.release(connection)
            t_ns = self._clock.now_ns + self._keepalive_ns
            timer = self._agenda.at(t_ns, Priority.CLIENT, lambda: self._close_idle(connection))
            self._idle_timers[connection.number] = timer

    def _close_idle(self, connection: Connection) -> None:
        self._observe(self._clock.now_ns, f"connection {connection.number} idle at client")
        del self._idle_timers[connection.number]
        self._pool.remove(connection)
        self._close(connection, wakes=False)

    def _close(self, connection: Connection, *, wakes: bool) -> None:
        if not connection.closed:
            connection.closed = True
            self._network.close(connection.number, self._clock.now_ns, up=True, wakes=wakes)

    def _client_loses(self, connection: Connection, text: str) -> None:
        """A connection is over at its client; the requests under way on it fail."""
        connection.closed = True
        self._pool.remove(connection)
        self._agenda.cancel(self._idle_timers.pop(connection.number, None))
        for attempt in list(self._at_client[connection.number]):
            if attempt.awaited:
                self._ends.on_broken(attempt, text)

    # The server's side.

    def answer(self, attempt: Attempt, tokens: Tokens, n_bytes: int, *, wakes: bool) -> None:
        """Put a part of an answer on the request's connection; `wakes`: the client acts on its arrival."""
        assert attempt.connection is not None
        self._transmit(attempt.connection, attempt, n_bytes, tokens, wakes=wakes)
        if tokens.finish_reason is not None:
            self._leave_server(attempt.connection.number, attempt)

    def _leave_server(self, number: int, attempt: Attempt) -> None:
        """A request is over at its server; a connection without any is idle."""
        served = self._at_server[number]
        served.pop(attempt, None)
        if not served:
            self._agenda.cancel(self._server_timers.pop(number, None))  # of before a late RST_STREAM
            t_ns = self._clock.now_ns + self._server_keepalive_ns
            self._server_timers[number] = self._agenda.at(t_ns, Priority.STAGE, lambda: self._server_closes(number))

    def _server_closes(self, number: int) -> None:
        """The server closes an idle connection, unless the network knows of a part of a request that has arrived."""
        self._observe(self._clock.now_ns, f"connection {number} idle at server")
        del self._server_timers[number]
        self._network.close(number, self._clock.now_ns, up=False, wakes=True)

    def _server_loses(self, number: int) -> None:
        """A connection is over at its server, and so everywhere; the requests still there are given up."""
        self._agenda.cancel(self._server_timers.pop(number, None))
        for attempt in self._at_server.pop(number):
            if not attempt.left_server:
                self._ends.on_abandoned(attempt)
        for message in [key for key, entry in self._messages.items() if _is_on(entry, number)]:
            del self._messages[message]
        del self._at_client[number], self._open[number]

    # The network: messages out, deliveries in.

    def _transmit(
        self,
        connection: Connection,
        attempt: Attempt,
        n_bytes: int,
        tokens: Tokens | None = None,
        *,
        resets: bool = False,
        wakes: bool = True,
    ) -> None:
        now_ns, up = self._clock.now_ns, tokens is None
        self._message_count += 1
        self._messages[self._message_count] = _Message(attempt, now_ns, n_bytes, tokens, resets)
        self.sent_bytes[connection.number, up] += n_bytes
        self._network.send(connection.number, self._message_count, n_bytes, now_ns, up=up, wakes=wakes)

    def deliver(self, delivery: Delivery) -> None:
        """Apply what the network reports, at the time at which it happened there."""
        if isinstance(delivery, Delivered):
            message = self._messages.pop(delivery.message)
            self._check_causality(message, delivery)
            self._take(message, delivery)
        elif isinstance(delivery, Connected):
            self._open[delivery.connection].t_connected_ns = delivery.t_ns
        elif isinstance(delivery, Closed):
            if not delivery.up:
                self._observe(delivery.t_ns, f"connection {delivery.connection} closed at client")
                text = "the server closed the connection before it answered"
                self._client_loses(self._open[delivery.connection], text)
            self._server_loses(delivery.connection)
        elif isinstance(delivery, Reset):
            text = "TCP gave the connection up after too many retransmissions"
            self._client_loses(self._open[delivery.connection], text)
            self._server_loses(delivery.connection)

    def _take(self, message: _Message, delivery: Delivered) -> None:
        attempt, tokens, connection = message.attempt, message.tokens, message.attempt.connection
        assert connection is not None
        if message.resets:
            if not attempt.left_server:
                self._ends.on_abandoned(attempt)
            self._leave_server(connection.number, attempt)
        elif tokens is None:
            self._agenda.cancel(self._server_timers.pop(connection.number, None))
            self._at_server[connection.number][attempt] = None
            attempt.uplink = delivery
            self._ends.on_prompt(attempt, delivery.t_ns)
        else:
            if tokens.finish_reason is not None and attempt.awaited:
                attempt.downlink = delivery
                self._leave_client(connection, attempt)  # First, so that the client's next request can use it.
            self._ends.on_answer(attempt, tokens, message.n_bytes, delivery.t_ns)

    def _check_causality(self, message: _Message, delivery: Delivered) -> None:
        connection = message.attempt.connection
        assert connection is not None
        key = connection.path, message.tokens is None
        if key not in self._least_delay_ns:
            self._least_delay_ns[key] = self._network.minimum_delay_ns(key[0], up=key[1])
        earliest_ns = message.sent_ns + max(1, self._least_delay_ns[key])
        holds = delivery.t_ns >= earliest_ns and delivery.emitted_ns >= message.sent_ns
        self._invariants.check("causality", holds, lambda: f"{message.attempt.id} arrived at {delivery.t_ns} ns")

    def links_changed(self) -> None:
        """The least delay of some path may be another one from now on."""
        self._least_delay_ns.clear()


def _is_on(message: _Message, number: int) -> bool:
    connection = message.attempt.connection
    return connection is not None and connection.number == number
