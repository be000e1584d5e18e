"""The child's side of the bridge: bind, answer requests one at a time, die with the parent."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import traceback
from collections.abc import Callable
from typing import Any

import zmq

from cosim.bridge.codec import Codec, bound_messages
from cosim.bridge.errors import MessageError
from cosim.bridge.messages import Failed, MessageRefused, Stop, Stopped

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent_pid: int) -> None:
    """Have the kernel kill this process when its parent ends, even if the parent is killed with -9."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        os._exit(1)


def serve(arguments: list[str], request_type: Any, handle: Callable[[Any], Any]) -> int:
    """Answer requests until `Stop`; returns the process's exit status.

    `arguments` are the address and the parent's process id, as `Child` passes them. What is no message, and what
    `handle` refuses with MessageError, is answered by `MessageRefused` and changes nothing. A handler that raises
    anything else ends the process: its traceback goes to the log and its message to the parent as `Failed`.
    """
    address, parent_pid = arguments[0], int(arguments[1])
    die_with_parent(parent_pid)
    codec = Codec(request_type)
    context = zmq.Context()
    socket: zmq.Socket[bytes] = context.socket(zmq.PAIR)
    socket.setsockopt(zmq.LINGER, 2_000)
    bound_messages(socket)
    socket.bind(address)
    refused = 0
    try:
        while True:
            frames = socket.recv_multipart()
            try:
                request = codec.decode(frames)
                reply = codec.encode(Stopped() if isinstance(request, Stop) else handle(request))
            except MessageError as error:
                refused += 1
                _refuse(socket, codec, refused, error)
                continue
            except Exception as error:
                traceback.print_exc(file=sys.stderr)
                socket.send(codec.encode(Failed(f"{type(error).__name__}: {error}")))
                return 1
            socket.send(reply)
            if isinstance(request, Stop):
                return 0
    finally:
        socket.close()
        context.term()


def _refuse(socket: zmq.Socket[bytes], codec: Codec, count: int, error: MessageError) -> None:
    """Tell the parent, and the log as often as a flood leaves it readable: 1, 2, 4, 8, ..."""
    if count & (count - 1) == 0:
        print(f"refused message {count}: {error}", file=sys.stderr, flush=True)
    with contextlib.suppress(zmq.Again):
        socket.send(codec.encode(MessageRefused(str(error), count)), zmq.NOBLOCK)
