"""The bridge with real child processes: every way in which a peer can fail is named."""

from __future__ import annotations

import os
import random
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from cosim.bridge.child import LOCK, Child, Runtime
from cosim.bridge.engine_messages import EngineReply, Rendered, Step, Stepped
from cosim.bridge.errors import ChildError, last_log_lines
from cosim.bridge.kept_log import KeptLog
from cosim.bridge.messages import PROTOCOL_VERSION
from cosim.clock import monotonic_s, sleep_s
from cosim.kept_children import KeptChildren
from cosim.signals import first_signal_raises

REPOSITORY = str(Path(__file__).parents[2])


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    runtime = Runtime()
    yield runtime
    runtime.close()
    assert not runtime.directory.exists()


@pytest.fixture(scope="module")
def kept() -> Iterator[KeptChildren]:
    kept = KeptChildren()
    yield kept
    kept.close()


@pytest.fixture(params=["started", "forked"])
def child(runtime: Runtime, tmp_path: Path, kept: KeptChildren, request: pytest.FixtureRequest) -> Iterator[Child]:
    child = start(runtime, tmp_path, kept=kept if request.param == "forked" else None)
    yield child
    child.stop(politely=False)


def start(runtime: Runtime, tmp_path: Path, *, kept: KeptChildren | None = None, **environment: str) -> Child:
    log, module, environment = (
        tmp_path / "double.log",
        "tests.unit.peer_double",
        {"PYTHONPATH": REPOSITORY, **environment},
    )
    server = kept.server(module, environment) if kept is not None else None
    return Child("double", module, EngineReply, runtime=runtime, log=log, environment=environment, server=server)


def ask(child: Child, action: str, limit_s: float = 20) -> Rendered:
    return child.request(Step(action, [], []), Rendered, limit_s=limit_s)


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def wait_until_gone(pid: int) -> None:
    give_up_s = monotonic_s() + 20
    while not gone(pid):
        assert monotonic_s() < give_up_s, f"process {pid} is still running"
        sleep_s(0.02)


def test_request_and_reply(child: Child) -> None:
    assert ask(child, "answer") == Rendered(1, 2, 3, 4, 5, 6)
    assert child.wait_ns > 0


def test_what_a_killed_run_left_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        monkeypatch.setattr("tempfile.tempdir", folder)
        check_what_is_removed(Path(folder))


def check_what_is_removed(folder: Path) -> None:
    abandoned, foreign = folder / "cosim-abandoned", folder / "cosim-notes"
    for directory in (abandoned, foreign):
        directory.mkdir()
    (abandoned / LOCK).touch()
    (abandoned / "1.sock").touch()
    (foreign / "1.sock").touch()
    used = Runtime()
    (used.directory / "1.sock").touch()
    runtime = Runtime()
    assert sorted(folder.iterdir()) == sorted([foreign, used.directory, runtime.directory])
    for each in (used, runtime):
        each.close()


def test_socket_directory_is_private(runtime: Runtime) -> None:
    assert stat.S_IMODE(runtime.directory.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("action", "what"),
    [
        ("die", "was killed by SIGKILL"),
        ("exit", "ended with exit status 7"),
        ("raise", "failed: ValueError: the reason"),
        ("sleep", "has been silent for 1.5 s"),
    ],
)
def test_a_failing_peer_is_named_with_its_last_lines(child: Child, action: str, what: str) -> None:
    ask(child, "answer")
    with pytest.raises(ChildError, match=what) as caught:
        ask(child, action, limit_s=1.5)
    assert str(caught.value).startswith("double ")
    assert f"asked to {action}" in str(caught.value)
    assert "next: read" in str(caught.value)


def test_a_stopped_process_is_silent(child: Child) -> None:
    ask(child, "answer")
    os.kill(child.pid, signal.SIGSTOP)
    with pytest.raises(ChildError, match="silent for 1 s"):
        ask(child, "answer", limit_s=1)


