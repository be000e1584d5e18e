"""The child's side of the bridge: bind, answer requests one at a time, die with the parent."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any

import msgspec
import zmq

from cosim.bridge.kept_log import wait_until_logged
from cosim.bridge.messages import Failed, Stop, Stopped

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent_pid: int) -> None:
    """Have the kernel kill this process when its parent ends, even if the parent is killed with -9."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        os._exit(1)


def serve(arguments: list[str], request_type: Any, handle: Callable[[Any], Any]) -> int:
    """Answer requests until `Stop`; returns the process's exit status.

    `arguments` are the address and the parent's process id, as `Child` passes them. A handler that raises ends the
    process: its traceback goes to the log and its message to the parent as `Failed`.
    """
    address, parent_pid = arguments[0], int(arguments[1])
    die_with_parent(parent_pid)
    decoder: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(request_type)
    encode = msgspec.msgpack.Encoder().encode
    context = zmq.Context()
    socket: zmq.Socket[bytes] = context.socket(zmq.PAIR)
    socket.setsockopt(zmq.LINGER, 2_000)
    socket.bind(address)
    try:
        while True:
            try:
                request = decoder.decode(socket.recv())
                if isinstance(request, Stop):
                    socket.send(encode(Stopped()))
                    return 0
                reply = encode(handle(request))
            except Exception as error:
                traceback.print_exc(file=sys.stderr)
                wait_until_logged(sys.stderr.fileno())
                socket.send(encode(Failed(f"{type(error).__name__}: {error}")))
                return 1
            socket.send(reply)
    finally:
        socket.close()
        context.term()
