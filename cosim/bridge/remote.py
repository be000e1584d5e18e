"""The client's side of an engine host on another machine: get in, or say why not; ask; notice when it is gone."""

from __future__ import annotations

import contextlib
import os
import socket as sockets
from pathlib import Path
from typing import Any

import zmq
from zmq.utils.monitor import recv_monitor_message

from cosim.bridge.child import Runtime
from cosim.bridge.codec import MAX_WAITING_MESSAGES, bound_messages
from cosim.bridge.errors import BridgeError, ChildError
from cosim.bridge.kept_log import KeptLog
from cosim.bridge.keys import HOST, PUBLIC, ClientKeys, authorising
from cosim.bridge.listener import ADDRESS, HEARTBEAT_MS, LINGER_MS, LOST_AFTER_MS, notice_lost_peers
from cosim.bridge.messages import PROTOCOL_VERSION, MessageRefused, Stop, Stopped
from cosim.bridge.remote_messages import MOST_NAME_CHARACTERS, Attach, Attached, Beat, RemoteReply
from cosim.bridge.requester import LONGEST_WAIT_S, Requester
from cosim.clock import monotonic_s
from cosim.signals import unbroken

CONNECT_LIMIT_S = 6.0
PROBE_LIMIT_S = 3.0
STOP_LIMIT_S = 5.0
RECONNECT_MS = 200
# A host that restarts may break off one handshake.
HANDSHAKES = 2
_WATCHED = zmq.EVENT_DISCONNECTED | zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_HANDSHAKE_FAILED_AUTH


