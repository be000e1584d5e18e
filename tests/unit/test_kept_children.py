"""Fork servers with real processes: children of theirs are as others, and outlive nobody."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cosim.bridge.child import Child, Runtime
from cosim.bridge.engine_messages import EngineReply, RenderRefused, Step
from cosim.bridge.errors import ChildError
from cosim.bridge.forked import ForkServer
from cosim.kept_children import KeptChildren
from tests.unit.test_bridge import REPOSITORY, ask, gone, wait_until_gone

MODULE = "tests.unit.peer_double"
ENVIRONMENT = {"PYTHONPATH": REPOSITORY}


@pytest.fixture
def kept() -> Iterator[KeptChildren]:
    kept = KeptChildren()
    yield kept
    kept.close()


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    runtime = Runtime()
    yield runtime
    runtime.close()


def server_of(kept: KeptChildren, **environment: str) -> ForkServer:
    server = kept.server(MODULE, {**ENVIRONMENT, **environment})
    assert server is not None
    return server


def start(runtime: Runtime, log: Path, server: ForkServer | None, **environment: str) -> Child:
    return Child("double", MODULE, EngineReply, runtime=runtime, log=log, environment=environment, server=server)


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_children_are_forked_one_after_another_and_beside_one_another(
    kept: KeptChildren, runtime: Runtime, tmp_path: Path
) -> None:
    server = server_of(kept)
    children = [start(runtime, tmp_path / f"{index}.log", server) for index in range(2)]
    for index, child in enumerate(children):
        assert parent_of(child.pid) == server.pid
        for _ in range(index + 1):
            ask(child, "answer")
        child.stop(politely=True)
    assert server_of(kept) is server
    # Each has a log of its own.
    assert [(tmp_path / f"{index}.log").read_text() for index in range(2)] == [
        "asked to answer\n",
        "asked to answer\nasked to answer\n",
    ]


def test_a_forked_child_has_what_a_started_one_has(kept: KeptChildren, tmp_path: Path) -> None:
    for server in (None, server_of(kept)):
        runtime = Runtime()
        child = start(runtime, tmp_path / "double.log", server, **ENVIRONMENT)
        told = child.request(Step("temporary", [], []), RenderRefused, limit_s=20)
        directory = str(runtime.directory)
        assert told.text == f"{directory} {directory}"
        # Its parent, with which it dies, and its session.
        assert (told.wall_start_ns, told.wall_end_ns) == (server.pid if server else os.getpid(), child.pid)
        child.stop(politely=True)
        runtime.close()
        assert not runtime.directory.exists()


def test_another_environment_is_another_server(kept: KeptChildren, monkeypatch: pytest.MonkeyPatch) -> None:
    first = server_of(kept)
    assert server_of(kept, OMP_NUM_THREADS="1") is not first
    assert server_of(kept) is first
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
    assert server_of(kept) is not first


def test_a_server_that_has_ended_is_replaced(kept: KeptChildren, runtime: Runtime, tmp_path: Path) -> None:
    server = server_of(kept)
    os.kill(server.pid, signal.SIGKILL)
    wait_until_gone(server.pid)
    # A server that ends between the question and the fork: the child is started by itself.
    child = start(runtime, tmp_path / "double.log", server, **ENVIRONMENT)
    assert parent_of(child.pid) == os.getpid()
    ask(child, "answer")
    assert server_of(kept).pid != server.pid


def test_a_child_whose_server_is_killed_is_an_error(kept: KeptChildren, runtime: Runtime, tmp_path: Path) -> None:
    server = server_of(kept)
    child = start(runtime, tmp_path / "double.log", server)
    ask(child, "answer")
    os.kill(server.pid, signal.SIGKILL)
    with pytest.raises(ChildError, match="was killed by SIGKILL"):
        ask(child, "sleep")


@pytest.mark.parametrize("why", ["cannot load", "threads"])
def test_where_no_server_can_be_had_none_is_tried_again(
    why: str, kept: KeptChildren, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {**ENVIRONMENT, "PEER_DOUBLE": why}
    assert kept.server(MODULE, environment) is None
    monkeypatch.setattr(subprocess, "Popen", None)
    assert kept.server(MODULE, environment) is None


def test_close_leaves_nothing_running(runtime: Runtime, tmp_path: Path) -> None:
    kept = KeptChildren()
    server = server_of(kept)
    child = start(runtime, tmp_path / "double.log", server)
    ask(child, "answer")
    kept.close()
    kept.close()
    assert gone(server.pid)
    wait_until_gone(child.pid)


PARENT = """
import sys
from pathlib import Path
from cosim.bridge.child import Child, Runtime
from cosim.bridge.engine_messages import EngineReply, Rendered, Step
from cosim.clock import sleep_s
from cosim.kept_children import KeptChildren
server = KeptChildren().server("tests.unit.peer_double", {})
child = Child("d", "tests.unit.peer_double", EngineReply, runtime=Runtime(), log=Path(sys.argv[1]), server=server)
child.request(Step("answer", [], []), Rendered, limit_s=20)
print(server.pid, child.pid, flush=True)
sleep_s(3600)
"""


def test_servers_and_children_die_with_a_worker_that_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path / "double.log")]
    environment = {**os.environ, "TMPDIR": str(tmp_path), **ENVIRONMENT}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout is not None
        pids = [int(word) for word in parent.stdout.readline().split()]
        assert len(pids) == 2
        assert not any(gone(pid) for pid in pids)
        parent.kill()
    for pid in pids:
        wait_until_gone(pid)


def test_hundreds_of_children_leave_the_server_as_it_was(kept: KeptChildren, tmp_path: Path) -> None:
    server = server_of(kept)
    with (tmp_path / "log").open("wb") as output:
        sizes = [_resident_bytes(server.pid) for _ in range(100) if _fork_and_end(server, output.fileno(), tmp_path)]
    assert sizes[-1] - sizes[10] < 1 << 20
    assert len(os.listdir(f"/proc/{server.pid}/fd")) <= 6


def _fork_and_end(server: ForkServer, output: int, directory: Path) -> bool:
    child = server.fork("no address", output, directory)
    assert child is not None
    return child.wait(20) == 1


def _resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
