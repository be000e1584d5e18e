"""The six invariants of DESIGN section 2 over random scenarios with the doubles."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cosim import wire
from cosim.results.records import RequestRecord
from tests.lockstep import Recorded, chat, scenario, simulate, stub

RUNS = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def milliseconds(most: int) -> st.SearchStrategy[str]:
    return st.integers(0, most).map(lambda n: f"{n}ms")


def directions() -> st.SearchStrategy[dict[str, str | None]]:
    rates = st.sampled_from([None, "1Mbit/s", "60Mbit/s", "1Gbit/s"])
    return st.fixed_dictionaries({"delay": milliseconds(40), "jitter": milliseconds(5), "rate": rates})


def engines() -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(
        stub,
        frontend=milliseconds(20),
        prefill=st.integers(1, 60).map(lambda n: f"{n}ms"),
        decode=st.integers(1, 20).map(lambda n: f"{n}ms"),
        egress=milliseconds(4),
        max_num_seqs=st.integers(1, 4),
        sharing=st.sampled_from(["isolated", "timeslice"]),
        time_scale=st.sampled_from([0.3, 1, 2.5]),
    )


def replicas() -> st.SearchStrategy[dict[str, Any]]:
    kinds = st.sampled_from(["round-robin", "least-loaded", "session-affinity"])
    return st.fixed_dictionaries({"replicas": st.integers(1, 3), "balancing": kinds})


ARRIVALS = st.sampled_from(
    [
        {"kind": "poisson", "rate": "30/s"},
        {"kind": "gamma", "rate": "30/s", "burstiness": 0.3},
        {"kind": "constant", "rate": "20/s", "rate_changes": [{"at": "80ms", "rate": "60/s"}]},
        {"kind": "closed", "think_time": "20ms"},
        {"kind": "closed", "think_time": "0ms", "think": "constant"},
    ]
)


def gives_up() -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {"timeout": st.sampled_from(["20ms", "100ms", "10s"])},
        optional={
            "cancel_after": st.sampled_from(["5ms", "60ms"]),
            "cancel_after_chunks": st.integers(1, 3),
            "max_retries": st.integers(0, 3),
        },
    )


def sessions(tiers: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    kinds: list[Any] = [3, {"kind": "geometric", "mean": 2}, {"kind": "uniform", "min": 1, "max": 4}]
    moves = st.sampled_from(tiers).map(lambda tier: [{"turn": 2, "tier": tier}])
    return st.fixed_dictionaries(
        {"turns": st.sampled_from(kinds), "think_time": milliseconds(20)},
        optional={"moves": moves, "pause": milliseconds(20), "system_tokens": st.integers(0, 9)},
    )


@st.composite
def scenarios(draw: st.DrawFn) -> dict[str, Any]:
    tiers = {
        "device": {"per_client": True, "engine": draw(engines())},
        "edge": {"path": "edge", "engine": draw(engines()), **draw(replicas())},
        "cloud": {"path": "cloud", "engine": draw(engines())},
    }
    groups = []
    for index in range(draw(st.integers(1, 3))):
        common = {
            "tier": draw(st.sampled_from(list(tiers))),
            "count": draw(st.integers(1, 3)),
            "output_tokens": draw(st.integers(1, 5)),
            **draw(gives_up()),
        }
        stays = st.sampled_from([{}, {"join": "20ms", "join_every": "30ms"}, {"leave": "90ms"}])
        common |= draw(stays)
        kind = draw(st.sampled_from(["chat", "dialogue", "frames"]))
        if kind == "chat":
            groups.append(chat(f"g{index}", arrivals=draw(ARRIVALS), **common))
        elif kind == "dialogue":
            groups.append({"name": f"g{index}", "kind": "dialogue", **common, **draw(sessions(list(tiers)))})
        else:
            overrun = draw(st.sampled_from(["overlap", "skip", "queue"]))
            camera = {"name": f"g{index}", "kind": "frames", "period": "30ms", "on_overrun": overrun}
            groups.append({**camera, **common})
    tls = draw(st.booleans())
    gateways = st.sampled_from([{}, {"gateway": {"http": 2}}] if tls else [{}])
    network = {
        "kind": "pipe",
        "access": {"kind": "link", "uplink": draw(directions()), "downlink": draw(directions())},
        "core": {"delay": draw(milliseconds(3))},
        "paths": {name: draw(directions()) | draw(gateways) for name in ("edge", "cloud")},
        "transport": {
            "tls": tls,
            "keepalive": draw(st.sampled_from(["10ms", "5s"])),
            "server_keepalive": draw(st.sampled_from(["1ms", "15ms", "5s"])),
        },
    }
    timeline = [{"at": "60ms", "set": {"network.paths.cloud.delay": draw(milliseconds(60))}}]
    return scenario(
        seed=draw(st.integers(0, 1000)),
        duration="200ms",
        warmup=draw(st.sampled_from(["0ms", "50ms"])),
        network=network,
        tiers=tiers,
        clients=groups,
        timeline=timeline,
    )


def check_every_request(recorded: Recorded) -> None:
    """(1) each ends once; (4) parts add up; no token before its prompt could have arrived."""
    names = [record.request_id for record in recorded.requests]
    assert len(names) == len(set(names))
    check_sessions(recorded.requests)
    for record in recorded.requests:
        assert sum(record.parts.values()) == record.e2el_ns == record.t_end_ns - record.t_sent_ns
        assert min(record.parts.values()) >= 0
        assert record.parts["up_retry"] == 0 or record.attempts > 1 or record.status != "ok"
        assert record.t_scheduled_ns <= record.t_sent_ns <= record.t_end_ns
        assert record.chunk_times_ns == sorted(record.chunk_times_ns)
        assert all(record.t_sent_ns <= t_ns <= record.t_end_ns for t_ns in record.chunk_times_ns)
        assert record.ttft_ns is None or record.ttft_ns >= up_ns(record)


def check_sessions(requests: list[RequestRecord]) -> None:
    """Turns count from 1 without a gap, none begins before the one before it has ended, and none follows a failure."""
    turns = sorted((one for one in requests if one.session), key=lambda one: (one.session or "", one.turn or 0))
    for before, after in pairwise([None, *turns]):
        assert after is not None
        if before is None or before.session != after.session:
            assert after.turn == 1
            continue
        assert after.turn == (before.turn or 0) + 1
        assert after.t_scheduled_ns >= before.t_end_ns
        assert before.status in ("ok", "cancelled")


def up_ns(record: RequestRecord) -> int:
    return sum(ns for name, ns in record.parts.items() if name.startswith("up_"))


def check_time(recorded: Recorded) -> None:
    """(2) time never goes back, and an engine's steps neither overlap nor start out of order."""
    ends = [record.t_end_ns for record in recorded.requests]
    assert ends == sorted(ends)
    engines_seen = {record.engine for record in recorded.requests if record.engine is not None}
    for engine in engines_seen:
        free_ns = 0
        for step in recorded.steps(engine):
            assert step.t_start_ns >= free_ns
            free_ns = step.t_start_ns + step.duration_ns


