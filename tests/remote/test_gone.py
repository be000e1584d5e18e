"""Whoever is killed or stopped: the others name it within seconds, and the host is free for the next run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from cosim.clock import monotonic_s
from tests.remote.rig import EngineHostProcess, engine_host, run_under_way, start_run, wait_until_gone, write
from tests.scenario.test_command_line import cosim

WITHIN_S = 20


def ended(process: subprocess.Popen[str]) -> str:
    """What a run wrote that ends within seconds."""
    start_s = monotonic_s()
    _, errors = process.communicate(timeout=60)
    assert monotonic_s() - start_s < WITHIN_S
    assert process.returncode == 3
    assert "\nTraceback" not in f"\n{errors}"  # One of the engines is shown indented, as part of their log.
    return errors


def serves_another(host: EngineHostProcess, keys: Path, folder: Path) -> None:
    folder.mkdir()
    done = cosim("run", write(folder, host.address, keys), "-o", folder / "out")
    assert done.returncode == 0, done.stderr


def test_a_killed_host(host: EngineHostProcess, keys: Path, tmp_path: Path) -> None:
    with run_under_way(tmp_path, host.address, keys) as (process, out):
        children = host.children()
        assert children
        host.process.kill()
        errors = ended(process)
    assert f"lost the engine host: the connection to {host.address} broke" in errors
    assert json.loads((out / "failure.json").read_text())["peer"] == f"engines {host.address}"
    assert (out / "requests.jsonl").read_text()
    wait_until_gone(*children)
    with engine_host(tmp_path, keys):  # A start removes what a killed host left.
        pass


def test_a_stopped_host(host: EngineHostProcess, keys: Path, tmp_path: Path) -> None:
    with run_under_way(tmp_path, host.address, keys, limits={"silence": "2s"}) as (process, _):
        host.process.send_signal(signal.SIGSTOP)
        errors = ended(process)
    assert f"engines {host.address}" in errors
    assert "lost the engine host" in errors or "silent for 2 s" in errors
    host.process.send_signal(signal.SIGCONT)
    host.wait_for("its client is gone|its run has ended")
    serves_another(host, keys, tmp_path / "next")


def test_a_killed_client(host: EngineHostProcess, keys: Path, tmp_path: Path) -> None:
    with run_under_way(tmp_path, host.address, keys) as (process, _):
        children = host.children()
        process.kill()
    host.wait_for("run 'run' of client at 127.0.0.1: its client is gone")
    wait_until_gone(*children)
    serves_another(host, keys, tmp_path / "next")


def test_a_stopped_client(host: EngineHostProcess, keys: Path, tmp_path: Path) -> None:
    """ZeroMQ's heartbeats notice it, since its connection stays."""
    with run_under_way(tmp_path, host.address, keys) as (process, _):
        process.send_signal(signal.SIGSTOP)
        host.wait_for("its client is gone")
        serves_another(host, keys, tmp_path / "next")
        process.send_signal(signal.SIGCONT)
        errors = ended(process)
    assert "lost the engine host" in errors


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_killed_and_stopped_engines(
    host: EngineHostProcess, keys: Path, tmp_path: Path, number: signal.Signals
) -> None:
    with run_under_way(tmp_path, host.address, keys, limits={"silence": "2s"}) as (process, _):
        children = host.children()
        for pid in children:
            os.kill(pid, number)
        errors = ended(process)
    what = "was killed by SIGKILL" if number == signal.SIGKILL else "has been silent for 2 s, though the engine host"
    assert what in errors
    assert "starts edge, cloud on cpu" in errors
    wait_until_gone(*children)
    serves_another(host, keys, tmp_path / "next")


@pytest.mark.parametrize(
    ("fault", "what"),
    [("die", "was killed by SIGKILL"), ("raise", "ValueError: the reason"), ("hang", "silent for 1 s")],
)
def test_the_last_words_of_engines_come_over(keys: Path, tmp_path: Path, fault: str, what: str) -> None:
    with engine_host(tmp_path, keys, ENGINE_DOUBLE=fault) as host:
        file = write(tmp_path, host.address, keys, limits={"silence": "1s"})
        with start_run(file, tmp_path / "out") as process:
            errors = ended(process)
        host.wait_for("its run has ended|failed: ")
        assert host.children() == []
    assert what in errors
    assert {"die": "about to die", "raise": "Traceback", "hang": "about to hang"}[fault] in (
        tmp_path / "out" / "logs" / f"engines-tcp-127.0.0.1-{host.port}.log"
    ).read_text()
