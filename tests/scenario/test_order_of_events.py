"""The loop's order of events, written as text: milliseconds of virtual time, then what happened."""

from __future__ import annotations

from typing import Any

from tests.lockstep import MS, chat, lines, scenario, simulate, stub


def asks_once_each(*names: str, **overrides: Any) -> list[dict[str, Any]]:
    """Clients that all ask at time 0 and then think for an hour."""
    arrivals = {"kind": "closed", "think_time": "1h", "think": "constant"}
    return [chat(name, arrivals={**arrivals, "think_time": "0ms"}, **overrides) for name in names]


def test_one_request_passes_every_stage() -> None:
    data = scenario(duration="1ms", clients=asks_once_each("u"))
    assert simulate(data).events() == lines("""
        0 send u-0-000000
        23 prompt u-0-000000
        25 frontend u-0-000000
        25 step edge u-0-000000:24
        35 step done edge
        35 step edge u-0-000000:1
        36 egress u-0-000000
        40 step done edge
        41 egress u-0-000000
        41 chunk u-0-000000
        46 chunk u-0-000000
        46 end u-0-000000 ok
    """)


def test_front_end_is_a_fifo_beside_the_steps() -> None:
    """The second prompt is rendered while the first one's prefill runs, and joins at the next step's start."""
    data = scenario(duration="1ms", clients=asks_once_each("a", "b", output_tokens=1))
    assert simulate(data).events() == lines("""
        0 send a-0-000000
        0 send b-0-000000
        23 prompt a-0-000000
        23 prompt b-0-000000
        25 frontend a-0-000000
        25 step edge a-0-000000:24
        27 frontend b-0-000000
        35 step done edge
        35 step edge b-0-000000:24
        36 egress a-0-000000
        41 chunk a-0-000000
        41 end a-0-000000 ok
        45 step done edge
        46 egress b-0-000000
        51 chunk b-0-000000
        51 end b-0-000000 ok
    """)


