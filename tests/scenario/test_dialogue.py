"""Sessions of several turns through the loop: their order, their growing prompts, their moves, and their replay."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from cosim.results.records import RequestRecord
from cosim.results.terminal import Progress
from cosim.run import RunOptions, execute
from cosim.scenario.load import load
from tests.lockstep import MS, chat, lines, scenario, simulate, stub
from tests.sharegpt import FILE


def talker(**overrides: Any) -> dict[str, Any]:
    """Two sessions of three turns, each of 10 tokens of question and 2 of answer, from time 0 on."""
    return {
        "name": "user",
        "kind": "dialogue",
        "tier": "edge",
        "turns": 3,
        "sessions": 2,
        "think_time": "0ms",
        "think": "constant",
        "prompt_tokens": 10,
        "output_tokens": 2,
        **overrides,
    }


def tiers(**engine: Any) -> dict[str, Any]:
    return {name: {"path": name, "engine": stub(**engine)} for name in ("edge", "cloud")}


def turns(requests: list[RequestRecord]) -> list[tuple[str | None, int | None, str | None, int | None, str]]:
    return [(one.session, one.turn, one.tier, one.prompt_tokens, one.status) for one in requests]


def test_a_session_grows_moves_and_ends_and_the_next_begins() -> None:
    clients = [talker(turns=2, pause="50ms", system_tokens=5, moves=[{"turn": 2, "tier": "cloud"}])]
    recorded = simulate(scenario(duration="1s", tiers=tiers(), clients=clients))
    assert recorded.events() == lines("""
        0 send user-0-000000
        23 prompt user-0-000000
        25 frontend user-0-000000
        25 step edge user-0-000000:15
        35 step done edge
        35 step edge user-0-000000:1
        36 egress user-0-000000
        40 step done edge
        41 egress user-0-000000
        41 chunk user-0-000000
        46 chunk user-0-000000
        46 end user-0-000000 ok
        46 send user-0-000001
        129 prompt user-0-000001
        131 frontend user-0-000001
        131 step cloud user-0-000001:27
        141 step done cloud
        141 step cloud user-0-000001:1
        142 egress user-0-000001
        146 step done cloud
        147 egress user-0-000001
        167 chunk user-0-000001
        172 chunk user-0-000001
        172 end user-0-000001 ok
        222 send user-0-000002
        231 prompt user-0-000002
        233 frontend user-0-000002
        233 step edge user-0-000002:15
        243 step done edge
        243 step edge user-0-000002:1
        244 egress user-0-000002
        248 step done edge
        249 egress user-0-000002
        249 chunk user-0-000002
        254 chunk user-0-000002
        254 end user-0-000002 ok
        254 send user-0-000003
        283 prompt user-0-000003
        285 frontend user-0-000003
        285 step cloud user-0-000003:27
        295 step done cloud
        295 step cloud user-0-000003:1
        296 egress user-0-000003
        300 step done cloud
        301 egress user-0-000003
        321 chunk user-0-000003
        326 chunk user-0-000003
        326 end user-0-000003 ok
    """)
    assert turns(recorded.requests) == [
        ("user-0-session1", 1, "edge", 15, "ok"),
        ("user-0-session1", 2, "cloud", 27, "ok"),
        ("user-0-session2", 1, "edge", 15, "ok"),
        ("user-0-session2", 2, "cloud", 27, "ok"),
    ]


def test_requests_of_a_session_never_overlap_and_carry_all_that_was_said() -> None:
    clients = [talker(count=3, turns={"kind": "uniform", "min": 1, "max": 5}, sessions=None, think="exponential")]
    recorded = simulate(scenario(duration="2s", tiers=tiers(), clients=clients))
    assert len(recorded.requests) > 20
    last: dict[str, RequestRecord] = {}
    for one in sorted(recorded.requests, key=lambda record: record.request_id):
        before = last.get(one.client)
        if before is not None:
            assert one.t_sent_ns >= before.t_end_ns
        if before is not None and before.session == one.session:
            assert (one.turn or 0) == (before.turn or 0) + 1
            assert (one.prompt_tokens or 0) == (before.prompt_tokens or 0) + 12
            assert one.bytes_up > before.bytes_up
        else:
            assert one.turn == 1
            assert one.prompt_tokens == 10
        last[one.client] = one


def test_a_turn_that_times_out_ends_its_session() -> None:
    """There is no answer to go on from; the client begins the next session after the pause."""
    clients = [talker(timeout="30ms", pause="10ms")]
    recorded = simulate(scenario(duration="1s", tiers=tiers(), clients=clients))
    assert turns(recorded.requests) == [
        ("user-0-session1", 1, "edge", 10, "timeout"),
        ("user-0-session2", 1, "edge", 10, "timeout"),
    ]
    assert recorded.requests[1].t_sent_ns == 40 * MS


def test_a_turn_that_the_client_stops_goes_on_with_what_it_read() -> None:
    clients = [talker(output_tokens=5, cancel_after_chunks=2, sessions=1)]
    recorded = simulate(scenario(duration="1s", tiers=tiers(), clients=clients))
    assert turns(recorded.requests) == [
        ("user-0-session1", turn, "edge", 10 + 12 * (turn - 1), "cancelled") for turn in (1, 2, 3)
    ]


def test_a_session_is_cut_where_the_run_or_the_client_ends() -> None:
    clients = [talker(turns=100, leave="100ms")]
    recorded = simulate(scenario(duration="1s", tiers=tiers(), clients=clients))
    assert [record.turn for record in recorded.requests] == [1, 2, 3]
    assert recorded.requests[-1].t_sent_ns < 100 * MS < recorded.requests[-1].t_end_ns
    assert recorded.requests[-1].status == "ok"


def test_clients_join_one_after_another_and_leave_together() -> None:
    """What was asked before they leave is answered."""
    closed = {"kind": "closed", "think_time": "0ms", "think": "constant"}
    clients = [chat("u", count=2, arrivals=closed, join="20ms", join_every="30ms", leave="85ms", output_tokens=1)]
    recorded = simulate(scenario(duration="1s", clients=clients))
    assert [line for line in recorded.events().splitlines() if " send " in line or " end " in line] == [
        "20 send u-0-000000",
        "50 send u-1-000000",
        "61 end u-0-000000 ok",
        "61 send u-0-000001",
        "88 end u-0-000001 ok",
        "98 end u-1-000000 ok",
    ]


def test_engines_that_repeat_steps_take_the_sizes_of_requests_too(tmp_path: Path) -> None:
    """The name of the model in requests is another, but they are as large as they were; so are later turns."""
    data = scenario(duration="1s", tiers=tiers(), clients=[talker(count=2)])
    data["network"]["access"]["uplink"] = {"rate": "1Mbit/s", "delay": "8ms"}
    first = run(tmp_path / "a", data)
    repeated = {name: {"path": name, "engine": {"kind": "replay", "run": str(first)}} for name in ("edge", "cloud")}
    second = run(tmp_path / "b", {**data, "tiers": repeated})
    asked = (first / "requests.jsonl").read_text()
    assert asked.count('"model":"stub"') == 12
    assert (second / "requests.jsonl").read_text() == asked.replace('"model":"stub"', '"model":"replay"')


def per_client() -> dict[str, Any]:
    data = scenario(clients=[talker(count=2, moves=[{"turn": 2, "tier": "own"}])])
    data["tiers"]["own"] = {"per_client": True, "engine": stub()}
    return data


def test_a_session_may_move_to_an_engine_of_its_own() -> None:
    recorded = simulate(per_client())
    assert {(one.turn, one.engine) for one in recorded.requests if one.client == "user-1"} == {
        (1, "edge"),
        (2, "own/user-1"),
        (3, "own/user-1"),
    }


def run(folder: Path, data: dict[str, Any]) -> Path:
    folder.mkdir()
    file = folder / "scenario.yaml"
    file.write_text(yaml.safe_dump(data))
    execute(load(file, environment={}), RunOptions(folder / "run", False, ()), Progress("none", 0))
    return folder / "run"


@pytest.mark.parametrize("multi_turn", [None, False, True], ids=["dialogue", "sharegpt", "sharegpt-multi-turn"])
def test_replay_is_byte_identical_and_needs_no_file(tmp_path: Path, multi_turn: bool | None) -> None:
    file = tmp_path / "people.json"
    file.write_bytes(FILE.read_bytes())
    people = talker(count=3, sessions=None, turns={"kind": "geometric", "mean": 3}, think="exponential")
    if multi_turn is not None:
        people = {
            "name": "people",
            "kind": "sharegpt",
            "file": str(file),
            "tier": "edge",
            "count": 2,
            "multi_turn": multi_turn,
            "arrivals": {"kind": "closed", "think_time": "20ms"},
        }
    data = scenario(duration="2s", tiers=tiers(decode="1ms"), clients=[people])
    data["network"]["access"]["uplink"] = {"rate": "1Mbit/s", "delay": "8ms"}
    first = run(tmp_path / "a", data)
    again = run(tmp_path / "c", data)
    file.unlink()
    resolved = load(first / "scenario.resolved.yaml", environment={})
    execute(resolved, RunOptions(tmp_path / "b", False, (), first), Progress("none", 0))
    asked = (first / "requests.jsonl").read_bytes()
    assert asked.count(b"\n") > 15
    assert (tmp_path / "b" / "requests.jsonl").read_bytes() == asked
    assert (again / "requests.jsonl").read_bytes() == asked
