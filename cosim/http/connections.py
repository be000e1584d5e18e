"""HTTP/1.1 over the network's connections: which one carries which request, what is under way, who closes when.

A connection carries one request at a time. Both ends close it once it has been idle for long enough: the client from
the arrival of the answer's last byte (httpx: `keepalive_expiry`), the server from the writing of it (uvicorn:
`timeout_keep_alive`) until the first byte of the next request is there. A request that crosses the server's FIN fails
when the FIN arrives: httpcore then reads the end of the stream where an answer should begin. The RST that the server's
kernel sends for the request comes later, and matters only where the FIN was lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from cosim.bridge.messages import Closed, Connected, Delivered, Delivery, Reset, Tokens
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
    """A prompt (`tokens` None) or a part of an answer on its way."""

    attempt: Attempt
    sent_ns: int
    n_bytes: int
    tokens: Tokens | None


class HttpConnections:
    """Every connection of every client; `attach` the ends before the first request.

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
        self._pool = ConnectionPool()
        self._idle_timers: dict[int, Event] = {}  # the clients'
        self._server_timers: dict[int, Event] = {}
        self._users: dict[int, Attempt] = {}
        self._messages: dict[int, _Message] = {}
        self._message_count = 0
        self._least_delay_ns: dict[tuple[str, bool], int] = {}

    def attach(self, ends: Ends) -> None:
        """Say who takes what arrives."""
        self._ends = ends

    # The client's side.

    def send(self, attempt: Attempt, path: str) -> None:
        """Put a request's bytes on an idle connection to the path's server, or on a new one."""
        now_ns, client = self._clock.now_ns, attempt.request.question.client
        connection, new = self._pool.acquire(client, path)
        attempt.connection, attempt.request.connection_use = connection, "new" if new else "reused"
        self._users[connection.number] = attempt
        if new:
            self._network.open(connection.number, client, path, now_ns)
        else:
            self._agenda.cancel(self._idle_timers.pop(connection.number))
        self._transmit(connection, attempt, attempt.request.prompt_bytes, None, wakes=True)

    def abandon(self, attempt: Attempt) -> None:
        """The client closes a request's connection; the server learns of it when the close has crossed the network."""
        assert attempt.connection is not None
        self._close(attempt.connection, wakes=not attempt.left_server)

    def _keep_alive(self, connection: Connection) -> None:
        del self._users[connection.number]
        self._pool.release(connection)
        t_ns = self._clock.now_ns + self._keepalive_ns
        timer = self._agenda.at(t_ns, Priority.CLIENT, lambda: self._close_idle(connection))
        self._idle_timers[connection.number] = timer

    def _close_idle(self, connection: Connection) -> None:
        self._observe(self._clock.now_ns, f"connection {connection.number} idle at client")
        self._leave_pool(connection.number)
        self._close(connection, wakes=False)

    def _leave_pool(self, number: int) -> None:
        """Take an idle connection out of its pool; one in use is not in it."""
        timer = self._idle_timers.pop(number, None)
        if timer is not None:
            self._agenda.cancel(timer)
            self._pool.remove(number)

    def _close(self, connection: Connection, *, wakes: bool) -> None:
        if not connection.closed:
            connection.closed = True
            self._network.close(connection.number, self._clock.now_ns, up=True, wakes=wakes)

    def _client_loses(self, number: int, text: str) -> None:
        """A connection is over at its client; a request under way on it fails."""
        self._leave_pool(number)
        attempt = self._users.get(number)
        if attempt is not None and attempt.connection is not None:
            attempt.connection.closed = True
            if attempt.awaited:
                self._ends.on_broken(attempt, text)

    # The server's side.

    def answer(self, attempt: Attempt, tokens: Tokens, n_bytes: int, *, wakes: bool) -> None:
        """Put a part of an answer on the request's connection; `wakes`: the client acts on its arrival."""
        assert attempt.connection is not None
        self._transmit(attempt.connection, attempt, n_bytes, tokens, wakes=wakes)
        if tokens.finish_reason is not None:
            number, t_ns = attempt.connection.number, self._clock.now_ns + self._server_keepalive_ns
            self._server_timers[number] = self._agenda.at(t_ns, Priority.STAGE, lambda: self._server_closes(number))

    def _server_closes(self, number: int) -> None:
        """The server closes an idle connection, unless the network knows of a part of a request that has arrived."""
        self._observe(self._clock.now_ns, f"connection {number} idle at server")
        del self._server_timers[number]
        self._network.close(number, self._clock.now_ns, up=False, wakes=True)

    def _stop_server_timer(self, number: int) -> None:
        self._agenda.cancel(self._server_timers.pop(number, None))

    def _server_loses(self, number: int) -> None:
        """A connection is over at its server, and so everywhere; a request still there is given up."""
        self._stop_server_timer(number)
        attempt = self._users.pop(number, None)
        if attempt is not None and not attempt.left_server:
            self._ends.on_abandoned(attempt)
        for message in [key for key, entry in self._messages.items() if _is_on(entry, number)]:
            del self._messages[message]

    # The network: messages out, deliveries in.

    def _transmit(
        self, connection: Connection, attempt: Attempt, n_bytes: int, tokens: Tokens | None, *, wakes: bool
    ) -> None:
        now_ns, up = self._clock.now_ns, tokens is None
        self._message_count += 1
        self._messages[self._message_count] = _Message(attempt, now_ns, n_bytes, tokens)
        self.sent_bytes[connection.number, up] += n_bytes
        self._network.send(connection.number, self._message_count, n_bytes, now_ns, up=up, wakes=wakes)

    def deliver(self, delivery: Delivery) -> None:
        """Apply what the network reports, at the time at which it happened there."""
        if isinstance(delivery, Delivered):
            self._take_message(self._messages.pop(delivery.message), delivery)
        elif isinstance(delivery, Connected):
            attempt = self._users.get(delivery.connection)
            if attempt is not None and attempt.connection is not None:
                attempt.connection.t_connected_ns = delivery.t_ns
        elif isinstance(delivery, Closed):
            if not delivery.up:
                self._observe(delivery.t_ns, f"connection {delivery.connection} closed at client")
                self._client_loses(delivery.connection, "the server closed the connection before it answered")
            self._server_loses(delivery.connection)
        elif isinstance(delivery, Reset):
            self._client_loses(delivery.connection, "TCP gave the connection up after too many retransmissions")
            self._server_loses(delivery.connection)

    def _take_message(self, message: _Message, delivery: Delivered) -> None:
        self._check_causality(message, delivery)
        attempt, tokens = message.attempt, message.tokens
        if tokens is None:
            assert attempt.connection is not None
            self._stop_server_timer(attempt.connection.number)
            attempt.uplink = attempt.uplink or delivery
            self._ends.on_prompt(attempt, delivery.t_ns)
            return
        if tokens.finish_reason is not None and attempt.awaited:
            assert attempt.connection is not None
            attempt.downlink = delivery
            self._keep_alive(attempt.connection)  # First, so that the client's next request can use it.
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
