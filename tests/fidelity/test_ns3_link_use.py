"""What the links of the ns-3 network did over time: shares of windows by hand, sums, and when it is asked."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from cosim.bridge.messages import Direction
from cosim.network.knobs import direction_path
from tests.fidelity.ns3_rig import MS, Rig, S, link, topology
from tests.link_rows import Row, check_sums, check_windows, of_link

pytestmark = pytest.mark.ns3


def test_a_packet_counts_in_each_window_in_which_it_is_sent(tmp_path: Path) -> None:
    with Rig(topology(access=link(40 * MS, rate_bps=1_000_000)), tmp_path) as rig:
        connection = rig.open()
        rig.settle(1 * S)
        before = len(rig.gauges)
        # The initial window, ten packets of 1,400 bytes and 11.2 ms each, from 1.05 s and 1 ns on.
        rig.send(connection, 10 * 1348, wakes=False, at_ns=1 * S + 50 * MS)
        rig.settle(1 * S + 150 * MS)
        assert of_link(rig.gauges[before:], "access/ue", "up") == [
            # 6,250 bytes in 50 ms, less what 1 ns is worth. All but the first packet wait.
            (1 * S + 100 * MS, "link_bytes", 6_249),
            (1 * S + 100 * MS, "link_max_queue_bytes", 12_600),
        ]
        links = rig.net.account().links
        assert of_link(rig.gauges[before:], "access/ue", "up")[2:] == [
            # Four packets had been sent by 1.1 s and one was under way.
            (1 * S + 150 * MS, "link_bytes", 6_250),
            (1 * S + 150 * MS, "link_max_queue_bytes", 7_000),
        ]
        check_sums(rig.gauges, links)
        rig.settle(60 * S)
        check_sums(rig.gauges, rig.net.account().links)
        assert of_link(rig.gauges[before:], "access/ue", "up")[4:] == [
            (1 * S + 200 * MS, "link_bytes", 14_000 - 6_249 - 6_250),
            (1 * S + 200 * MS, "link_max_queue_bytes", 1_400),
        ]


def test_a_backlog_is_seen_in_windows_in_which_nothing_begins(tmp_path: Path) -> None:
    with Rig(topology(access=link(0)), tmp_path) as rig:
        connection = rig.open()
        rig.settle(1 * S)
        before = len(rig.gauges)
        rig.net.set("network.access.uplink", Direction(0, 20_000), at_ns=1 * S)
        rig.send(connection, 2 * 1348, wakes=False)
        rig.settle(2 * S)
        rows = of_link(rig.gauges[before:], "access/ue", "up")
        sent = [(t_ns // MS, value) for t_ns, metric, value in rows if metric == "link_bytes"]
        backlogs = [value for _, metric, value in rows if metric == "link_max_queue_bytes"]
        # A packet takes 560 ms, from 1 ns on; what TCP sends again meanwhile waits as well.
        assert sent[:5] == [(1_100, 249), *((1_000 + 100 * i, 250) for i in range(2, 6))]
        assert backlogs[0] == 2 * 1_400  # the second packet, and TCP's probe for the loss of the tail
        assert min(backlogs[:5]) >= 1_400


def traffic(rig: Rig, pause_ns: int) -> list[Row]:
    """Two UEs over links whose rate, loss and queue change; the caller looks in every `pause_ns`."""
    draw = random.Random(5)
    connections = [rig.open("a"), rig.open("b"), rig.open("a")]
    for i in range(60):
        at_ns = 1 * S + i * 37 * MS
        rig.send(draw.choice(connections), draw.randrange(1, 60_000), up=draw.random() < 0.6, wakes=False, at_ns=at_ns)
        if i % 6 == 0:
            rate, queue = draw.choice([None, 300_000, 20_000_000]), draw.choice([None, 5_000])
            value = Direction(draw.randrange(30) * MS, rate, 2 * MS, draw.choice([0, 0.05]), queue)
            rig.net.set(
                direction_path(draw.choice(["access", "core", "paths.cloud"]), up=draw.random() < 0.5),
                value,
                at_ns=at_ns,
            )
    end_ns = 8 * S + 33 * MS
    while rig.now_ns < end_ns:
        rig.settle(min(rig.now_ns + pause_ns, end_ns))
    links = rig.net.account().links
    assert sum(entry.dropped_queue for entry in links) > 0
    assert sum(entry.dropped_loss for entry in links) > 0
    check_sums(rig.gauges, links)
    check_windows(rig.gauges, end_ns)
    return rig.gauges


def test_rows_add_up_to_the_account_however_often_the_network_is_asked(tmp_path: Path) -> None:
    shape = topology(ues=("a", "b"), access=link(5 * MS, rate_bps=5_000_000), wan=link(20 * MS))
    found = []
    for pause_ns in (7 * MS, 100 * MS, 30 * S):
        with Rig(shape, tmp_path) as rig:
            found.append(traffic(rig, pause_ns))
    assert found[0] == found[1] == found[2]


def test_what_was_put_off_is_counted_when_it_happened(tmp_path: Path) -> None:
    with Rig(topology(wan=link(20 * MS, rate_bps=10_000_000)), tmp_path) as rig:
        connection = rig.open()
        rig.settle(1 * S)
        before = len(rig.gauges)
        for i in range(5):
            rig.send(connection, 1_000, up=False, wakes=False, at_ns=1 * S + i * 200 * MS + 50 * MS)
        rig.advance(3 * S)
        assert len(rig.gauges) == before
        rig.transfer(connection, 100)
        rows = of_link(rig.gauges[before:], "paths.cloud", "down")
        sent = [(t_ns, value) for t_ns, metric, value in rows if metric == "link_bytes" and value > 1_000]
        assert sent == [(1 * S + i * 200 * MS + 100 * MS, 1_052) for i in range(5)]
        check_sums(rig.gauges, rig.net.account().links)


def test_idle_time_has_no_rows(tmp_path: Path) -> None:
    with Rig(topology(), tmp_path) as rig:
        rig.transfer(rig.open(), 1_000)
        rig.settle(10 * S)
        before = len(rig.gauges)
        rig.settle(600 * S)
        assert len(rig.gauges) == before
