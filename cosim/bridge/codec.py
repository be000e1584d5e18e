"""What may come in at a socket: one frame, of bounded size, that decodes to a message of this protocol version."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import zmq

from cosim.bridge.errors import BridgeError, MessageError
from cosim.bridge.messages import PROTOCOL_VERSION

MIB = 1 << 20
# The largest message is a prompt with its images.
MAX_MESSAGE_BYTES = 64 * MIB
# ZeroMQ ends a connection that sends more than this, unread; between the two a message is read, refused and counted.
MAX_FRAME_BYTES = 2 * MAX_MESSAGE_BYTES
# Both sides answer what they are asked, so few messages wait to be sent, and few are read at a time.
MAX_WAITING_MESSAGES = 16
MALFORMED, OVERSIZED, STALE = "malformed message", "oversized message", "other protocol version"

# What msgspec raises for bytes that nobody encoded: deep nesting, keys that cannot be keys, dates that do not exist.
_UNDECODABLE = (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError, MemoryError)


class _Stated(msgspec.Struct):
    """Any message that says which version of the protocol its sender speaks."""

    type: str
    version: int


class Codec:
    """Encodes every message, decodes those of a type; `refused` counts what did not decode."""

    def __init__(self, message_type: Any) -> None:
        self.refused = 0
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(message_type)
        self._stated = msgspec.msgpack.Decoder(_Stated)

    def encode(self, message: Any) -> bytes:
        """The bytes of a message. Raises BridgeError if no peer would take so many."""
        data = self._encoder.encode(message)
        if len(data) > MAX_MESSAGE_BYTES:
            what = f"{type(message).__name__} has {len(data)} bytes; a message has at most {MAX_MESSAGE_BYTES}"
            raise BridgeError(f"{what}; next: make prompts or images smaller")
        return data

    def decode(self, frames: Sequence[bytes]) -> Any:
        """The message in the frames that arrived together. Raises MessageError, and counts it."""
        try:
            return self._decode(frames)
        except MessageError:
            self.refused += 1
            raise

    def _decode(self, frames: Sequence[bytes]) -> Any:
        if len(frames) != 1:
            raise MessageError(f"malformed message: {len(frames)} frames instead of one", MALFORMED)
        if len(frames[0]) > MAX_MESSAGE_BYTES:
            raise MessageError(f"oversized message: {len(frames[0])} bytes; at most {MAX_MESSAGE_BYTES}", OVERSIZED)
        try:
            message = self._decoder.decode(frames[0])
        except _UNDECODABLE as error:
            self._check_version(self._stated_version(frames[0]))
            raise MessageError(f"malformed message: {error or type(error).__name__}", MALFORMED) from None
        self._check_version(getattr(message, "version", PROTOCOL_VERSION))
        return message

    def _check_version(self, version: int) -> None:
        if version != PROTOCOL_VERSION:
            what = f"protocol version {version} instead of {PROTOCOL_VERSION}"
            raise MessageError(f"{what}; next: install the same version of cosim on both sides", STALE)

    def _stated_version(self, data: bytes) -> int:
        """The version that an undecodable message states; without one, the fault is not the version."""
        try:
            return self._stated.decode(data).version
        except _UNDECODABLE:
            return PROTOCOL_VERSION


def bound_messages(socket: zmq.Socket[bytes]) -> None:
    """Bound the size of what a socket takes; to be set before it is bound or connected."""
    socket.setsockopt(zmq.MAXMSGSIZE, MAX_FRAME_BYTES)
