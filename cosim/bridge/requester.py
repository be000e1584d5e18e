"""One end of a conversation: a request, then its reply, whoever answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, TypeVar

import zmq

from cosim.bridge.codec import Codec
from cosim.bridge.errors import ChildError, MessageError
from cosim.bridge.messages import Failed, MessageRefused
from cosim.clock import monotonic_ns

Reply = TypeVar("Reply")

# poll(2) takes milliseconds in an int.
LONGEST_WAIT_S = 2_000_000


class Requester(ABC):
    """Asks one peer; `role` names it in errors, `log` has what it wrote, `wait_ns` is the time spent waiting for it."""

    def __init__(self, role: str, log: Path, socket: zmq.Socket[bytes], reply_type: Any) -> None:
        self.role = role
        self.log = log
        self.wait_ns = 0
        self._socket = socket
        self._codec = Codec(reply_type)

    @property
    def refused_messages(self) -> int:
        """Messages of the peer that were malformed, too large or of another version."""
        return self._codec.refused

    def send(self, message: Any) -> None:
        """Send a request without waiting for its reply."""
        data = self._codec.encode(message)
        try:
            self._socket.send(data, zmq.NOBLOCK)
        except zmq.ZMQError as error:
            raise self.fault(f"takes no message ({error})") from error

    def receive(self, expected: type[Reply], *, limit_s: float) -> Reply:
        """Wait for the reply. Raises ChildError when the peer ends, reports a failure or is silent for too long."""
        start_ns = monotonic_ns()
        try:
            reply = self._next(limit_s)
        finally:
            self.wait_ns += monotonic_ns() - start_ns
        if not isinstance(reply, expected):
            raise self.fault(f"answered {type(reply).__name__} instead of {expected.__name__}")
        return reply

    def request(self, message: Any, expected: type[Reply], *, limit_s: float) -> Reply:
        """Send a request and wait for its reply."""
        self.send(message)
        return self.receive(expected, limit_s=limit_s)

    def fault(self, what: str) -> ChildError:
        """The error that blames the peer, with the last that it wrote."""
        self._catch_up_log()
        return ChildError(self.role, what, self.log)

    @abstractmethod
    def stop(self, *, politely: bool) -> None:
        """End the conversation and what answers it; `politely` lets it finish first. Never raises; twice is once."""

    @abstractmethod
    def _next(self, limit_s: float) -> Any:
        """The next message of the peer, when there is one. Raises ChildError."""

    @abstractmethod
    def _catch_up_log(self) -> None:
        """Wait until what the peer has written is in its log, where that takes time."""

    def _take(self) -> Any:
        """The message that has arrived. Raises ChildError if it is none, or tells of a failure."""
        try:
            reply = self._codec.decode(self._socket.recv_multipart())
        except MessageError as error:
            raise self.fault(f"sent what is refused: {error}") from error
        if isinstance(reply, Failed):
            raise self.fault(f"failed: {reply.text}")
        if isinstance(reply, MessageRefused):
            raise self._refusal(reply)
        return reply

    def _refusal(self, reply: MessageRefused) -> ChildError:
        """The error that a refused message is."""
        return self.fault(f"refused message {reply.count}: {reply.text}")
