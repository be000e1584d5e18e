"""What comes while nobody reads, as a process is stopped or busy elsewhere: it waits, and breaks nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import zmq

from cosim.bridge.keys import host_keys
from cosim.bridge.listener import HEARTBEAT_MS, Arrived, Listener, Refusals
from cosim.bridge.messages import PROTOCOL_VERSION, Stop
from cosim.bridge.remote_messages import Attached, Beat
from cosim.clock import monotonic_s
from tests.remote.peer import ATTACH, LIMIT_MS, Peer, encode

Context = zmq.Context[zmq.Socket[bytes]]
N_MESSAGES = 100
LOST_AFTER_S = 3.0
# The first heartbeat after a peer has gone is answered by a reset, the next finds the connection broken.
HEARTBEATS_S = 3 * HEARTBEAT_MS / 1_000
ATTACHED = Attached(PROTOCOL_VERSION, {}, {})

CLIENT = """
import sys
from pathlib import Path
from cosim.bridge.child import Runtime
from cosim.bridge.errors import ChildError
from cosim.bridge.keys import client_keys
from cosim.bridge.engine_messages import Step
from cosim.bridge.remote import RemoteHost
from cosim.bridge.remote_messages import Attached

address, keys, silence_limit_s = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])
runtime = Runtime()
try:
    host = RemoteHost(
        "engines", address, client_keys(keys), run="run", name="name", runtime=runtime, log=keys / "log",
        silence_limit_s=silence_limit_s,
    )
    sys.stdin.readline()
    host.send(Step("engine", [], []))
    sys.stdin.readline()
    print(host.receive(Attached, limit_s=60))
except ChildError as error:
    print(error)
finally:
    runtime.close()
"""

HOST = """
import sys
from pathlib import Path
import zmq
from cosim.bridge.keys import host_keys
from cosim.bridge.listener import Listener, Refusals
from cosim.bridge.remote_messages import Attach

listener = Listener(zmq.Context(), "tcp://127.0.0.1:*", host_keys(Path(sys.argv[1])), Refusals(print))
print(listener.address, flush=True)
poller = zmq.Poller()
for source in listener.sources:
    poller.register(source, zmq.POLLIN)
while poller.poll():
    for arrived in listener.arrivals():
        if isinstance(arrived.message, Attach):
            print("let in", flush=True)
            sys.stdin.readline()
"""


@contextmanager
def python(script: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A process that reads its socket when it is given a line."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def give(process: subprocess.Popen[str], text: str) -> None:
    assert process.stdin is not None
    process.stdin.write(text)
    process.stdin.flush()


def goes_on(process: subprocess.Popen[str], *, for_s: float) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(for_s)


def next_arrived(listener: Listener) -> Arrived:
    give_up_s = monotonic_s() + LIMIT_MS / 1_000
    arrived = None
    while arrived is None:
        assert monotonic_s() < give_up_s
        arrived = next(listener.arrivals(), None)
    return arrived


@contextmanager
def busy_client(context: Context, keys: Path) -> Iterator[tuple[subprocess.Popen[str], Listener, bytes]]:
    """A client that has been let in and reads nothing of what it is sent then. It sends a step at a line."""
    listener = Listener(context, "tcp://127.0.0.1:*", host_keys(keys), Refusals(print))
    with python(CLIENT, listener.address, keys, LOST_AFTER_S) as process:
        peer = next_arrived(listener).peer
        for message in (ATTACHED, *[Beat(b"")] * N_MESSAGES):
            assert listener.send(peer, message)
        yield process, listener, peer


def test_a_client_that_is_busy_for_long_keeps_its_connection(context: Context, keys: Path) -> None:
    with busy_client(context, keys) as (process, listener, peer):
        goes_on(process, for_s=2 * LOST_AFTER_S)
        assert listener.send(peer, ATTACHED)
        output, _ = process.communicate("\n\n", timeout=30)
        listener.close()
    assert output.strip() == str(ATTACHED)
    assert process.returncode == 0


def test_a_client_that_is_busy_while_its_host_ends_names_it(context: Context, keys: Path) -> None:
    with busy_client(context, keys) as (process, listener, _):
        listener.close()
        goes_on(process, for_s=HEARTBEATS_S)
        output, _ = process.communicate("\n\n", timeout=30)
    assert "lost the engine host: the connection to tcp://127.0.0.1:" in output
    assert process.returncode == 0


def test_a_client_that_is_connected_anew_names_the_connection_that_broke(context: Context, keys: Path) -> None:
    with busy_client(context, keys) as (process, listener, _):
        listener.close()
        context.term()
        with zmq.Context() as another:
            listener = Listener(another, listener.address, host_keys(keys), Refusals(print))
            give(process, "\n")
            listener.refuse(next_arrived(listener), "message out of order", "Step is out of order")
            listener.close()
        output, _ = process.communicate("\n", timeout=30)
    assert "lost the engine host: the connection to tcp://127.0.0.1:" in output
    assert "refused" not in output


def test_a_host_that_is_busy_while_a_client_ends_serves_the_next(keys: Path) -> None:
    with python(HOST, keys) as process:
        address = line(process)
        with zmq.Context() as context:
            peer = Peer(context, address, keys)
            peer.socket.send(encode(ATTACH))
            assert line(process) == "let in"
            for _ in range(N_MESSAGES):
                peer.socket.send(encode(Stop()))
            peer.socket.close()
        goes_on(process, for_s=HEARTBEATS_S)
        with zmq.Context() as context:
            another = Peer(context, address, keys)
            another.socket.send(encode(ATTACH))
            give(process, "\n")
            assert line(process) == "let in"
            another.socket.close(0)
