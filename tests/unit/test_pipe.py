"""The network's double: arrival times computed by hand, order, accounts, and how far `advance` goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from cosim.bridge.messages import (
    Closed,
    Connected,
    ConnectionBytes,
    Delivered,
    Delivery,
    Direction,
    Link,
    Topology,
    Transport,
)
from cosim.network.knobs import direction_path
from cosim.network.pipe import PipeNetwork

MS = 1_000_000
FAR = 10**15


def both(**values: Any) -> Link:
    return Link(uplink=Direction(**values), downlink=Direction(**values))


def pipe(
    *,
    ues: Sequence[str] = ("u",),
    access: Link | None = None,
    core: Link | None = None,
    edge: Link | None = None,
    tls: bool = False,
    seed: int = 1,
) -> PipeNetwork:
    """8 ms up and 4 ms down to the router, 1 ms each way through the core, nothing behind it."""
    return PipeNetwork(
        Topology(
            ues=tuple(ues),
            access=access or Link(uplink=Direction(8 * MS), downlink=Direction(4 * MS)),
            core=core or both(delay_ns=1 * MS),
            paths={"edge": edge or both(delay_ns=0), "cloud": both(delay_ns=20 * MS)},
            mtu_bytes=1400,
            transport=Transport(congestion_control="cubic", slow_start_after_idle=True, tls=tls),
            seed=seed,
            pcap_directory=None,
        )
    )


def text(deliveries: Sequence[Delivery]) -> list[str]:
    """Deliveries as milliseconds and what arrived."""
    lines = []
    for delivery in deliveries:
        at = f"{delivery.t_ns / MS:g}"
        if isinstance(delivery, Delivered):
            hops = " ".join(f"{hop_ns / MS:g}" for hop_ns in delivery.hops_ns)
            lines.append(f"{at} message {delivery.message} emitted {delivery.emitted_ns / MS:g} hops {hops}")
        else:
            lines.append(f"{at} {type(delivery).__name__} {delivery.connection}")
    return lines


def test_a_handshake_is_one_round_trip_and_tls_another() -> None:
    for tls, end in ((False, "14 Connected 1"), (True, "28 Connected 1")):
        network = pipe(tls=tls)
        network.open(1, "u", "edge", 0)
        network.send(1, 1, 100, 0, up=True, wakes=True)
        _, deliveries = network.advance(FAR)
        assert text(deliveries)[0] == end


def test_a_message_is_serialised_and_delayed_by_each_hop() -> None:
    """1000 bytes: 8 ms at 1 Mbit/s and 1 ms at 8 Mbit/s; the handshake of 18 ms comes first."""
    network = pipe(access=both(delay_ns=8 * MS, rate_bps=1_000_000), core=both(delay_ns=1 * MS, rate_bps=8_000_000))
    network.open(1, "u", "edge", 0)
    network.send(1, 1, 1000, 0, up=True, wakes=True)
    assert text(network.advance(FAR)[1]) == ["18 Connected 1", "36 message 1 emitted 18 hops 16 2 0"]
    network.send(1, 2, 500, 100 * MS, up=False, wakes=True)
    assert text(network.advance(FAR)[1]) == ["113.5 message 2 emitted 100 hops 0 1.5 12"]


def test_a_rate_that_does_not_divide_is_rounded_up() -> None:
    network = pipe(access=both(delay_ns=0, rate_bps=3), core=both(delay_ns=0))
    network.open(1, "u", "edge", 0)
    network.send(1, 1, 1, 0, up=True, wakes=True)
    assert network.advance(FAR)[0] == 2_666_666_667


def test_two_connections_of_one_ue_share_its_link_and_those_of_two_do_not() -> None:
    for ues, second in ((("u", "u"), "25"), (("u", "v"), "17")):
        network = pipe(ues=sorted(set(ues)), access=both(delay_ns=0, rate_bps=1_000_000))
        for connection, ue in enumerate(ues, 1):
            network.open(connection, ue, "edge", 0)
        for connection in (1, 2):
            network.send(connection, connection, 1000, 8 * MS, up=True, wakes=True)
        arrivals = text([*network.advance(FAR)[1], *network.advance(FAR)[1]])
        assert [line.partition(" emitted")[0] for line in arrivals if "message" in line] == [
            "17 message 1",
            f"{second} message 2",
        ]


def test_the_core_is_shared_by_all() -> None:
    network = pipe(ues=("u", "v"), core=both(delay_ns=0, rate_bps=1_000_000))
    for connection, ue, path in ((1, "u", "edge"), (2, "v", "cloud")):
        network.open(connection, ue, path, 0)
        network.send(connection, connection, 1000, 100 * MS, up=True, wakes=True)
    assert text(network.advance(FAR)[1])[-1] == "116 message 1 emitted 100 hops 8 8 0"
    assert text(network.advance(FAR)[1]) == ["144 message 2 emitted 100 hops 8 16 20"]


def test_uplink_and_downlink_do_not_share() -> None:
    network = pipe(access=both(delay_ns=0, rate_bps=1_000_000), core=both(delay_ns=0))
    network.open(1, "u", "edge", 0)
    network.send(1, 1, 1000, 0, up=True, wakes=True)
    network.send(1, 2, 1000, 0, up=False, wakes=True)
    assert text(network.advance(FAR)[1])[1:] == [
        "8 message 2 emitted 0 hops 0 0 8",
        "8 message 1 emitted 0 hops 8 0 0",
    ]


def test_a_cause_comes_before_its_effect_over_links_without_delay() -> None:
    network = pipe(access=both(delay_ns=0), core=both(delay_ns=0))
    network.open(1, "u", "edge", 5)
    network.send(1, 1, 1000, 5, up=True, wakes=True)
    network.send(1, 2, 1000, 5, up=True, wakes=True)
    now_ns, deliveries = network.advance(FAR)
    assert now_ns == 6
    assert [delivery.t_ns for delivery in deliveries] == [5, 6, 6]


def test_advance_stops_at_the_first_consequential_delivery_with_all_of_that_instant() -> None:
    network = pipe(ues=("u", "v", "w"))
    for connection, ue in enumerate(("u", "v", "w"), 1):
        network.open(connection, ue, "edge", 0)
    network.send(1, 1, 10, 20 * MS, up=False, wakes=False)
    network.send(2, 2, 10, 21 * MS, up=False, wakes=True)
    network.send(3, 3, 10, 21 * MS, up=False, wakes=False)
    network.send(1, 4, 10, 21 * MS + 1, up=False, wakes=False)
    now_ns, deliveries = network.advance(FAR)
    assert now_ns == 26 * MS
    assert text(deliveries)[3:] == [
        "25 message 1 emitted 20 hops 0 1 4",
        "26 message 2 emitted 21 hops 0 1 4",
        "26 message 3 emitted 21 hops 0 1 4",
    ]
    assert text(network.settle(27 * MS)) == ["26 message 4 emitted 21 hops 0 1 4"]


def test_advance_goes_to_its_horizon_and_no_further() -> None:
    network = pipe()
    network.open(1, "u", "edge", 0)
    network.send(1, 1, 10, 0, up=True, wakes=True)
    assert network.advance(14 * MS - 1) == (14 * MS - 1, [])
    assert network.advance(14 * MS) == (14 * MS, [Connected(14 * MS, 1)])
    assert network.advance(23 * MS - 1) == (23 * MS - 1, [])
    assert network.advance(23 * MS) == (23 * MS, [Delivered(23 * MS, 1, 14 * MS, (8 * MS, 1 * MS, 0))])
    assert network.advance(FAR) == (FAR, [])


def test_what_wakes_nobody_is_put_off_and_comes_with_its_own_time() -> None:
    network = pipe()
    network.open(1, "u", "edge", 0)
    network.send(1, 1, 10, 20 * MS, up=False, wakes=False)
    assert network.advance(40 * MS) == (40 * MS, [])
    assert text(network.settle(40 * MS)) == ["14 Connected 1", "25 message 1 emitted 20 hops 0 1 4"]
    assert network.settle(40 * MS) == []
    network.send(1, 2, 10, 41 * MS, up=False, wakes=False)
    network.send(1, 3, 10, 50 * MS, up=False, wakes=True)
    now_ns, deliveries = network.advance(FAR)
    assert now_ns == 55 * MS
    assert [delivery.t_ns // MS for delivery in deliveries] == [46, 55]


def test_a_knob_changes_what_reaches_the_link_later_and_nothing_before() -> None:
    """Whether or not work was put off: message 1 crosses before the change at 30 ms, message 2 after it."""
    for wakes in (False, True):
        network = pipe()
        network.open(1, "u", "edge", 0)
        network.send(1, 1, 10, 20 * MS, up=False, wakes=False)
        network.send(1, 9, 10, 500 * MS, up=False, wakes=wakes)
        before = network.advance(30 * MS)[1]
        network.set("network.access.downlink", Direction(40 * MS), at_ns=30 * MS)
        network.send(1, 2, 10, 31 * MS, up=False, wakes=False)
        after = network.settle(100 * MS)
        assert text([*before, *after]) == [
            "14 Connected 1",
            "25 message 1 emitted 20 hops 0 1 4",
            "72 message 2 emitted 31 hops 0 1 40",
        ]


def test_a_shorter_delay_reorders_nothing() -> None:
    network = pipe(edge=both(delay_ns=50 * MS))
    network.open(1, "u", "edge", 0)
    network.send(1, 1, 10, 200 * MS, up=True, wakes=False)
    network.advance(210 * MS)
    network.set("network.paths.edge.uplink", Direction(1 * MS), at_ns=210 * MS)
    network.send(1, 2, 10, 211 * MS, up=True, wakes=False)
    assert [delivery.t_ns // MS for delivery in network.settle(FAR)[1:]] == [259, 259]


def test_knobs_reach_the_links_they_name() -> None:
    network = pipe(ues=("u", "v"))
    assert network.minimum_delay_ns("edge", up=True) == 9 * MS
    assert network.minimum_delay_ns("cloud", up=False) == 25 * MS
    for link in ("access", "core", "paths.cloud"):
        network.set(direction_path(link, up=True), Direction(100 * MS), at_ns=0)
    for connection, (ue, path) in enumerate([("u", "edge"), ("v", "cloud")], 1):
        network.open(connection, ue, path, 0)
        network.send(connection, connection, 10, 400 * MS, up=True, wakes=False)
    assert [delivery.t_ns // MS for delivery in network.settle(FAR)[2:]] == [600, 700]
    # The least over all values that the knobs have had: a message on its way may have crossed before the change.
    assert network.minimum_delay_ns("edge", up=True) == 9 * MS
    network.set("network.core.uplink", Direction(0), at_ns=FAR)
    assert network.minimum_delay_ns("edge", up=True) == 8 * MS
    assert network.minimum_delay_ns("edge", up=False) == 5 * MS


def test_a_close_follows_what_was_sent_and_discards_the_answer() -> None:
    network = pipe()
    network.open(1, "u", "edge", 0)
    network.send(1, 1, 10, 20 * MS, up=True, wakes=True)
    network.send(1, 2, 70, 20 * MS, up=False, wakes=True)
    assert network.advance(21 * MS)[0] == 21 * MS
    network.close(1, 21 * MS, up=True, wakes=False)
    assert network.advance(FAR)[0] == 29 * MS
    assert network.account().connections == [
        ConnectionBytes(1, True, 10, 10, 0, 0),
        ConnectionBytes(1, False, 70, 0, 0, 70),
    ]
    assert network.settle(FAR) == [Closed(30 * MS, 1, up=True)]
    assert network.account().connections == [
        ConnectionBytes(1, True, 10, 10, 0, 0),
        ConnectionBytes(1, False, 70, 0, 0, 70),
    ]


def test_the_ue_sees_the_servers_close_after_what_the_server_had_sent() -> None:
    network = pipe(core=both(delay_ns=1 * MS, rate_bps=80_000))
    network.open(1, "u", "edge", 0)
    network.send(1, 1, 100, 20 * MS, up=False, wakes=False)
    network.advance(21 * MS)
    network.close(1, 21 * MS, up=False, wakes=True)
    # 100 bytes take 10 ms at 80 kbit/s; a close has no bytes and waits behind them.
    assert network.advance(FAR)[0] == 35 * MS
    assert network.settle(FAR) == []
    assert network.account().connections[1] == ConnectionBytes(1, False, 100, 100, 0, 0)


def test_a_request_that_crosses_the_servers_close_is_discarded_and_the_close_arrives() -> None:
    network = pipe()
    network.open(1, "u", "edge", 0)
    network.advance(40 * MS)
    network.close(1, 40 * MS, up=False, wakes=True)
    network.send(1, 1, 10, 42 * MS, up=True, wakes=True)
    now_ns, deliveries = network.advance(FAR)
    assert now_ns == 45 * MS
    assert deliveries[-1] == Closed(45 * MS, 1, up=False)
    assert network.advance(FAR) == (FAR, [])
    assert network.account().connections[0] == ConnectionBytes(1, True, 10, 0, 0, 10)


def test_a_request_that_reaches_a_closed_server_before_the_ue_knows_is_discarded() -> None:
    network = pipe()
    network.open(1, "u", "cloud", 0)
    network.send(1, 1, 10, 100 * MS, up=True, wakes=True)
    network.advance(120 * MS)
    network.close(1, 120 * MS, up=False, wakes=True)
    now_ns, deliveries = network.advance(FAR)
    assert (now_ns, deliveries[-1]) == (145 * MS, Closed(145 * MS, 1, up=False))
    assert network.account().connections[0] == ConnectionBytes(1, True, 10, 0, 0, 10)


def test_what_is_sent_at_the_instant_at_which_a_connection_ends_is_discarded() -> None:
    network = pipe()
    network.open(1, "u", "edge", 0)
    network.advance(40 * MS)
    network.close(1, 40 * MS, up=False, wakes=True)
    assert network.advance(FAR)[0] == 45 * MS
    network.send(1, 1, 10, 45 * MS, up=True, wakes=True)
    assert network.advance(FAR) == (FAR, [])
    assert network.account().connections[0] == ConnectionBytes(1, True, 10, 0, 0, 10)


def test_a_connection_that_both_sides_close_ends_once() -> None:
    network = pipe()
    network.open(1, "u", "edge", 0)
    network.advance(40 * MS)
    network.close(1, 40 * MS, up=False, wakes=True)
    network.send(1, 1, 10, 42 * MS, up=True, wakes=True)
    network.close(1, 42 * MS, up=True, wakes=True)
    network.close(1, 43 * MS, up=False, wakes=True)
    assert [delivery for delivery in network.settle(FAR) if isinstance(delivery, Closed)] == [
        Closed(42 * MS, 1, up=True)
    ]
    assert network.account().connections[0] == ConnectionBytes(1, True, 10, 0, 0, 10)


def test_a_close_of_the_ue_on_its_way_comes_before_the_servers() -> None:
    network = pipe()
    network.open(1, "u", "edge", 0)
    network.advance(40 * MS)
    network.close(1, 40 * MS, up=True, wakes=False)
    network.close(1, 41 * MS, up=False, wakes=True)
    assert [delivery for delivery in network.settle(FAR) if isinstance(delivery, Closed)] == [
        Closed(49 * MS, 1, up=True)
    ]


def test_what_has_not_left_when_its_connection_closes_is_discarded() -> None:
    network = pipe()
    network.open(1, "u", "edge", 0)
    network.send(1, 1, 10, 0, up=True, wakes=True)
    network.close(1, 5 * MS, up=True, wakes=True)
    assert [delivery for delivery in network.advance(FAR)[1] if isinstance(delivery, Delivered | Closed)] == [
        Closed(14 * MS, 1, up=True)
    ]
    assert network.advance(FAR) == (FAR, [])
    assert network.account().connections[0] == ConnectionBytes(1, True, 10, 0, 0, 10)


def test_an_answer_that_arrived_before_the_close_counts_although_it_was_put_off() -> None:
    network = pipe()
    network.open(1, "u", "edge", 0)
    network.send(1, 1, 10, 20 * MS, up=False, wakes=False)
    network.advance(30 * MS)
    network.close(1, 30 * MS, up=True, wakes=True)
    assert text(network.advance(FAR)[1])[1] == "25 message 1 emitted 20 hops 0 1 4"
    assert network.account().connections[1] == ConnectionBytes(1, False, 10, 10, 0, 0)


def test_what_is_under_way_at_the_end_is_discarded() -> None:
    network = pipe()
    network.open(1, "u", "edge", 0)
    network.send(1, 1, 10, 0, up=True, wakes=True)
    network.advance(15 * MS)
    assert network.account().connections[0] == ConnectionBytes(1, True, 10, 0, 0, 10)


def test_links_count_messages_and_bytes() -> None:
    network = pipe()
    network.open(1, "u", "edge", 0)
    network.send(1, 1, 10, 0, up=True, wakes=True)
    network.send(1, 2, 20, 0, up=True, wakes=True)
    network.advance(FAR)
    counted = {(link.link, link.up): link for link in network.account().links}
    assert set(counted) == {(name, up) for name in ("access/u", "core", "paths.edge", "paths.cloud") for up in (0, 1)}
    assert {key for key, link in counted.items() if "30" in repr(link)} == {
        ("access/u", True),
        ("core", True),
        ("paths.edge", True),
    }


def test_jitter_depends_on_the_seed_and_on_nothing_else() -> None:
    def arrivals(seed: int, *, other_ue: bool) -> list[int]:
        jittery = Link(uplink=Direction(8 * MS, jitter_ns=MS), downlink=Direction(0))
        network = pipe(ues=("u", "v") if other_ue else ("u",), access=jittery, seed=seed)
        network.open(1, "u", "edge", 0)
        if other_ue:
            network.open(2, "v", "edge", 0)
        for message in range(20):
            network.send(1, message, 10, (20 + message * 50) * MS, up=True, wakes=False)
            if other_ue:
                network.send(2, 100 + message, 10, (21 + message * 50) * MS, up=True, wakes=False)
        found = network.settle(FAR)
        return [delivery.t_ns for delivery in found if isinstance(delivery, Delivered) and delivery.message < 100]

    assert arrivals(1, other_ue=False) == arrivals(1, other_ue=False)
    assert arrivals(1, other_ue=False) == arrivals(1, other_ue=True)
    assert arrivals(1, other_ue=False) != arrivals(2, other_ue=False)


def test_jitter_has_the_mean_that_was_asked_for() -> None:
    network = pipe(access=Link(uplink=Direction(0, jitter_ns=2 * MS), downlink=Direction(0)), core=both(delay_ns=0))
    network.open(1, "u", "edge", 0)
    for message in range(4000):
        network.send(1, message, 10, (1 + message) * 1000 * MS, up=True, wakes=False)
    extra_ns = [d.t_ns - d.emitted_ns for d in network.settle(FAR) if isinstance(d, Delivered)]
    # Standard error of the mean: 2 ms / sqrt(4000) = 32 us.
    assert sum(extra_ns) / len(extra_ns) == pytest.approx(2 * MS, abs=0.13 * MS)
