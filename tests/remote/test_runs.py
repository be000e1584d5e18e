"""Runs whose engines are on an engine host: what they record, who is let in, who is told what."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from cosim.bridge.child import Runtime
from cosim.bridge.errors import ChildError
from cosim.bridge.keys import client_keys, make_keys
from cosim.bridge.remote import RemoteHost, has_only_ipv6
from tests.remote.engine_double import OTHER_CLOCK_NS
from tests.remote.rig import EngineHostProcess, remote, run_under_way, wait_until_gone, write
from tests.scenario.test_command_line import cosim


def manifest(directory: Path) -> Any:
    return json.loads((directory / "manifest.json").read_text())


def failure(directory: Path) -> Any:
    return json.loads((directory / "failure.json").read_text())


def test_a_run_its_replay_and_what_the_manifest_says(host: EngineHostProcess, keys: Path, tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    done = cosim("run", write(tmp_path, host.address, keys), "-o", a)
    assert done.returncode == 0, done.stderr
    role = f"engines {host.address}"
    told = manifest(a)
    assert told["children"] == {role: {name: {"hardware": "cpu"} for name in ("edge", "cloud")}}
    assert told["engine_hosts"][role]["address"] == host.address
    assert told["engine_hosts"][role]["versions"]["vllm"] == "double"
    assert told["engine_hosts"][role]["machine"]["cores"] > 0
    assert told["versions"]["vllm"] != "double"
    assert told["refused_messages"] == {role: 0}
    assert "starts edge, cloud on cpu" in (a / "logs" / f"engines-tcp-127.0.0.1-{host.port}.log").read_text()
    steps = [json.loads(line) for line in (a / "steps.jsonl").read_text().splitlines()]
    walls = [line["wall_start_ns"] for line in steps if line.get("wall_start_ns") is not None]
    assert walls
    assert min(walls) >= OTHER_CLOCK_NS
    host.close()
    (keys / "client.key_secret").unlink()
    again = cosim("replay", a, "-o", b)
    assert again.returncode == 0, again.stderr
    assert (a / "requests.jsonl").read_bytes() == (b / "requests.jsonl").read_bytes()


def test_times_are_those_of_a_local_engine(host: EngineHostProcess, keys: Path, tmp_path: Path) -> None:
    """Only durations travel: a prefill of 20 ms and a decode of 5 ms there are 20 and 5 ms here, scaled."""
    file = write(tmp_path, host.address, keys)
    assert cosim("run", file, "-o", tmp_path / "a", "--set", "tiers.edge.engine.time_scale=3").returncode == 0
    records = [json.loads(line) for line in (tmp_path / "a" / "requests.jsonl").read_text().splitlines()]
    parts = {record["tier"]: record["parts"] for record in records}
    assert (parts["edge"]["prefill"], parts["edge"]["decode"]) == (60_000_000, 15_000_000)
    assert (parts["cloud"]["prefill"], parts["cloud"]["decode"]) == (20_000_000, 5_000_000)


def test_runs_come_one_after_another_and_a_second_is_told_who_is_served(
    host: EngineHostProcess, keys: Path, tmp_path: Path
) -> None:
    (tmp_path / "second").mkdir()
    with run_under_way(tmp_path, host.address, keys, name="first") as (process, _):
        file = write(tmp_path / "second", host.address, keys, name="second")
        refused = cosim("run", file, "-o", tmp_path / "b")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert refused.returncode == 3
    assert "busy with run 'first' of client at 127.0.0.1" in refused.stderr
    assert failure(tmp_path / "b")["peer"] == f"engines {host.address}"
    host.wait_for("run 'first' of client at 127.0.0.1: its run has ended")
    assert host.children() == []
    assert cosim("run", file, "-o", tmp_path / "b", "--force").returncode == 0


def test_one_run_may_have_several_processes_there(host: EngineHostProcess, keys: Path, tmp_path: Path) -> None:
    file = write(tmp_path, host.address, keys)
    done = cosim("run", file, "-o", tmp_path / "a", "--set", "tiers.edge.engine.isolate=true")
    assert done.returncode == 0, done.stderr
    assert set(manifest(tmp_path / "a")["children"]) == {"engine edge", f"engines {host.address}"}


def test_a_key_that_is_not_listed_is_refused_and_named_on_both_sides(
    host: EngineHostProcess, keys: Path, tmp_path: Path
) -> None:
    make_keys(tmp_path / "stranger")
    (tmp_path / "stranger" / "engine-host.key").write_bytes((keys / "engine-host.key").read_bytes())
    key = client_keys(tmp_path / "stranger").public.decode()
    file = write(tmp_path, host.address, tmp_path / "stranger")
    done = cosim("run", file, "-o", tmp_path / "out")
    assert done.returncode == 3
    assert f"the engine host at {host.address} refuses this client's key {key}" in done.stderr
    assert "Traceback" not in done.stderr
    command = re.search(r"type there, where KEYS is its --keys: (.*)", done.stderr)
    assert command is not None
    assert f"refused: key {key} at 127.0.0.1" in host.wait_for("unknown key 1")
    subprocess.run(["sh", "-c", command[1].replace("KEYS", str(keys))], check=True)
    assert cosim("run", file, "-o", tmp_path / "out", "--force").returncode == 0
    (keys / "clients" / "NAME.key").unlink()
    assert cosim("run", file, "-o", tmp_path / "out", "--force").returncode == 3


def test_keys_of_another_host_are_refused(host: EngineHostProcess, tmp_path: Path) -> None:
    make_keys(tmp_path / "stranger")
    done = cosim("run", write(tmp_path, host.address, tmp_path / "stranger"), "-o", tmp_path / "out")
    assert done.returncode == 3
    assert f"{host.address} breaks off the handshake" in done.stderr
    assert f"{tmp_path / 'stranger' / 'engine-host.key'} is a copy of its own engine-host.key" in done.stderr
    # Who it was a host that is late cannot tell, and a further attempt may have been cut short by the end of the run.
    host.wait_for(r"other engine-host\.key [2-9]; the last: ")


INTERRUPTED = """
import signal
from cosim.bridge.child import Runtime
from cosim.bridge.remote import RemoteHost
from cosim.cli import main
end = {0}
def interrupted(self, **how):
    signal.raise_signal(signal.SIGINT)
    end(self, **how)
{0} = interrupted
main()
"""


@pytest.mark.parametrize("end", ["RemoteHost.stop", "Runtime.close"])
def test_ctrl_c_during_the_clean_up_of_a_failed_start_leaves_nothing(
    host: EngineHostProcess, tmp_path: Path, end: str
) -> None:
    make_keys(tmp_path / "stranger")
    file, out = write(tmp_path, host.address, tmp_path / "stranger"), tmp_path / "out"
    command = [sys.executable, "-c", INTERRUPTED.format(end), "run", str(file), "-o", str(out), "--ui", "none"]
    # Short, because a socket's path is.
    with tempfile.TemporaryDirectory(dir="/tmp") as temporary:
        environment = {**os.environ, "TMPDIR": temporary}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert os.listdir(temporary) == []
    assert done.returncode == 3, done.stderr
    assert "breaks off the handshake" in done.stderr
    assert failure(out)["status"] == "failed"


def test_nobody_who_listens_and_somebody_else_who_does_are_told_apart(keys: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        silent = cosim("run", write(tmp_path, address, keys), "-o", tmp_path / "a")
    nobody = cosim("run", tmp_path / "scenario.yaml", "-o", tmp_path / "b")
    assert (silent.returncode, nobody.returncode) == (3, 3)
    assert f"{address} listens but does not answer as an engine host" in silent.stderr
    assert f"{address} refuses connections: nobody listens" in nobody.stderr


@pytest.mark.parametrize("address", ["tcp://...:5", "tcp://_:5", "tcp://a..b:5", f"tcp://{'a' * 64}:5"])
def test_an_address_that_nothing_can_be_connected_to_is_blamed(keys: Path, tmp_path: Path, address: str) -> None:
    runtime = Runtime()
    try:
        with pytest.raises(ChildError, match=re.escape(f"engines cannot start: {address} ")):
            RemoteHost(
                "engines",
                address,
                client_keys(keys),
                run="run",
                name="name",
                runtime=runtime,
                log=tmp_path / "log",
                silence_limit_s=1,
            )
    finally:
        runtime.close()


@pytest.mark.parametrize(
    ("families", "only"),
    [([socket.AF_INET6], True), ([socket.AF_INET6, socket.AF_INET], False), ([socket.AF_INET], False)],
)
def test_ipv6_is_used_where_a_name_has_nothing_else(
    monkeypatch: pytest.MonkeyPatch, families: list[socket.AddressFamily], only: bool
) -> None:
    answers = [(family, socket.SOCK_STREAM, 6, "", ("address", 5)) for family in families]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers)
    assert has_only_ipv6("tcp://name:5") is only


def test_what_the_engines_say_when_they_do_not_start_is_shown(
    host: EngineHostProcess, keys: Path, tmp_path: Path
) -> None:
    broken = remote(host.address, keys) | {"model": "refuses-to-start"}
    file = write(tmp_path, host.address, keys)
    data = yaml.safe_load(file.read_text())
    data["tiers"]["edge"]["engine"] = broken
    file.write_text(yaml.safe_dump(data))
    done = cosim("run", file, "-o", tmp_path / "out")
    assert done.returncode == 3
    assert "RuntimeError: this model cannot be started" in done.stderr
    log = tmp_path / "out" / "logs" / f"engines-tcp-127.0.0.1-{host.port}.log"
    assert log.read_text().startswith("starts cloud, edge on cpu\n")
    host.wait_for("failed: .*this model cannot be started")
    assert host.children() == []


def test_hardware_that_the_host_has_not_is_refused_there(host: EngineHostProcess, keys: Path, tmp_path: Path) -> None:
    tiers = {"edge": {"path": "edge", "engine": remote(host.address, keys, hardware="gpu:1")}}
    file = write(tmp_path, host.address, keys)
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | {"tiers": tiers, "clients": CLIENTS}))
    done = cosim("run", file, "-o", tmp_path / "out")
    assert done.returncode == 3
    assert "hardware 'gpu:1', but it has the CPU build of vLLM" in done.stderr


CLIENTS = [{"name": "user", "kind": "chat", "tier": "edge", "arrivals": {"kind": "constant", "rate": "10/s"}}]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_host_its_engines_and_its_run(
    host: EngineHostProcess, keys: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    with run_under_way(tmp_path, host.address, keys) as (process, out):
        children = host.children()
        assert children
        host.process.send_signal(number)
        _, errors = process.communicate(timeout=30)
    assert host.process.wait(30) == code
    assert process.returncode == 3
    assert "the engine host was told to stop" in errors, errors + host.output
    assert "Traceback" not in errors
    assert failure(out)["peer"] == f"engines {host.address}"
    wait_until_gone(*children)


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["--listen", "127.0.0.1:5555"], "tcp://ADDRESS:PORT"),
        (["--listen", "tcp://127.0.0.1:70000"], "tcp://ADDRESS:PORT"),
        (["--listen", "ipc:///tmp/x"], "tcp://ADDRESS:PORT"),
        (["--listen", "tcp://192.0.2.1:0"], "cannot listen on tcp://192.0.2.1:0"),
        (["--listen", "tcp://127.0.0.1:0", "--keys", "nowhere"], "engine-host.key_secret: No such file"),
    ],
)
def test_what_an_engine_host_cannot_use_is_exit_2(keys: Path, arguments: list[str], what: str) -> None:
    command = [sys.executable, "-m", "tests.remote.daemon_double", "--keys", str(keys), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2, done.stderr
    assert what in done.stderr
    assert "Traceback" not in done.stderr


def test_an_address_in_use_is_exit_2(host: EngineHostProcess, keys: Path) -> None:
    command = [sys.executable, "-m", "tests.remote.daemon_double", "--keys", str(keys), "--listen", host.address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "Address already in use; choose another address or port" in done.stderr
