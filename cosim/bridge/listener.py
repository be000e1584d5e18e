"""The socket of an engine host: who may come in (CURVE keys, RFC 27), what is refused, what is sent and received."""

from __future__ import annotations

import contextlib
import os
import re
import socket as sockets
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import zmq
from zmq.utils import z85
from zmq.utils.monitor import recv_monitor_message

from cosim.bridge.codec import MAX_WAITING_MESSAGES, Codec, bound_messages
from cosim.bridge.errors import BridgeError, MessageError
from cosim.bridge.keys import HostKeys, authorising
from cosim.bridge.messages import Failed, MessageRefused
from cosim.bridge.remote_messages import RemoteRequest
from cosim.clock import monotonic_s

ZAP_ADDRESS = "inproc://zeromq.zap.01"
HEARTBEAT_MS = 1_000
LOST_AFTER_MS = 10_000
# Short, since a connection that says nothing keeps a file descriptor for as long.
HANDSHAKE_LIMIT_MS = 5_000
LINGER_MS = 1_000
TOLD_EACH_S = 1.0
MOST_KEYS_NAMED = 256
MOST_TEXT_CHARACTERS = 10_000
ADDRESS = re.compile(r"tcp://(?P<host>\*|[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(?P<port>\*|[0-9]{1,5})")
NO_ZEROMQ = "no ZeroMQ"
_WATCHED = (
    zmq.EVENT_ACCEPTED
    | zmq.EVENT_DISCONNECTED
    | zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
)


class Lost(BridgeError):
    """The peer of a connection is gone."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message and where it came from: `peer` names the connection, `client` its key and address for people."""

    peer: bytes
    client: str
    message: Any