@pytest.mark.parametrize(
    ("saying", "what", "refused"),
    [
        ("garbage", "sent what is refused: malformed message", 1),
        ("two frames", "malformed message: 2 frames instead of one", 1),
        ("too much", "oversized message: 67108865 bytes; at most 67108864", 1),
        ("far too much", "closed its socket, or sent more than 134217728 bytes at once", 0),
        ("an old version", f"protocol version 1 instead of {PROTOCOL_VERSION}", 1),
    ],
)
def test_a_child_that_says_what_is_no_message_is_named(
    runtime: Runtime, tmp_path: Path, saying: str, what: str, refused: int
) -> None:
    child = start(runtime, tmp_path, PEER_DOUBLE=saying)
    try:
        with pytest.raises(ChildError, match=what):
            ask(child, "answer")
        assert child.refused_messages == refused
    finally:
        child.stop(politely=False)


def test_thousands_of_malformed_messages_leave_a_child_as_it_was(child: Child) -> None:
    ask(child, "answer")
    child._socket.setsockopt(zmq.SNDTIMEO, 20_000)
    stream = random.Random(1)
    for index in range(5_000):
        child._socket.send_multipart([stream.randbytes(stream.randrange(100))] * (1 + index % 2))
        while child._socket.poll(0):
            child._socket.recv()
    while child._socket.poll(500):
        child._socket.recv()
    child._socket.send(b"\xc1")
    with pytest.raises(ChildError, match="refused message 5001: malformed message"):
        ask(child, "answer")
    assert child.receive(Rendered, limit_s=20) == Rendered(1, 2, 3, 4, 5, 6)
    assert "refused message 4096: malformed message" in child.log.read_text()


def test_what_comes_out_of_order_is_refused_and_named(child: Child) -> None:
    with pytest.raises(ChildError, match="refused message 1: message 'refuse' is out of order"):
        ask(child, "refuse")
    assert ask(child, "answer") == Rendered(1, 2, 3, 4, 5, 6)


def test_an_unexpected_reply_is_refused(child: Child) -> None:
    with pytest.raises(ChildError, match="answered Rendered instead of Stepped"):
        child.request(Step("answer", [], []), Stepped, limit_s=20)


def test_stop_ends_the_child_and_what_it_started(child: Child) -> None:
    grandchild = ask(child, "spawn").duration_ns
    assert not gone(grandchild)
    pid = child.pid
    child.stop(politely=True)
    wait_until_gone(pid)
    wait_until_gone(grandchild)


@pytest.mark.parametrize(("owner", "name"), [(zmq.Context, "_add_socket"), (KeptLog, "writer"), (os, "pidfd_open")])
def test_ctrl_c_during_the_start_of_a_child_leaves_nothing(
    owner: Any, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    begin = getattr(owner, name)

    def interrupted(*arguments: Any) -> Any:
        signal.raise_signal(signal.SIGINT)
        return begin(*arguments)

    runtime = Runtime()
    monkeypatch.setattr(owner, name, interrupted)
    try:
        with first_signal_raises(), pytest.raises(KeyboardInterrupt):
            start(runtime, tmp_path)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        children = [peer.pid for peer in runtime.peers if isinstance(peer, Child)]
        runtime.close()
    assert len(children) == 1
    assert gone(children[0])
    assert runtime.context.closed
    assert not runtime.directory.exists()


def test_a_socket_that_somebody_keeps_open_does_not_hold_up_the_end() -> None:
    runtime = Runtime()
    socket = zmq.Socket(runtime.context, zmq.PAIR)
    runtime.close()
    assert not runtime.directory.exists()
    runtime.close()
    socket.close(0)


PARENT = """
import os, sys
from pathlib import Path
from cosim.bridge.child import LOCK, Child, Runtime
from cosim.bridge.engine_messages import EngineReply, Rendered, Step
from cosim.clock import sleep_s
child = Child("double", "tests.unit.peer_double", EngineReply, runtime=Runtime(), log=Path(sys.argv[1]))
child.request(Step("answer", [], []), Rendered, limit_s=20)
print(child.pid, flush=True)
sleep_s(3600)
"""


def test_a_child_dies_with_its_parent(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path / "double.log")]
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": REPOSITORY}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert not gone(pid)
        parent.kill()
    wait_until_gone(pid)


def test_only_the_end_of_a_large_log_is_read(tmp_path: Path) -> None:
    log = tmp_path / "large.log"
    with log.open("wb") as file:
        file.truncate(10 * 2**30)
        file.seek(0, 2)
        file.write(b"\nfirst\nlast\n")
    assert last_log_lines(log)[-2:] == ["first", "last"]
    assert last_log_lines(tmp_path / "none.log") == []