def check_bytes(recorded: Recorded) -> None:
    """(5) bytes sent = delivered + lost + discarded, on every connection."""
    assert recorded.account is not None
    for entry in recorded.account.connections:
        assert entry.sent == entry.delivered + entry.lost + entry.discarded
    used = [record for record in recorded.requests if record.connection != "none"]
    sent = sum(entry.sent for entry in recorded.account.connections if entry.up)
    resets, rest = divmod(sent - sum(record.bytes_up for record in used), wire.reset_stream_bytes())
    assert rest == 0
    assert 0 <= resets <= sum(record.status in ("timeout", "cancelled") for record in used)


@RUNS
@given(scenarios())
def test_invariants_hold_and_a_second_run_is_the_same(data: dict[str, Any]) -> None:
    recorded = simulate(data)
    assert recorded.invariants.broken == []
    check_every_request(recorded)
    check_time(recorded)
    check_bytes(recorded)
    again = simulate(data)
    assert again.requests == recorded.requests
    assert again.lines == recorded.lines


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=scenarios())
def test_replay_is_byte_identical(data: dict[str, Any], tmp_path_factory: Any) -> None:
    """(6) same scenario, seed and recorded steps: byte-identical requests.jsonl."""
    from cosim.results.terminal import Progress
    from cosim.run import RunOptions, execute
    from cosim.scenario.load import load

    folder: Path = tmp_path_factory.mktemp("replay")
    file = folder / "scenario.yaml"
    file.write_text(yaml.safe_dump(data))
    execute(load(file, environment={}), RunOptions(folder / "a", False, ()), Progress("none", 0))
    loaded = load(folder / "a" / "scenario.resolved.yaml", environment={})
    execute(loaded, RunOptions(folder / "b", False, (), folder / "a"), Progress("none", 0))
    assert (folder / "a" / "requests.jsonl").read_bytes() == (folder / "b" / "requests.jsonl").read_bytes()
    before, after = (data_lines(folder / name / "steps.jsonl") for name in ("a", "b"))
    assert before == after


def data_lines(path: Path) -> list[str]:
    """The lines of steps.jsonl, a replay's with the sources that it says were recorded."""
    text = path.read_text().replace('"recorded_source":"predicted"', '"recorded_source":null')
    return [line.replace('"replayed"', '"predicted"') for line in text.splitlines()]
