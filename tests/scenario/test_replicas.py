"""Replicas behind a load balancer: who takes which prompt, as text, and what is recorded of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from cosim.results.store import read_samples
from tests.lockstep import MS, Recorded, chat, lines, scenario, simulate, stub

REPLICAS = ("edge/replica-0", "edge/replica-1")


def replicated(balancing: str, clients: list[dict[str, Any]], **overrides: Any) -> dict[str, Any]:
    """A tier of two replicas."""
    tier = {"path": "edge", "engine": stub(), "replicas": 2, "balancing": balancing}
    return scenario(**{"duration": "70ms", "tiers": {"edge": tier}, "clients": clients, **overrides})


def asks_at_once(name: str, **overrides: Any) -> dict[str, Any]:
    """A user who asks at time 0, and again as soon as an answer is there."""
    arrivals = {"kind": "closed", "think_time": "0ms", "think": "constant"}
    return chat(name, arrivals=arrivals, **overrides)


def long_and_short(**overrides: Any) -> list[dict[str, Any]]:
    """A request that runs for as long as the others last, and one short one after another."""
    return [asks_at_once("long", output_tokens=40, **overrides), asks_at_once("short", output_tokens=1)]


def engines(recorded: Recorded) -> list[str]:
    """Who answered, by the order in which requests were issued."""
    issued = sorted(recorded.requests, key=lambda record: (record.t_sent_ns, record.client))
    return [f"{record.request_id} {(record.engine or 'nobody').removeprefix('edge/')}" for record in issued]


def test_prompts_go_to_the_replicas_in_turn_as_they_arrive() -> None:
    recorded = simulate(replicated("round-robin", [asks_at_once(name, output_tokens=1) for name in "abc"]))
    assert "\n".join(recorded.events().splitlines()[:17]) == lines("""
        0 send a-0-000000
        0 send b-0-000000
        0 send c-0-000000
        23 prompt a-0-000000
        23 prompt b-0-000000
        23 prompt c-0-000000
        25 frontend a-0-000000
        25 frontend b-0-000000
        25 step edge/replica-0 a-0-000000:24
        25 step edge/replica-1 b-0-000000:24
        27 frontend c-0-000000
        35 step done edge/replica-0
        35 step done edge/replica-1
        35 step edge/replica-0 c-0-000000:24
        36 egress a-0-000000
        36 egress b-0-000000
        41 chunk a-0-000000
    """)


def test_an_uneven_load() -> None:
    """Round robin puts every second short request beside the long one; the least loaded replica is the other one."""
    expected = {
        "round-robin": ["short-0-000000 replica-1", "short-0-000001 replica-0", "short-0-000002 replica-1"],
        "least-loaded": ["short-0-000000 replica-1", "short-0-000001 replica-1", "short-0-000002 replica-1"],
    }
    for balancing, shorts in expected.items():
        recorded = simulate(replicated(balancing, long_and_short(), duration="90ms"))
        assert engines(recorded) == ["long-0-000000 replica-0", *shorts]
        assert recorded.invariants.broken == []


def test_of_equally_loaded_replicas_the_first_is_chosen() -> None:
    recorded = simulate(replicated("least-loaded", [asks_at_once("a", output_tokens=1)]))
    assert {record.engine for record in recorded.requests} == {"edge/replica-0"}


def test_what_a_replica_still_has_to_write_counts() -> None:
    """From 25 ms on a's only token is in replica-0's egress, which takes 200 ms; b comes later, as its phase has it."""
    later = chat("b", arrivals={"kind": "constant", "rate": "10/s"})
    data = replicated("least-loaded", [asks_at_once("a", output_tokens=1), later])
    data["tiers"]["edge"]["engine"] = stub(frontend="1ms", prefill="1ms", egress="200ms")
    recorded = simulate(data)
    assert recorded.requests[1].t_sent_ns > 5 * MS
    assert engines(recorded) == ["a-0-000000 replica-0", "b-0-000000 replica-1"]


def test_an_aborted_request_frees_its_place() -> None:
    """The server learns at 40 + 9 ms that nobody waits for the long answer; the next prompt arrives at 50 ms."""
    recorded = simulate(replicated("least-loaded", long_and_short(timeout="40ms"), duration="42ms"))
    assert engines(recorded) == [
        "long-0-000000 replica-0",
        "short-0-000000 replica-1",
        "long-0-000001 replica-1",
        "short-0-000001 replica-0",
    ]


def test_a_session_stays_where_its_prefix_is() -> None:
    clients = [asks_at_once(name, output_tokens=tokens) for name, tokens in (("a", 1), ("b", 2), ("c", 3))]
    recorded = simulate(replicated("session-affinity", clients))
    served = {record.client: set[str | None]() for record in recorded.requests}
    for record in recorded.requests:
        served[record.client].add(record.engine)
    assert served == {"a-0": {REPLICAS[0]}, "b-0": {REPLICAS[1]}, "c-0": {REPLICAS[0]}}


def test_a_client_s_next_session_goes_to_the_next_replica() -> None:
    talker = {"name": "u", "kind": "dialogue", "tier": "edge", "turns": 2, "sessions": 3, "think_time": "0ms"}
    recorded = simulate(replicated("session-affinity", [{**talker, "output_tokens": 1}]) | {"duration": "2s"})
    served = {(record.session, record.engine) for record in recorded.requests}
    assert served == {(f"u-0-session{n}", REPLICAS[(n - 1) % 2]) for n in (1, 2, 3)}
    assert len(recorded.requests) == 6


@pytest.mark.parametrize("replicas", [1, 2])
def test_a_request_that_never_reached_a_server_was_in_no_replica(replicas: int) -> None:
    data = replicated("round-robin", [asks_at_once("a", timeout="10ms")])
    data["tiers"]["edge"]["replicas"] = replicas
    record = simulate(data).requests[0]
    assert (record.status, record.tier) == ("timeout", "edge")
    assert (record.engine, record.model) == (("edge", "stub") if replicas == 1 else (None, None))


def test_a_prompt_that_arrives_at_the_second_try_is_placed_then() -> None:
    """The second prompt crosses the server's FIN and never arrives; its next attempt takes the next turn."""
    data = replicated("round-robin", [asks_at_once("u", output_tokens=1)])
    data["network"]["transport"] |= {"server_keepalive": "1ms"}
    recorded = simulate(data)
    assert [record.attempts for record in recorded.requests] == [1, 2]
    assert engines(recorded) == ["u-0-000000 replica-0", "u-0-000001 replica-1"]


