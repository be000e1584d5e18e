"""Runs over ns-3 processes that a kept one forks: the same bytes as over processes of their own."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cosim.kept_children import KeptChildren
from cosim.results.terminal import Progress
from cosim.run import RunFailedError
from tests.kept_runs import InterruptedProgress, Worker, forget_pytest
from tests.lockstep import chat, scenario
from tests.scenario.test_nr_cell import in_cell

pytestmark = pytest.mark.ns3


def over_a_link() -> dict[str, Any]:
    """Users of two paths, one with losses and jitter; long prompts, so that TCP has windows to open."""
    asked = {"prompt_tokens": 3_000, "output_tokens": 10, "arrivals": {"kind": "poisson", "rate": "4/s"}}
    data = scenario(duration="1s", clients=[chat("near", **asked), chat("far", tier="cloud", count=2, **asked)])
    lossy = {"delay": "20ms", "jitter": "2ms", "loss": "1%", "rate": "30Mbit/s", "queue": "100kB"}
    data["network"] |= {"kind": "ns3", "pcap": True, "paths": {"edge": {}, "cloud": lossy}}
    data["tiers"]["cloud"] = {**data["tiers"]["edge"], "path": "cloud"}
    return data


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Each in a process of its own."""
    worker = Worker(tmp_path_factory.mktemp("fresh"), None)
    return {
        "link": worker.run("link", over_a_link()),
        "cell": worker.run("cell", in_cell()),
        "other seed": worker.run("other", over_a_link(), seed=2),
    }


@pytest.fixture(scope="module")
def kept() -> Iterator[KeptChildren]:
    kept = KeptChildren()
    yield kept
    kept.close()


@pytest.fixture
def worker(kept: KeptChildren, tmp_path: Path) -> Worker:
    return Worker(tmp_path, kept)


def server_of(kept: KeptChildren) -> int:
    forget_pytest()
    server = kept.server("ns3_scenarios.process", {})
    assert server is not None
    return server.pid


class KillingProgress(Progress):
    """Kills what the kept process has forked, when the first request has ended."""

    def __init__(self, server: int) -> None:
        super().__init__("none", 0)
        self._server = server

    def update(self, now_ns: int, issued: int, ended: int, by_tier: dict[str, tuple[int, int]]) -> None:
        for pid in Path(f"/proc/{self._server}/task/{self._server}/children").read_text().split():
            os.kill(int(pid), signal.SIGKILL)


def test_other_topologies_and_seeds_between_change_nothing(worker: Worker, fresh: dict[str, dict[str, Any]]) -> None:
    assert fresh["link"]["requests.jsonl"] != fresh["other seed"]["requests.jsonl"]
    assert {"requests.jsonl", "steps.jsonl", "timeseries/part-000000.parquet", "children"} < set(fresh["link"])
    assert any(name.startswith("pcap/") for name in fresh["link"])
    assert worker.run("1", over_a_link()) == fresh["link"]
    assert worker.run("2", in_cell()) == fresh["cell"]
    assert worker.run("3", over_a_link(), seed=2) == fresh["other seed"]
    assert worker.run("4", over_a_link()) == fresh["link"]


def test_a_run_that_was_interrupted_changes_nothing(
    worker: Worker, kept: KeptChildren, fresh: dict[str, dict[str, Any]]
) -> None:
    server = server_of(kept)
    with pytest.raises(KeyboardInterrupt):
        worker.run("interrupted", over_a_link(), progress=InterruptedProgress())
    assert worker.run("after", in_cell()) == fresh["cell"]
    assert server_of(kept) == server


def test_a_process_that_dies_fails_its_run_and_no_other(
    worker: Worker, kept: KeptChildren, fresh: dict[str, dict[str, Any]]
) -> None:
    with pytest.raises(RunFailedError, match="ns-3 network was killed by SIGKILL"):
        worker.run("killed", over_a_link(), progress=KillingProgress(server_of(kept)))
    assert worker.run("after", over_a_link()) == fresh["link"]


def test_a_kept_process_that_dies_between_runs_is_replaced(
    worker: Worker, kept: KeptChildren, fresh: dict[str, dict[str, Any]]
) -> None:
    server = server_of(kept)
    os.kill(server, signal.SIGKILL)
    assert worker.run("after", over_a_link()) == fresh["link"]
    assert server_of(kept) != server


def test_a_replay_over_a_kept_process(worker: Worker, fresh: dict[str, dict[str, Any]]) -> None:
    worker.run("recorded", over_a_link())
    assert worker.run("again", over_a_link(), replay_of="recorded")["requests.jsonl"] == fresh["link"]["requests.jsonl"]
