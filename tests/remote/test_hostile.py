"""What is no message, from strangers and from clients: refused, counted, and nothing to the run that is served."""

from __future__ import annotations

import random
import re
import resource
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import zmq

from cosim.bridge.codec import MAX_FRAME_BYTES, MAX_MESSAGE_BYTES
from cosim.bridge.engine_messages import Render, StartEngines, Step
from cosim.bridge.keys import host_keys
from cosim.bridge.listener import MOST_TEXT_CHARACTERS, Listener, Lost, Refusals
from cosim.bridge.messages import PROTOCOL_VERSION, Failed, MessageRefused, Stop
from cosim.bridge.remote_messages import Attach, Attached, Beat
from cosim.clock import monotonic_s, sleep_s
from tests.remote.peer import ATTACH, LIMIT_MS, Peer, encode
from tests.remote.rig import EngineHostProcess, engine_host, run_under_way, write
from tests.scenario.test_command_line import cosim

N_FRAMES = 5_000
FEW_FILES = 100
# Quoted, it is longer than a message may be.
LARGE_TEXT = "\x01" * (20 << 20)


@pytest.fixture
def peer(context: zmq.Context[zmq.Socket[bytes]], host: EngineHostProcess, keys: Path) -> Peer:
    return Peer(context, host.address, keys)


def refusal(peer: Peer, *frames: bytes) -> str:
    reply = peer.ask(*frames)
    assert isinstance(reply, MessageRefused), reply
    return reply.text


def recorded(host: EngineHostProcess, keys: Path, folder: Path) -> bytes:
    """The records of a short run."""
    folder.mkdir()
    done = cosim("run", write(folder, host.address, keys), "-o", folder / "out")
    assert done.returncode == 0, done.stderr
    return (folder / "out" / "requests.jsonl").read_bytes()


def wait_until_refused(host: EngineHostProcess, n: int) -> None:
    """Until so many have been counted as speaking no CURVE or no ZeroMQ."""
    give_up_s = monotonic_s() + LIMIT_MS / 1_000
    while sum(int(n) for n in re.findall(r" no \w+ (\d+)", host.output.rpartition("refused so far:")[2])) < n:
        assert monotonic_s() < give_up_s, host.output
        sleep_s(0.05)


@contextmanager
def run_goes_on(host: EngineHostProcess, keys: Path, folder: Path) -> Iterator[None]:
    """A run that is served meanwhile and afterwards."""
    with run_under_way(folder, host.address, keys) as (process, out):
        yield
        n_bytes = (out / "requests.jsonl").stat().st_size
        while (out / "requests.jsonl").stat().st_size == n_bytes:
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == 130


def test_strangers_change_nothing_for_the_run_that_is_served_nor_for_the_next(
    host: EngineHostProcess, keys: Path, tmp_path: Path, context: zmq.Context[zmq.Socket[bytes]]
) -> None:
    before = recorded(host, keys, tmp_path / "before")
    stream = random.Random(1)
    with run_goes_on(host, keys, tmp_path):
        for index in range(100):
            with socket.create_connection(("127.0.0.1", host.port)) as connection:
                # The second half begins as ZeroMQ 3 does, then goes on as it pleases.
                head = b"" if index < 50 else b"\xff" + bytes(8) + b"\x7f\x03\x00CURVE"
                connection.sendall(head + stream.randbytes(stream.randrange(64, 5_000)))
        plain = context.socket(zmq.DEALER)
        plain.connect(host.address)
        plain.send(encode(ATTACH))
        wait_until_refused(host, 101)
        plain.close(0)
    assert host.wait_for("run 'run' .*: its run has ended")
    assert recorded(host, keys, tmp_path / "after") == before


def test_connections_that_say_nothing_keep_nobody_out_and_are_named(
    host: EngineHostProcess, keys: Path, tmp_path: Path
) -> None:
    connections = [socket.create_connection(("127.0.0.1", host.port)) for _ in range(200)]
    recorded(host, keys, tmp_path / "run")
    for connection in connections:
        connection.close()
    host.wait_for(r"the last: no ZeroMQ: 127\.0\.0\.1 port \d+")