class RemoteHost(Requester):
    """An engine host at an address. It stands for a child: what its engines write comes to `log`."""

    def __init__(
        self,
        role: str,
        address: str,
        keys: ClientKeys,
        *,
        run: str,
        name: str,
        runtime: Runtime,
        log: Path,
        silence_limit_s: float,
    ) -> None:
        """Connect and be let in. Raises ChildError within seconds if that cannot be had; `runtime` then closes it."""
        self.address = address
        self._keys = keys
        self._stopped = False
        self._let_in = False
        self._failed_handshakes = 0
        self._broken: ChildError | None = None
        self._runtime = runtime
        # A signal waits, so that what it finds is whole, and `runtime` knows it.
        with unbroken:
            socket: zmq.Socket[bytes] = runtime.context.socket(zmq.DEALER)
            super().__init__(role, log, socket, RemoteReply)
            self._set_options(max(HEARTBEAT_MS, min(LOST_AFTER_MS, int(silence_limit_s * 1_000))))
            self._events = socket.get_monitor_socket(_WATCHED)
            self._poller = zmq.Poller()
            self._poller.register(socket, zmq.POLLIN)
            self._poller.register(self._events, zmq.POLLIN)
            self._kept_log = KeptLog(log)
            with self._kept_log.writer() as writer:
                self._log_writer = os.dup(writer)
            runtime.peers.add(self)
        self._connect(socket)
        self.send(Attach(PROTOCOL_VERSION, run, name[:MOST_NAME_CHARACTERS]))
        self.attached = self.receive(Attached, limit_s=CONNECT_LIMIT_S)

    def _connect(self, socket: zmq.Socket[bytes]) -> None:
        try:
            socket.connect(self.address)
        except zmq.ZMQError as error:
            what = f"cannot start: {self.address} is no address that can be connected to ({error.strerror})"
            raise ChildError(self.role, what, self.log, "mend the address, tcp://HOST:PORT") from error

    def _set_options(self, lost_after_ms: int) -> None:
        for option, value in (
            (zmq.LINGER, LINGER_MS),
            (zmq.IPV6, has_only_ipv6(self.address)),
            (zmq.CURVE_SERVERKEY, self._keys.host),
            (zmq.CURVE_PUBLICKEY, self._keys.public),
            (zmq.CURVE_SECRETKEY, self._keys.secret),
            (zmq.RECONNECT_IVL, RECONNECT_MS),
            (zmq.SNDHWM, MAX_WAITING_MESSAGES),
        ):
            self._socket.setsockopt(option, value)
        notice_lost_peers(self._socket, lost_after_ms)
        bound_messages(self._socket)

    def stop(self, *, politely: bool) -> None:
        """Tell the host to end the run's engines; `politely` waits until it has. Never raises; twice is once."""
        if self._stopped:
            return
        self._stopped = True
        self._runtime.peers.discard(self)
        with contextlib.suppress(BridgeError):
            self.send(Stop())
            if politely:
                self.receive(Stopped, limit_s=STOP_LIMIT_S)
        self._socket.disable_monitor()
        self._events.close(0)
        self._socket.close()
        os.close(self._log_writer)
        self._kept_log.close()

    def _next(self, limit_s: float) -> Any:
        give_up_s = monotonic_s() + limit_s
        while True:
            left_s = 0 if self._broken else max(0, give_up_s - monotonic_s())
            self._poller.poll(int(min(left_s, LONGEST_WAIT_S) * 1_000))
            # What the host said before the connection broke comes first.
            if self._socket.poll(0):
                reply = self._take()
                if not isinstance(reply, Beat):
                    return reply
                self._write(reply.log)
            elif self._events.poll(0):
                self._on_event(recv_monitor_message(self._events))
            elif self._broken is not None:
                raise self._broken
            elif monotonic_s() >= give_up_s:
                raise self._silent(limit_s)

    def _refusal(self, reply: MessageRefused) -> ChildError:
        """ZeroMQ connects anew by itself, and what belonged to the connection that broke is refused there."""
        while self._events.poll(0):
            self._on_event(recv_monitor_message(self._events))
        return self._broken or super()._refusal(reply)

    def _on_event(self, event: Any) -> None:
        kind = event["event"]
        if kind == zmq.EVENT_HANDSHAKE_SUCCEEDED:
            self._let_in = True
        elif kind == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
            self._broken = self._unknown_key()
        elif kind == zmq.EVENT_DISCONNECTED and self._broken is None:
            self._failed_handshakes += not self._let_in
            if self._let_in:
                what = f"lost the engine host: the connection to {self.address} broke"
                self._broken = ChildError(self.role, what, self.log, "see what cosim engine-host wrote there")
            elif self._failed_handshakes == HANDSHAKES:
                self._broken = self._no_handshake()

    def _unknown_key(self) -> ChildError:
        key = self._keys.public.decode()
        what = f"cannot start: the engine host at {self.address} refuses this client's key {key}"
        advice = f"if it may come in, type there, where KEYS is its --keys: {authorising('KEYS', key)}"
        return ChildError(self.role, what, self.log, advice)

    def _no_handshake(self) -> ChildError:
        what = f"cannot start: {self.address} breaks off the handshake"
        file = self._keys.file.with_name(f"{HOST}{PUBLIC}")
        advice = f"see that cosim engine-host listens there and that {file} is a copy of its own {file.name}"
        return ChildError(self.role, what, self.log, advice)

    def _silent(self, limit_s: float) -> ChildError:
        if self._let_in:
            what = f"has been silent for {limit_s:g} s, though the engine host at {self.address} is there"
            return self.fault(what)
        what, advice = _why_unreachable(self.address)
        return ChildError(self.role, f"cannot start: {self.address} {what}", self.log, advice)

    def _write(self, text: bytes) -> None:
        """Put into the log what the engines wrote there."""
        while text:
            text = text[os.write(self._log_writer, text) :]

    def _catch_up_log(self) -> None:
        self._kept_log.catch_up()


def has_only_ipv6(address: str) -> bool:
    """Whether a host has IPv6 addresses alone: of a name with both, ZeroMQ would not try the IPv4 address."""
    found = ADDRESS.fullmatch(address)
    assert found is not None
    try:
        infos = sockets.getaddrinfo(found["host"].strip("[]"), int(found["port"]), type=sockets.SOCK_STREAM)
    except (OSError, UnicodeError):  # Nothing is known of it; connecting says so.
        return False
    return all(family == sockets.AF_INET6 for family, *_ in infos)


def _why_unreachable(address: str) -> tuple[str, str]:
    """What a plain TCP connection says, and what to do: ZeroMQ keeps the reason to itself."""
    found = ADDRESS.fullmatch(address)
    assert found is not None
    try:
        sockets.create_connection((found["host"].strip("[]"), int(found["port"])), PROBE_LIMIT_S).close()
    except (sockets.gaierror, UnicodeError):  # A name that IDNA cannot encode is known nowhere.
        return "has a host name that is not known", "give its IP address"
    except ConnectionRefusedError:
        return "refuses connections: nobody listens", "start cosim engine-host there, or mend the port"
    except TimeoutError:
        return "does not answer", "see that the machine is on and that no firewall drops the port"
    except OSError as error:
        return f"has no way to it ({error.strerror})", "see that the machine is on this network"
    return "listens but does not answer as an engine host", "see what listens there"