class Refusals:
    """Counts what was refused, and tells it at most once a second, so that a flood does not fill the output."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.counts: Counter[str] = Counter()
        self._say = say
        self._named: set[str] = set()
        self._last: str | None = None
        self._told_s = 0.0

    def note(self, kind: str, detail: str) -> None:
        """Count something; the first time that a detail is seen it is told at once."""
        self.counts[kind] += 1
        if kind == "unknown key" and detail not in self._named and len(self._named) < MOST_KEYS_NAMED:
            self._named.add(detail)
            self._say(f"refused: {detail}")
        self._last = f"{kind}: {detail}"

    def tell(self) -> None:
        """Say what is new, if it is time to."""
        if self._last is not None and monotonic_s() >= self._told_s + TOLD_EACH_S:
            self._say(f"{self}; the last: {self._last}")
            self._told_s, self._last = monotonic_s(), None

    def __str__(self) -> str:
        counts = ", ".join(f"{kind} {n}" for kind, n in sorted(self.counts.items()))
        return f"refused so far: {counts or 'nothing'}"


class Listener:
    """A CURVE server for many connections. Nothing that an unknown peer sends reaches the caller."""

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], address: str, keys: HostKeys, refusals: Refusals
    ) -> None:
        """Bind and listen. Raises BridgeError if the address cannot be had."""
        self._keys = keys
        self._refusals = refusals
        self._known: dict[bytes, str] = {}
        self._codec = Codec(RemoteRequest)
        self._shaking: dict[int, str] = {}  # connections that have not been let in, by file descriptor
        self._reason: str | None = NO_ZEROMQ
        # The authenticator is there before the socket: without one ZeroMQ would let in any key.
        self._zap: zmq.Socket[bytes] = context.socket(zmq.REP)
        self._zap.setsockopt(zmq.LINGER, 0)
        self._zap.bind(ZAP_ADDRESS)
        self._socket: zmq.Socket[bytes] = context.socket(zmq.ROUTER)
        self._set_options(address)
        self._events = self._socket.get_monitor_socket(_WATCHED)
        try:
            self._socket.bind(address)
        except zmq.ZMQError as error:
            self.close()
            why = os.strerror(error.errno or 0)
            raise BridgeError(f"cannot listen on {address}: {why}; choose another address or port") from error
        self.address = self._socket.getsockopt_string(zmq.LAST_ENDPOINT)

    def _set_options(self, address: str) -> None:
        for option, value in (
            (zmq.LINGER, LINGER_MS),
            (zmq.IPV6, "[" in address),
            (zmq.CURVE_SERVER, 1),
            (zmq.CURVE_SECRETKEY, self._keys.secret),
            (zmq.ZAP_DOMAIN, b"cosim"),
            (zmq.ROUTER_MANDATORY, 1),
            (zmq.HANDSHAKE_IVL, HANDSHAKE_LIMIT_MS),
        ):
            self._socket.setsockopt(option, value)
        notice_lost_peers(self._socket, LOST_AFTER_MS)
        bound_messages(self._socket)

    @property
    def sources(self) -> tuple[zmq.Socket[bytes], ...]:
        """What becomes readable when `arrivals` has something to do."""
        return self._socket, self._zap, self._events

    def arrivals(self) -> Iterator[Arrived]:
        """Answer handshakes, count what failed, and yield the messages that are there."""
        with contextlib.suppress(zmq.Again):
            while True:
                self._authenticate(self._zap.recv_multipart(zmq.NOBLOCK))
        with contextlib.suppress(zmq.Again):
            while True:
                self._on_event(recv_monitor_message(self._events, zmq.NOBLOCK))
        with contextlib.suppress(zmq.Again):
            for _ in range(MAX_WAITING_MESSAGES):  # No peer keeps the others waiting.
                arrived = self._understand(self._socket.recv_multipart(zmq.NOBLOCK, copy=False))
                if arrived is not None:
                    yield arrived

    def send(self, peer: bytes, message: Any) -> bool:
        """Send if there is room. Raises Lost if the peer is gone, or has to be, as no message may be so large."""
        try:
            data = self._codec.encode(message)
        except BridgeError as error:
            self._refusals.note("oversized reply", str(error))
            with contextlib.suppress(zmq.ZMQError):
                self._socket.send_multipart([peer, self._codec.encode(Failed(str(error)))], zmq.NOBLOCK)
            raise Lost(str(error)) from error
        try:
            self._socket.send_multipart([peer, data], zmq.NOBLOCK)
        except zmq.Again:
            return False
        except zmq.ZMQError as error:
            raise Lost(str(error)) from error
        return True

    def refuse(self, arrived: Arrived, kind: str, text: str, *, final: bool = False) -> None:
        """Count a message and tell its sender why; after a `final` refusal there is nothing more to say."""
        text = shortened(text, MOST_TEXT_CHARACTERS)
        self._refusals.note(kind, f"{text} (from {arrived.client})")
        reply = Failed(text) if final else MessageRefused(text, self._refusals.counts.total())
        with contextlib.suppress(Lost):
            self.send(arrived.peer, reply)

    def close(self) -> None:
        """Stop listening; what was sent still leaves."""
        self._socket.disable_monitor()
        for socket in (self._events, self._socket, self._zap):
            socket.close()

    def _understand(self, frames: Sequence[zmq.Frame]) -> Arrived | None:
        peer, *parts = frames
        key, address = str(peer.get("User-Id")), str(peer.get("Peer-Address"))
        client = f"{self._known.get(key.encode(), 'a client that is no longer listed')} at {address}"
        try:
            return Arrived(peer.bytes, client, self._codec.decode([part.bytes for part in parts]))
        except MessageError as error:
            self.refuse(Arrived(peer.bytes, client, None), error.kind, printable(str(error)))
            return None

    def _authenticate(self, frames: list[bytes]) -> None:
        """Answer one question of ZeroMQ, "may this key come in?" (https://rfc.zeromq.org/spec/27/)."""
        version, request_id, _, address, _, mechanism, *credentials = frames
        key = z85.encode(credentials[0]) if mechanism == b"CURVE" and credentials else b""
        self._read_keys()
        known = key in self._known
        if not known:
            named = f"key {key.decode()} at {printable(address.decode(errors='replace'))}"
            how = authorising(self._keys.clients.parent, key.decode())
            self._refusals.note("unknown key", f"{named}; to let it in, type: {how}")
        status, text = (b"200", b"OK") if known else (b"400", b"unknown key")
        with contextlib.suppress(zmq.Again):
            self._zap.send_multipart([version, request_id, status, text, key if known else b"", b""], zmq.NOBLOCK)

    def _read_keys(self) -> None:
        """Whoever may come in now: a key that is added counts at once. What cannot be read stays as it was."""
        try:
            self._known = self._keys.authorised()
        except OSError as error:
            self._refusals.note("unreadable keys", f"{self._keys.clients}: {error.strerror}; as they were last read")

    def _on_event(self, event: Any) -> None:
        """Count the connections that end before they are let in. Of one that fails, ZeroMQ tells the end last."""
        kind, value = event["event"], int(event["value"])
        if kind == zmq.EVENT_ACCEPTED:
            self._shaking[value] = _peer_address(value)
        elif kind == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            # Which of them ZeroMQ does not tell; one that does not go on stays and the latest went on.
            if self._shaking:
                self._shaking.popitem()
        elif kind == zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL:
            other_key = value == zmq.PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC
            self._reason = "other engine-host.key" if other_key else "no CURVE"
        elif kind == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
            self._reason = None  # An unknown key, which has been counted.
        elif kind == zmq.EVENT_DISCONNECTED:
            address = self._shaking.pop(value, None)
            if address is not None and self._reason is not None:
                self._refusals.note(self._reason, address)
            self._reason = NO_ZEROMQ


def notice_lost_peers(socket: zmq.Socket[bytes], lost_after_ms: int) -> None:
    """Have ZeroMQ end a connection whose peer says nothing for so long; to be set before it is bound or connected.

    A socket with heartbeats takes in whatever comes, so that a peer whose key is known can fill memory. Where a
    high-water mark stops it, libzmq 4.3.5 does not read the peer's heartbeats either and ends a sound connection; if
    the peer ends then, it aborts the process ("Assertion failed: !_io_error", "Assertion failed: _input_stopped";
    https://github.com/zeromq/libzmq/issues/4364 and /3937).
    """
    for option, value in (
        (zmq.HEARTBEAT_IVL, HEARTBEAT_MS),
        (zmq.HEARTBEAT_TIMEOUT, lost_after_ms),
        (zmq.HEARTBEAT_TTL, lost_after_ms),
        (zmq.RCVHWM, 0),
    ):
        socket.setsockopt(option, value)


def _peer_address(handle: int) -> str:
    """The other end of a connection that ZeroMQ has accepted; it may have ended since."""
    try:
        with sockets.socket(fileno=os.dup(handle)) as connection:
            address, port = connection.getpeername()[:2]
            return f"{address} port {port}"
    except (OSError, ValueError):
        return "an unknown address"


def printable(text: str) -> str:
    """A peer's text without what would act on a terminal, shortened."""
    return "".join(character if character.isprintable() else "?" for character in shortened(text, 300))


def shortened(text: str, characters: int) -> str:
    """A text of at most so many characters."""
    return text if len(text) <= characters else f"{text[: characters - 3]}..."