def test_queues_before_front_end_and_egress_are_recorded_when_they_change() -> None:
    """What begins at once has not waited; c waits for two prompts to be rendered, then for two chunks to be written."""
    tiers = {"edge": {"path": "edge", "engine": stub(frontend="2ms", egress="20ms")}}
    data = scenario(duration="1ms", tiers=tiers, clients=asks_once_each("a", "b", "c", output_tokens=1))
    gauges = simulate(data).gauges
    waiting = {
        name: [(t_ns // MS, value) for t_ns, metric, value in gauges if metric == name]
        for name in ("frontend_queue", "egress_queue")
    }
    # Prompts at 23; a's prefill ends at 35 and is written until 55, b's and c's end at 45 and are written until 95.
    assert waiting == {"frontend_queue": [(23, 2), (25, 1), (27, 0)], "egress_queue": [(45, 2), (55, 1), (75, 0)]}


def test_a_step_sees_everything_that_arrived_up_to_its_start() -> None:
    """With a front end that takes no time, both prompts of one instant share the first step."""
    tiers = {"edge": {"path": "edge", "engine": stub(frontend="0ms", egress="0ms")}}
    data = scenario(duration="1ms", tiers=tiers, clients=asks_once_each("a", "b", output_tokens=1))
    assert simulate(data).events() == lines("""
        0 send a-0-000000
        0 send b-0-000000
        23 prompt a-0-000000
        23 prompt b-0-000000
        23 frontend a-0-000000
        23 frontend b-0-000000
        23 step edge a-0-000000:24 b-0-000000:24
        33 step done edge
        33 egress a-0-000000
        33 egress b-0-000000
        38 chunk a-0-000000
        38 end a-0-000000 ok
        38 chunk b-0-000000
        38 end b-0-000000 ok
    """)


def test_an_abort_takes_effect_at_the_end_of_the_step() -> None:
    """The client gives up at 28 ms, the server learns of it at 37, in the middle of a step that ends at 40."""
    data = scenario(duration="1ms", clients=asks_once_each("u", timeout="28ms", output_tokens=9))
    assert simulate(data).events() == lines("""
        0 send u-0-000000
        23 prompt u-0-000000
        25 frontend u-0-000000
        25 step edge u-0-000000:24
        28 end u-0-000000 timeout
    """)
    clients = [*asks_once_each("u", timeout="28ms", output_tokens=9), *asks_once_each("late", output_tokens=1)]
    clients[1]["arrivals"] = {"kind": "closed", "think_time": "0ms", "think": "constant"}
    clients[1]["tier"] = "cloud"
    data = scenario(duration="1ms", clients=clients)
    data["tiers"]["cloud"] = {"path": "cloud", "engine": stub()}
    assert [line for line in simulate(data).events().splitlines() if "edge" in line] == [
        "25 step edge u-0-000000:24",
        "35 step done edge",
        "35 step edge u-0-000000:1",
        "40 step done edge",
    ]


def test_a_chunk_that_makes_the_client_give_up_ends_its_request_at_once() -> None:
    data = scenario(duration="1ms", clients=asks_once_each("u", cancel_after_chunks=1, output_tokens=9))
    assert simulate(data).events().splitlines()[-3:] == [
        "41 chunk u-0-000000",
        "41 end u-0-000000 cancelled",
        "41 egress u-0-000000",
    ]


def test_isolated_engines_step_at_one_time_and_time_slices_take_turns() -> None:
    def steps(sharing: str) -> list[str]:
        tiers = {name: {"path": "edge", "engine": stub(sharing=sharing)} for name in ("x", "y")}
        clients = asks_once_each("a", "b")
        for client, tier in zip(clients, tiers, strict=True):
            client["tier"] = tier
        events = simulate(scenario(duration="1ms", tiers=tiers, clients=clients)).events()
        return [line for line in events.splitlines() if " step " in line]

    assert steps("isolated") == [
        "25 step x a-0-000000:24",
        "25 step y b-0-000000:24",
        "35 step done x",
        "35 step done y",
        "35 step x a-0-000000:1",
        "35 step y b-0-000000:1",
        "40 step done x",
        "40 step done y",
    ]
    assert steps("timeslice") == [
        "25 step x a-0-000000:24",
        "35 step done x",
        "35 step y b-0-000000:24",
        "45 step done y",
        "45 step x a-0-000000:1",
        "50 step done x",
        "50 step y b-0-000000:1",
        "55 step done y",
    ]


def test_a_knob_turns_before_anything_else_at_its_time() -> None:
    data = scenario(duration="1ms", clients=asks_once_each("u"))
    data["timeline"] = [{"at": "0ms", "set": {"network.core.delay_up": "5ms"}}]
    assert simulate(data).events().splitlines()[:3] == [
        "0 knob network.core.uplink",
        "0 send u-0-000000",
        "31 prompt u-0-000000",
    ]


def test_a_local_tier_uses_no_network() -> None:
    data = scenario(duration="1ms", tiers={"edge": {"engine": stub()}}, clients=asks_once_each("u", output_tokens=1))
    recorded = simulate(data)
    assert recorded.events() == lines("""
        0 send u-0-000000
        2 frontend u-0-000000
        2 step edge u-0-000000:24
        12 step done edge
        13 egress u-0-000000
        13 chunk u-0-000000
        13 end u-0-000000 ok
    """)
    record = recorded.requests[0]
    assert record.connection == "none"
    assert {name: ns for name, ns in record.parts.items() if ns} == {
        "frontend": 2_000_000,
        "prefill": 10_000_000,
        "egress": 1_000_000,
    }


def overlapping(on_overrun: str) -> list[str]:
    """Frames each 10 ms to an engine that needs 50 ms for one."""
    camera = {"name": "cam", "kind": "frames", "tier": "edge", "period": "10ms", "jitter": "0ms", "drift_ppm": 0}
    data = scenario(duration="30ms", clients=[{**camera, "output_tokens": 1, "on_overrun": on_overrun}])
    recorded = simulate(data)
    return [f"{record.request_id[-1]} {record.status} {record.connection}" for record in recorded.requests]


def test_overrun_policies() -> None:
    assert overlapping("overlap") == ["0 ok new", "1 ok new", "2 ok new"]
    assert overlapping("queue") == ["0 ok new", "1 ok reused", "2 ok reused"]
    assert overlapping("skip") == ["1 cancelled none", "2 cancelled none", "0 ok new"]


def test_chunks_that_the_network_had_put_off_are_seen_before_the_client_gives_up() -> None:
    data = scenario(duration="1ms", clients=asks_once_each("u", timeout="50ms", output_tokens=9))
    record = simulate(data).requests[0]
    assert record.status == "timeout"
    assert record.chunk_times_ns == [41 * MS, 46 * MS]
    assert record.output_tokens == 2