def test_replicas_of_one_device_take_turns_where_they_share_it() -> None:
    data = replicated("round-robin", [asks_at_once(name, output_tokens=1) for name in "ab"])
    data["tiers"]["edge"]["engine"] = stub(sharing="timeslice")
    steps = [line for line in simulate(data).events().splitlines() if " step " in line]
    assert steps[:4] == [
        "25 step edge/replica-0 a-0-000000:24",
        "35 step done edge/replica-0",
        "35 step edge/replica-1 b-0-000000:24",
        "45 step done edge/replica-1",
    ]


def cosim(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cosim", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=dict(os.environ))


def test_a_replay_makes_the_same_choices(tmp_path: Path) -> None:
    file = tmp_path / "scenario.yaml"
    users = chat("user", count=5, arrivals={"kind": "poisson", "rate": "20/s"}, output_tokens=3)
    data = replicated("least-loaded", [*long_and_short(timeout="60ms"), users])
    file.write_text(yaml.safe_dump(data | {"validity": {"min_requests": 1, "max_error_share": "100%"}}))
    done = cosim("run", file, "-o", tmp_path / "a", "--json")
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)["tiers"]) == {"edge"}
    assert set(json.loads(done.stdout)["engines"]) == set(REPLICAS)
    running = read_samples(tmp_path / "a", ["num_requests_running"])
    assert {samples.source for samples in running} == set(REPLICAS)
    assert cosim("replay", tmp_path / "a", "-o", tmp_path / "b").returncode == 0
    assert (tmp_path / "a/requests.jsonl").read_bytes() == (tmp_path / "b/requests.jsonl").read_bytes()
    # Also an engine that repeats the steps of an earlier run.
    data["tiers"]["edge"]["engine"] = {"kind": "replay", "run": str(tmp_path / "a"), "model": "stub"}
    file.write_text(yaml.safe_dump(data))
    cosim("run", file, "-o", tmp_path / "c")
    assert (tmp_path / "a/requests.jsonl").read_bytes() == (tmp_path / "c/requests.jsonl").read_bytes()
    basis = [json.loads((tmp_path / name / "summary.json").read_text())["tiers"]["edge"]["basis"] for name in "ab"]
    assert basis[0] == basis[1]
    assert [set(basis[0][stage]) for stage in ("steps", "frontends", "egress")] == [{"constant"}] * 3
    # No roofline predicted what a stub was given.
    cosim("replay", tmp_path / "c", "-o", tmp_path / "d")
    for name in ("c", "d"):
        summary = json.loads((tmp_path / name / "summary.json").read_text())
        repeated = "tier edge: repeats a recording: constant times of the scenario, no model was run"
        assert summary["qualifiers"] == [repeated]
