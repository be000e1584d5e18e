"""`cosim compare` on runs that were carried out: two points 20 ms apart in RTT, over the pipe with stub engines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from cosim.results.compare import Comparison, compare
from cosim.results.compare_text import comparison_lines
from cosim.results.terminal import Progress
from cosim.run import RunOptions, execute
from cosim.scenario.load import load
from tests.lockstep import scenario, stub
from tests.scenario.test_command_line import cosim

RTT_DIFFERENCE_MS = 20.0
SEEDS = (1, 2, 3, 4)


def asked_by_three(**overrides: Any) -> dict[str, Any]:
    """Three users of an edge server that answers one request at a time, so that requests wait for one another.

    Their connections are opened while it warms up.
    """
    engine = stub(prefill="120ms", decode="5ms", max_num_seqs=1)
    arrivals = {"kind": "poisson", "rate": "0.8/s"}
    user = {"name": "user", "kind": "chat", "count": 3, "tier": "edge", "arrivals": arrivals}
    tiers = {"edge": {"path": "edge", "engine": engine}}
    data = scenario(warmup="4s", duration="15s", tiers=tiers, clients=[user], validity={"min_requests": 1})
    data["network"]["transport"] |= {"keepalive": "60s", "server_keepalive": "60s"}
    return {**data, **overrides}


def carry_out(directory: Path, seed: int, data: dict[str, Any], *settings: str) -> Path:
    """A run."""
    file = directory.parent / "scenario.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump(data))
    loaded = load(file, settings=[f"seed={seed}", *settings], environment={})
    execute(loaded, RunOptions(directory, False, ("cosim",)), Progress("none", 1))
    return directory


@pytest.fixture(scope="module")
def points(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("points")
    for name, delay in (("near", "10ms"), ("far", "20ms")):
        for number, seed in enumerate(SEEDS):
            carry_out(folder / name / f"run={number}", seed, asked_by_three(), f"network.paths.edge.delay={delay}")
    return folder / "near", folder / "far"


def test_pairs_of_runs_bound_the_shift_that_unpaired_runs_cannot(points: tuple[Path, Path]) -> None:
    point = compare(*points).points[0]
    assert point.not_paired is None
    assert (point.only_a, point.only_b) == (0, 0)
    assert [difference.key for difference in point.differs] == ["network.paths.edge.delay"]
    rows = {(row.metric, row.statistic): row for row in point.rows}
    for metric in ("ttft", "e2el"):
        for statistic in ("mean", "median"):
            found = rows[metric, statistic]
            low, high = bounds(found.low, found.high)
            unpaired_low, unpaired_high = bounds(found.unpaired_low, found.unpaired_high)
            assert low <= RTT_DIFFERENCE_MS <= high
            assert 3 * (high - low) <= unpaired_high - unpaired_low
        # A request on a warm connection waits one RTT, so the request in the middle is later by the difference.
        assert rows[metric, "shift"].verdict == "B slower by 20.0 ms [20.0, 20.0]"
    assert rows["tpot", "mean"].verdict == "no difference seen [0.000, 0.000] ms"


def bounds(low: float | None, high: float | None) -> tuple[float, float]:
    assert low is not None
    assert high is not None
    return low, high


def test_one_pair_of_runs(points: tuple[Path, Path]) -> None:
    point = compare(points[0] / "run=2", points[1] / "run=2").points[0]
    assert point.seeds == [3]
    (found,) = (row for row in point.rows if (row.metric, row.statistic) == ("e2el", "shift"))
    assert found.verdict == "B slower by 20.0 ms [20.0, 20.0]"


def test_the_command_prints_a_table_or_json(points: tuple[Path, Path]) -> None:
    done = cosim("compare", *points)
    assert done.returncode == 0, done.stderr
    assert "4 pair(s) of runs of equal seeds" in done.stdout
    assert "B slower by 20.0 ms" in done.stdout
    done = cosim("compare", *points, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["points"][0]["seeds"] == list(SEEDS)


def test_what_the_command_refuses_and_objects_to(points: tuple[Path, Path], tmp_path: Path) -> None:
    done = cosim("compare", points[0], tmp_path)
    assert done.returncode == 2
    assert "is no run, no point of a sweep" in done.stderr
    data = asked_by_three(validity={"min_requests": 1000})
    done = cosim(
        "compare", points[0] / "run=0", carry_out(tmp_path / "short", 1, data, "network.paths.edge.delay=10ms")
    )
    assert done.returncode == 4
    assert "short is INVALID: " in done.stdout
    assert "validity.min_requests: 1 -> 1000" in done.stdout


@pytest.mark.parametrize("depth", range(0, 120, 3))
def test_an_objection_stands_on_one_line_however_deep_the_directory(depth: int) -> None:
    said = f"/{'d' * depth}/short is INVALID: too few requests"
    assert f"  - {said}" in comparison_lines(Comparison("a", "b", [], [said], []))


@pytest.mark.ns3
def test_what_a_longer_round_trip_costs_over_tcp_depends_on_the_length_of_an_answer(tmp_path: Path) -> None:
    """Linux's window counts segments: after idle ten small chunks may be on their way, the next waits for an ACK.

    An answer of eight chunks is later by the RTT; one of sixteen, sent within an RTT, also waits for one.
    """
    tiers = {name: {"path": name, "engine": stub(prefill="15ms", decode="5ms")} for name in ("short", "long")}
    user = {"kind": "chat", "arrivals": {"kind": "constant", "rate": "1/s"}}
    clients = [
        {"name": name, "tier": name, "output_tokens": tokens, **user} for name, tokens in (("short", 8), ("long", 16))
    ]
    for name, delay in (("near", "40ms"), ("far", "50ms")):
        data = asked_by_three(tiers=tiers, clients=clients, duration="10s")
        data["network"] |= {"kind": "ns3", "paths": {tier: {"delay": delay} for tier in tiers}}
        carry_out(tmp_path / name, 1, data)
    point = compare(tmp_path / "near", tmp_path / "far").points[0]
    rows = {(row.tier, row.metric): row.verdict for row in point.rows if row.statistic == "shift"}
    assert rows["short", "ttft"] == rows["long", "ttft"] == "B slower by 20.0 ms [20.0, 20.0]"
    assert rows["short", "e2el"] == "B slower by 20.0 ms [20.0, 20.0]"
    assert rows["long", "e2el"] == "B slower by 40.0 ms [40.0, 40.0]"