def test_more_silent_connections_than_files_that_may_be_open_leave_the_run_and_the_next_alone(
    host: EngineHostProcess, keys: Path, tmp_path: Path
) -> None:
    with run_goes_on(host, keys, tmp_path):
        _, hard = resource.prlimit(host.process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(host.process.pid, resource.RLIMIT_NOFILE, (FEW_FILES, hard))
        connections = [socket.create_connection(("127.0.0.1", host.port)) for _ in range(2 * FEW_FILES)]
        own = Path(f"/proc/{host.process.pid}/fd")
        give_up_s = monotonic_s() + LIMIT_MS / 1_000
        while sum(1 for _ in own.iterdir()) < FEW_FILES:
            assert monotonic_s() < give_up_s
    for connection in connections:
        connection.close()
    recorded(host, keys, tmp_path / "after")


def test_a_host_takes_as_many_files_as_it_may_open(tmp_path: Path, keys: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, hard - 1), hard))
    try:
        with engine_host(tmp_path, keys) as host:
            assert resource.prlimit(host.process.pid, resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    ("frames", "what"),
    [
        ([b""], "malformed message"),
        ([b"\xc1 no msgpack"], "malformed message"),
        ([encode(ATTACH), encode(Stop())], "malformed message: 2 frames instead of one"),
        (
            [encode({"type": "Attach", "version": PROTOCOL_VERSION, "run": 5, "name": None})],
            "malformed message: Expect",
        ),
        ([bytes(MAX_MESSAGE_BYTES + 1)], f"oversized message: {MAX_MESSAGE_BYTES + 1} bytes"),
        ([encode(Attach(1, "run", "name"))], "protocol version 1 instead of"),
        ([encode({"type": "Attach", "version": 99})], "protocol version 99 instead of"),
        ([encode(Step("e", [], []))], "Step is out of order"),
        ([encode(StartEngines(PROTOCOL_VERSION, "cpu", [], 1))], "StartEngines is out of order"),
        ([encode(Stop())], "Stop is out of order"),
    ],
)
def test_a_message_of_a_client_that_is_none_is_refused_and_the_next_is_heard(
    peer: Peer, host: EngineHostProcess, frames: list[bytes], what: str
) -> None:
    assert what in refusal(peer, *frames)
    host.wait_for(rf"refused so far: \w.* 1; the last: .*{re.escape(what[:20])}.* \(from client at 127.0.0.1\)")
    assert isinstance(peer.ask(encode(ATTACH)), Attached)


def test_a_client_with_texts_of_mebibytes_is_refused_alone(
    peer: Peer, context: zmq.Context[zmq.Socket[bytes]], host: EngineHostProcess, keys: Path
) -> None:
    assert "length <= 200" in refusal(peer, encode(Attach(PROTOCOL_VERSION, "run", LARGE_TEXT)))
    assert "length <= 200" in refusal(peer, encode(Attach(PROTOCOL_VERSION, LARGE_TEXT, "name")))
    assert isinstance(peer.ask(encode(ATTACH)), Attached)
    failed = peer.ask(encode(StartEngines(PROTOCOL_VERSION, LARGE_TEXT, [], 1)))
    assert isinstance(failed, Failed)
    assert len(failed.text) == MOST_TEXT_CHARACTERS
    another = Peer(context, host.address, keys)
    assert isinstance(another.ask(encode(Attach(PROTOCOL_VERSION, "other", "n" * 200))), Attached)
    another.socket.close(0)


def test_a_reply_that_is_too_large_to_be_sent_ends_one_session(
    context: zmq.Context[zmq.Socket[bytes]], keys: Path
) -> None:
    refusals = Refusals(print)
    listener = Listener(context, "tcp://127.0.0.1:*", host_keys(keys), refusals)
    peer = Peer(context, listener.address, keys)
    peer.socket.send(encode(ATTACH))
    give_up_s = monotonic_s() + LIMIT_MS / 1_000
    arrived = None
    while arrived is None:
        assert monotonic_s() < give_up_s
        arrived = next(listener.arrivals(), None)
    with pytest.raises(Lost, match="at most"):
        listener.send(arrived.peer, Beat(bytes(MAX_MESSAGE_BYTES)))
    assert isinstance(peer.reply(), Failed)
    assert refusals.counts == {"oversized reply": 1}
    listener.close()
    peer.socket.close(0)


def test_what_comes_out_of_order_within_a_run_is_refused(peer: Peer) -> None:
    assert isinstance(peer.ask(encode(ATTACH)), Attached)
    assert refusal(peer, encode(ATTACH)) == "Attach is out of order"
    assert refusal(peer, encode(Render("e", "r", b""))) == "Render is out of order"


def test_thousands_of_malformed_messages_leave_the_run_of_another_client_alone(
    peer: Peer, host: EngineHostProcess, keys: Path, tmp_path: Path
) -> None:
    stream = random.Random(1)
    with run_goes_on(host, keys, tmp_path):
        for _ in range(N_FRAMES):
            peer.socket.send(stream.randbytes(stream.randrange(100)))
            while peer.socket.poll(0):
                peer.socket.recv()
        assert isinstance(peer.ask(encode(ATTACH)), Failed | MessageRefused)
        host.wait_for(f"malformed message {N_FRAMES}")


def test_a_message_that_is_too_large_to_be_read_ends_its_connection_alone(
    peer: Peer, context: zmq.Context[zmq.Socket[bytes]], host: EngineHostProcess, keys: Path, tmp_path: Path
) -> None:
    with run_goes_on(host, keys, tmp_path):
        assert isinstance(peer.ask(encode(ATTACH)), Failed)
        lost = peer.socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        peer.socket.send(bytes(MAX_FRAME_BYTES + 1))
        assert lost.poll(LIMIT_MS)
        peer.socket.disable_monitor()
        lost.close(0)
        peer.socket.close(0)
        another = Peer(context, host.address, keys)
        assert isinstance(another.ask(encode(ATTACH)), Failed)
        another.socket.close(0)


def test_a_client_whose_key_is_taken_from_the_folder_is_named_as_such(
    peer: Peer, context: zmq.Context[zmq.Socket[bytes]], host: EngineHostProcess, keys: Path
) -> None:
    assert isinstance(peer.ask(encode(ATTACH)), Attached)
    (keys / "clients" / "client.key").unlink()
    another = Peer(context, host.address, keys)
    host.wait_for("refused: key ")
    another.socket.close(0)
    refusal(peer, b"")
    host.wait_for("from a client that is no longer listed at 127.0.0.1")
