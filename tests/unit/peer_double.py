"""A child for the bridge's tests; the name of the engine that it is asked for says what it does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from typing import Any

import msgspec
import zmq

from cosim.bridge.codec import MAX_FRAME_BYTES, MAX_MESSAGE_BYTES
from cosim.bridge.engine_messages import EngineRequest, EnginesReady, Rendered, RenderRefused, Step
from cosim.bridge.errors import MessageError
from cosim.bridge.peer import serve
from cosim.clock import sleep_s


def handle(request: Any) -> Any:
    """Do what the engine's name says: answer, sleep, die, raise, spawn."""
    assert isinstance(request, Step)
    action = request.engine
    print(f"asked to {action}", flush=True)
    if action == "sleep":
        sleep_s(3600)
    elif action == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "exit":
        os._exit(7)
    elif action == "raise":
        raise ValueError("the reason")
    elif action == "refuse":
        raise MessageError("message 'refuse' is out of order")
    elif action == "temporary":
        return RenderRefused(0, os.getppid(), os.getsid(0), f"{os.environ['TMPDIR']} {tempfile.gettempdir()}")
    elif action == "spawn":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
        return Rendered(child.pid, 0, 0, 0, 0, 0)
    return Rendered(1, 2, 3, 4, 5, 6)


NONSENSE: dict[str, Callable[[], list[bytes]]] = {
    "garbage": lambda: [b"\xc1 no msgpack"],
    "two frames": lambda: [b"", b""],
    "too much": lambda: [bytes(MAX_MESSAGE_BYTES + 1)],
    "far too much": lambda: [bytes(MAX_FRAME_BYTES + 1)],
    "an old version": lambda: [msgspec.msgpack.encode(EnginesReady(1, {}, {}))],
}


def prepare() -> None:
    """Load nothing, or what no server can load."""
    match os.environ.get("PEER_DOUBLE"):
        case "cannot load":
            raise OSError("a library is missing")
        case "threads":
            threading.Thread(target=sleep_s, args=(3600,), daemon=True).start()


def main() -> int:
    """Serve, or send what is no message."""
    nonsense = NONSENSE.get(os.environ.get("PEER_DOUBLE", ""))
    if nonsense is not None:
        context = zmq.Context()
        socket: zmq.Socket[bytes] = context.socket(zmq.PAIR)
        socket.bind(sys.argv[1])
        socket.recv()
        socket.send_multipart(nonsense())
        sleep_s(3600)
    return serve(sys.argv[1:], EngineRequest, handle)


if __name__ == "__main__":
    sys.exit(main())
