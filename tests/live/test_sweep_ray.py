"""A sweep on two Ray nodes gives the tables of one without Ray, also where a node is lost or the driver is stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from cosim.clock import monotonic_s, sleep_s
from tests.raylets import Raylets, two_raylets
from tests.run_process import environment_without
from tests.small_sweep import scenario, sweep_here

pytestmark = pytest.mark.skipif(find_spec("ray") is None, reason="needs ray (scripts/setup installs it)")

LIMIT_S = 120.0
TABLES = ("runs.csv", "summary.csv", "sweep.json")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scenario of 4 points x 4 runs, and its sweep without Ray."""
    folder = tmp_path_factory.mktemp("ray")
    sweep_here(scenario(folder / "small.yaml", repeats=4), folder / "whole")
    return folder


@pytest.fixture(scope="module")
def cluster() -> Iterator[Raylets]:
    # The path of a socket in it has 107 bytes at most, which those of pytest's directories come near.
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as folder, two_raylets(Path(folder)) as raylets:
        yield raylets


def start(file: Path, out: Path, environment: dict[str, str], *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", "-m", "cosim", "sweep", str(file), "-o", str(out), "--executor", "ray"]
    return subprocess.Popen(
        [*command, "--ui", "none", *words], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
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


def ray_workers() -> set[int]:
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


def test_ctrl_c_stops_everything_and_a_resume_makes_the_same_tables_though_a_node_is_killed(
    folder: Path, cluster: Raylets, tmp_path: Path
) -> None:
    before = ray_workers()
    address = ("--ray-address", cluster.address)
    first = start(folder / "small.yaml", tmp_path / "out", cluster.environment, *address)
    until_runs_are_done(first, tmp_path / "out", 3)
    assert ray_workers() > before
    first.send_signal(signal.SIGINT)
    code, out, err = ended(first)
    assert (code, out) == (130, "")
    assert "interrupted" in err
    assert not list(tmp_path.glob("out/points/*/.*"))
    done = len(list(tmp_path.glob("out/points/*/run=*/summary.json")))

    second = start(folder / "small.yaml", tmp_path / "out", cluster.environment, "--resume", *address)
    until_runs_are_done(second, tmp_path / "out", done + 3)
    os.kill(cluster.raylets[1], signal.SIGKILL)
    code, out, err = ended(second)
    assert code == 0, err
    assert "raylet" not in (out + err).lower()
    assert f"{done} of them done before" in err
    assert "16 of 16 runs done, 0 failed" in err
    assert tables(tmp_path / "out") == tables(folder / "whole")
    give_up_s = monotonic_s() + LIMIT_S
    while ray_workers() - before:
        assert monotonic_s() < give_up_s
        sleep_s(0.1)


def test_a_cluster_of_this_machine_is_started_and_stopped(folder: Path, tmp_path: Path) -> None:
    process = start(folder / "small.yaml", tmp_path / "out", dict(os.environ), "-j", "2")
    code, _, err = ended(process)
    assert code == 0, err
    assert "ray" not in err.lower()
    assert tables(tmp_path / "out") == tables(folder / "whole")


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("127.0.0.1:1", "--ray-address: nothing answers at 127.0.0.1:1: Connection refused; start one with"),
        ("ray://here:1", "--ray-address: 'ray://here:1' is no address of a Ray cluster; allowed: auto or HOST:PORT"),
    ],
)
def test_an_address_without_a_cluster_is_refused(folder: Path, tmp_path: Path, address: str, text: str) -> None:
    code, _, err = ended(start(folder / "small.yaml", tmp_path / "out", dict(os.environ), "--ray-address", address))
    assert (code, tmp_path.joinpath("out").exists()) == (2, False)
    assert text in err


def test_without_ray_the_line_that_brings_it_is_said(folder: Path, tmp_path: Path) -> None:
    environment = environment_without(tmp_path / "site", "ray")
    code, _, err = ended(start(folder / "small.yaml", tmp_path / "out", environment))
    assert (code, tmp_path.joinpath("out").exists()) == (2, False)
    assert "Ray (--executor ray) not installed; type: pip install 'cosim[ray]'" in err
