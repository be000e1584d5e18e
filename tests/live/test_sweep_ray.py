"""A sweep on two Ray nodes gives the tables of one without Ray, also where a node is lost or the driver is stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest

from cosim.clock import monotonic_s, sleep_s
from cosim.requirements import MissingExtraError
from cosim.scenario.errors import ScenarioError
from cosim.sweep.ray_cluster import RayExecutor
from tests.raylets import Raylets, two_raylets
from tests.small_sweep import scenario, sweep_here

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="needs ray (scripts/setup installs it)")

LIMIT_S = 120.0
TABLES = ("runs.csv", "summary.csv", "sweep.json")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scenario of 4 points x 3 runs, and its sweep without Ray."""
    folder = tmp_path_factory.mktemp("ray")
    sweep_here(scenario(folder / "small.yaml", repeats=3), folder / "whole")
    return folder


@pytest.fixture(scope="module")
def cluster() -> Iterator[Raylets]:
    # The path of a socket in it has 107 bytes at most, which those of pytest's directories come near.
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as folder, two_raylets(Path(folder)) as raylets:
        yield raylets


def start(file: Path, out: Path, environment: dict[str, str], *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", "-m", "cosim", "sweep", str(file), "-o", str(out), "--executor", "ray"]
    return subprocess.Popen(
        [*command, "--ui", "plain", *words], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=LIMIT_S)
    return process.returncode, out, err


def until_runs_are_done(process: subprocess.Popen[str], out: Path, runs: int) -> None:
    give_up_s = monotonic_s() + LIMIT_S
    while len(list(out.glob("points/*/run=*/summary.json"))) < runs:
        assert process.poll() is None, process.communicate()
        assert monotonic_s() < give_up_s
        sleep_s(0.02)


def tables(directory: Path) -> list[bytes]:
    return [(directory / name).read_bytes() for name in TABLES]


def workers() -> set[int]:
    """Processes of this machine that carry out runs for Ray, which name themselves by what they do."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                if (entry / "cmdline").read_text().startswith("ray::Worker"):
                    found.add(int(entry.name))
            except OSError:
                continue
    return found


def until_no_worker_is_left(before: set[int]) -> None:
    give_up_s = monotonic_s() + LIMIT_S
    while workers() - before:
        assert monotonic_s() < give_up_s
        sleep_s(0.1)


@needs_ray
def test_runs_that_execute_steps_are_alone_and_one_that_takes_too_long_is_given_up(
    folder: Path, cluster: Raylets, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    words = [sys.executable, "-m", "tests.changed_tasks", str(folder / "small.yaml"), str(out), cluster.address]
    done = subprocess.run(words, env=cluster.environment, capture_output=True, text=True, timeout=LIMIT_S)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "points/delay=5ms/run=0 took longer than its time limit of 1 s (sweep.time_limit)\n"
    assert "its time limit of 1 s" in (out / "points/delay=5ms/run=0/failure.json").read_text()
    runs = [Run.read(path.parent) for path in out.glob("points/*/run=*/summary.json")]
    assert len(runs) == 11
    executing = [run for run in runs if run.number % 2 == 0]
    assert not [(run, other) for run in executing for other in runs if run is not other and run.overlaps(other)]


class Run(NamedTuple):
    """When a run was under way, ISO 8601."""

    number: int
    started: str
    ended: str

    @classmethod
    def read(cls, directory: Path) -> Run:
        manifest = json.loads((directory / "manifest.json").read_bytes())
        return cls(int(directory.name.removeprefix("run=")), manifest["started"], manifest["ended"])

    def overlaps(self, other: Run) -> bool:
        return self.started < other.ended and other.started < self.ended


@needs_ray
def test_ctrl_c_stops_everything_and_a_resume_makes_the_same_tables_though_worker_and_node_are_killed(
    folder: Path, cluster: Raylets, tmp_path: Path
) -> None:
    before = workers()
    address = ("--ray-address", cluster.address)
    first = start(folder / "small.yaml", tmp_path / "out", cluster.environment, *address)
    until_runs_are_done(first, tmp_path / "out", 2)
    assert workers() - before
    first.send_signal(signal.SIGINT)
    code, out, err = ended(first)
    assert (code, out) == (130, "")
    assert "interrupted" in err
    assert not list(tmp_path.glob("out/points/*/.*"))
    done = len(list(tmp_path.glob("out/points/*/run=*/summary.json")))

    second = start(folder / "small.yaml", tmp_path / "out", cluster.environment, "--resume", *address)
    until_runs_are_done(second, tmp_path / "out", done + 1)
    os.kill(next(iter(workers() - before)), signal.SIGKILL)
    until_runs_are_done(second, tmp_path / "out", done + 4)
    os.kill(cluster.raylets[1], signal.SIGKILL)
    code, out, err = ended(second)
    assert code == 0, err
    assert "raylet" not in (out + err).lower()
    assert f"{done} of them done before" in err
    assert "12 of 12 runs done, 0 failed" in err
    assert tables(tmp_path / "out") == tables(folder / "whole")
    until_no_worker_is_left(before)


@needs_ray
def test_a_cluster_of_this_machine_is_started_and_ends_with_sigterm_too(folder: Path, tmp_path: Path) -> None:
    before = workers()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
    process = start(folder / "small.yaml", tmp_path / "out", environment, "-j", "1")
    until_runs_are_done(process, tmp_path / "out", 1)
    process.send_signal(signal.SIGTERM)
    code, _, err = ended(process)
    assert code == 143, err
    assert "Traceback" not in err
    for path in tmp_path.glob("out/points/*/run=*/requests.jsonl"):
        same = folder / "whole" / path.relative_to(tmp_path / "out")
        assert path.read_bytes() == same.read_bytes()
    until_no_worker_is_left(before)


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("127.0.0.1:1", "--ray-address: nothing answers at 127.0.0.1:1: Connection refused; start one with"),
        ("ray://here:1", "--ray-address: 'ray://here:1' is no address of a Ray cluster; allowed: auto or HOST:PORT"),
        ("here", "--ray-address: 'here' is no address of a Ray cluster; allowed: auto or HOST:PORT"),
    ],
)
def test_an_address_without_a_cluster_is_refused(address: str, text: str) -> None:
    with pytest.raises(ScenarioError, match=text):
        RayExecutor(address, None)


def test_without_ray_the_line_that_brings_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setattr(os, "environ", {})
    with pytest.raises(
        MissingExtraError, match=r"Ray \(--executor ray\) not installed; type: pip install 'cosim\[ray\]'"
    ):
        RayExecutor(None, None)
