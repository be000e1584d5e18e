"""A client of an engine host that sends what it is told to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import zmq

from cosim.bridge.codec import Codec
from cosim.bridge.keys import client_keys
from cosim.bridge.messages import PROTOCOL_VERSION
from cosim.bridge.remote_messages import Attach, Beat, RemoteReply

LIMIT_MS = 30_000
ATTACH = Attach(PROTOCOL_VERSION, "run", "name")
encode = msgspec.msgpack.encode


class Peer:
    """A connection with a client's key that sends what it is told to."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], address: str, keys: Path) -> None:
        own = client_keys(keys)
        self._codec = Codec(RemoteReply)
        self.socket = context.socket(zmq.DEALER)
        self.socket.curve_serverkey, self.socket.curve_publickey = own.host, own.public
        self.socket.curve_secretkey = own.secret
        self.socket.connect(address)

    def ask(self, *frames: bytes) -> Any:
        self.socket.send_multipart(frames)
        return self.reply()

    def reply(self) -> Any:
        """The next reply that is no heartbeat."""
        while self.socket.poll(LIMIT_MS):
            reply = self._codec.decode(self.socket.recv_multipart())
            if not isinstance(reply, Beat):
                return reply
        raise AssertionError("no reply")
