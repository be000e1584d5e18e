"""HTTP's connections in time: reuse, idle closes at both ends, retries. Milliseconds of virtual time, then events."""

from __future__ import annotations

from typing import Any

import pytest

from cosim.clients.backoff import Backoff
from tests.lockstep import MS, Recorded, chat, lines, scenario, simulate, stub

ONE_WAY_UP_MS, ONE_WAY_DOWN_MS = 9, 5


def run(clients: list[dict[str, Any]], *, duration: str = "60ms", timeline: Any = (), **transport: Any) -> Recorded:
    """Clients of the edge server; `transport` replaces the transport's keys."""
    data = scenario(duration=duration, clients=clients, timeline=list(timeline))
    data["network"]["transport"] |= transport
    recorded = simulate(data)
    assert recorded.invariants.broken == []
    for record in recorded.requests:
        assert sum(record.parts.values()) == record.e2el_ns
    return recorded


def asks_again_at_once(**overrides: Any) -> dict[str, Any]:
    """A user who asks at time 0, and again as soon as an answer is there."""
    arrivals = {"kind": "closed", "think_time": "0ms", "think": "constant"}
    return chat("u", arrivals=arrivals, output_tokens=1, **overrides)


def camera(period: str, **overrides: Any) -> dict[str, Any]:
    """A camera whose frames come exactly a period apart."""
    exact = {"kind": "frames", "tier": "edge", "period": period, "jitter": "0ms", "drift_ppm": 0, "output_tokens": 1}
    return {"name": "cam", **exact, **overrides}


def about_connections(recorded: Recorded) -> list[str]:
    """What happened to connections, without times, and which requests were sent and ended."""
    kept = ("connection", "send", "end", "broken", "retry")
    names = [text for _, text in sorted(recorded.trace, key=lambda entry: entry[0])]
    return [text for text in names if text.startswith(kept)]


def test_a_request_that_crosses_the_servers_fin_is_tried_again_on_a_new_connection() -> None:
    """The server writes its answer at 36 ms and closes at 37; at 41 the client does not know it, at 42 it does."""
    recorded = run([asks_again_at_once()], server_keepalive="1ms")
    delay_ns = Backoff(1, "u-0").delay_ns(0)
    again = 42 + delay_ns / MS
    assert recorded.events() == lines(f"""
        0 send u-0-000000
        23 prompt u-0-000000
        25 frontend u-0-000000
        25 step edge u-0-000000:24
        35 step done edge
        36 egress u-0-000000
        37 connection 1 idle at server
        41 chunk u-0-000000
        41 end u-0-000000 ok
        41 send u-0-000001
        42 connection 1 closed at client
        42 broken u-0-000001
        {again:g} retry u-0-000001
        {again + 23:g} prompt u-0-000001-retry1
        {again + 25:g} frontend u-0-000001-retry1
        {again + 25:g} step edge u-0-000001-retry1:24
        {again + 35:g} step done edge
        {again + 36:g} egress u-0-000001-retry1
        {again + 37:g} connection 2 idle at server
        {again + 41:g} chunk u-0-000001-retry1
        {again + 41:g} end u-0-000001 ok
    """)
    first, second = recorded.requests
    assert (first.attempts, first.connection, first.parts["up_retry"]) == (1, "new", 0)
    assert (second.attempts, second.connection, second.t_sent_ns) == (2, "new", 41 * MS)
    assert second.parts["up_retry"] == 1 * MS + delay_ns
    assert second.e2el_ns == 1 * MS + delay_ns + 41 * MS
    assert recorded.account is not None
    discarded = [entry.discarded for entry in recorded.account.connections if entry.up]
    assert discarded == [second.bytes_up / 2, 0]


def test_a_client_that_has_seen_the_fin_does_not_use_the_connection() -> None:
    """The server closes 1 ms after its answer; the next frame comes 64 ms after that."""
    recorded = run([camera("100ms")], duration="200ms", server_keepalive="1ms")
    assert about_connections(recorded)[:4] == [
        "send cam-0-000000",
        "connection 1 idle at server",
        "end cam-0-000000 ok",
        "connection 1 closed at client",
    ]
    assert [(record.connection, record.attempts) for record in recorded.requests] == [("new", 1), ("new", 1)]


@pytest.mark.parametrize(
    ("period_ms", "second_frame", "attempts"),
    [
        (5027, [], 1),
        (5028, ["connection 1 idle at server", "connection 1 closed at client", "broken cam-0-000001"], 2),
        (5041, ["connection 1 idle at server", "connection 1 closed at client"], 1),
        (6000, ["connection 1 idle at server", "connection 1 closed at client"], 1),
    ],
)
def test_with_equal_keepalives_the_server_closes_first(period_ms: int, second_frame: list[str], attempts: int) -> None:
    """The server's 5 s begin when the answer is written, 36 ms after the first frame; the client's 5 ms later.

    A frame needs 9 ms to the server, so those sent from 5,028 to 5,040 ms after the first cross the FIN.
    """
    recorded = run([camera(f"{period_ms}ms")], duration=f"{2 * period_ms}ms")
    about = [text for text in about_connections(recorded) if text.startswith(("connection 1 ", "broken"))]
    assert about == second_frame
    assert recorded.requests[1].attempts == attempts
    assert recorded.requests[1].connection == ("reused" if period_ms == 5027 else "new")


def test_the_client_closes_first_where_its_keepalive_is_shorter() -> None:
    recorded = run([camera("1s")], duration="2s", keepalive="500ms")
    assert about_connections(recorded) == [
        "send cam-0-000000",
        "end cam-0-000000 ok",
        "connection 1 idle at client",
        "send cam-0-000001",
        "end cam-0-000001 ok",
    ]
    assert [record.connection for record in recorded.requests] == ["new", "new"]


def test_a_request_without_retries_fails_with_its_connection() -> None:
    recorded = run([asks_again_at_once(max_retries=0)], server_keepalive="1ms")
    second = recorded.requests[1]
    assert (second.status, second.attempts, second.e2el_ns) == ("error", 1, 1 * MS)
    assert second.error == "the server closed the connection before it answered"


def test_the_patience_of_a_client_ends_its_wait_for_a_retry() -> None:
    recorded = run([asks_again_at_once(timeout="100ms")], server_keepalive="1ms")
    second = recorded.requests[1]
    assert (second.status, second.attempts, second.e2el_ns) == ("timeout", 1, 100 * MS)
    assert {name: ns for name, ns in second.parts.items() if ns} == {"up_retry": 100 * MS}


def test_the_patience_of_a_client_ends_a_retry_and_the_server_learns_of_it() -> None:
    """The second attempt is in its prefill when the time is up."""
    delay_ns = Backoff(1, "u-0").delay_ns(0)
    timeout_ns = 1 * MS + delay_ns + 30 * MS
    recorded = run([asks_again_at_once(timeout=f"{timeout_ns}ns")], server_keepalive="1ms", duration="60ms")
    second = recorded.requests[1]
    assert (second.status, second.attempts, second.e2el_ns) == ("timeout", 2, timeout_ns)
    assert {name: ns / MS for name, ns in second.parts.items() if ns and name != "up_retry"} == {
        "up_connect": 14,
        "up_access": 8,
        "up_core": 1,
        "frontend": 2,
        "prefill": 5,
    }


def test_an_overlapping_frame_opens_a_connection_of_its_own_and_both_are_used_again() -> None:
    """Frames each 30 ms, answered in 41 ms on a new connection and in 27 on an idle one."""
    recorded = run([camera("30ms")], duration="150ms")
    uses = [(record.request_id[-1], record.connection, record.parts["up_connect"] / MS) for record in recorded.requests]
    assert uses == [("0", "new", 14), ("1", "new", 14), ("2", "reused", 0), ("3", "reused", 0), ("4", "reused", 0)]


def through_a_gateway(clients: list[dict[str, Any]], **overrides: Any) -> Recorded:
    data = scenario(clients=clients, **overrides)
    data["network"]["transport"]["tls"] = True
    data["network"]["paths"]["edge"] = {"gateway": {"http": 2}}
    recorded = simulate(data)
    assert recorded.invariants.broken == []
    return recorded


def test_through_a_gateway_overlapping_frames_share_a_connection() -> None:
    """The second frame is sent 2 ms after the handshakes' 28 ms, and the third before the second is answered."""
    recorded = through_a_gateway([camera("30ms")], duration="90ms")
    uses = [(record.request_id[-1], record.connection, record.parts["up_connect"] / MS) for record in recorded.requests]
    assert uses == [("0", "new", 28), ("1", "reused", 0), ("2", "reused", 0)]


def test_a_frame_waits_for_the_handshakes_of_the_connection_that_it_shares() -> None:
    recorded = through_a_gateway([camera("10ms")], duration="30ms")
    uses = [(record.request_id[-1], record.connection, record.parts["up_connect"] / MS) for record in recorded.requests]
    assert uses == [("0", "new", 28), ("1", "reused", 18), ("2", "reused", 8)]


def test_through_a_gateway_giving_up_leaves_the_connection_open() -> None:
    """The first request is given up at 45 ms, in a step from 39 to 59; RST_STREAM is at the engine at 54.

    The second one is sent at 45 ms without a handshake, so the next step begins with it alone.
    """
    tiers = {"edge": {"path": "edge", "engine": stub(prefill="20ms")}}
    clients = [asks_again_at_once(timeout="45ms") | {"output_tokens": 9}]
    recorded = through_a_gateway(clients, duration="46ms", tiers=tiers)
    assert recorded.events() == lines("""
        0 send u-0-000000
        37 prompt u-0-000000
        39 frontend u-0-000000
        39 step edge u-0-000000:24
        45 end u-0-000000 timeout
        45 send u-0-000001
        54 prompt u-0-000001
        56 frontend u-0-000001
        59 step done edge
        59 step edge u-0-000001:24
        79 step done edge
        79 step edge u-0-000001:1
        80 egress u-0-000001
        84 step done edge
        84 step edge u-0-000001:1
        85 egress u-0-000001
        85 chunk u-0-000001
        89 step done edge
        89 step edge u-0-000001:1
        90 egress u-0-000001
        90 chunk u-0-000001
        90 end u-0-000001 timeout
    """)
    assert [record.connection for record in recorded.requests] == ["new", "reused"]
