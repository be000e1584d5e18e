"""Links of the ns-3 network: times to the nanosecond, order, loss, queues, live changes."""

from __future__ import annotations

import random
from pathlib import Path
from statistics import mean

import pytest

from cosim.bridge.messages import Delivered, Direction
from cosim.network.knobs import direction_path
from tests.fidelity.ns3_rig import MS, Rig, S, link, topology

pytestmark = pytest.mark.ns3

HEADERS = 52  # IPv4 20, TCP 20, timestamps 12


def serialisation_ns(n_bytes: int, rate_bps: int) -> int:
    return -(-n_bytes * 8 * S // rate_bps)


def test_small_message_takes_serialisation_and_delays_to_the_nanosecond(tmp_path: Path) -> None:
    access = link(8 * MS, 4 * MS, rate_bps=60_000_000)
    wan = link(32_500_000, rate_bps=1_000_000_000)
    with Rig(topology(access=access, core=link(1 * MS), wan=wan), tmp_path) as rig:
        connection = rig.open()
        rig.settle(1 * S)
        up = rig.transfer(connection, 300)
        packet = 300 + HEADERS
        first = serialisation_ns(packet, 60_000_000) + 8 * MS
        last = serialisation_ns(packet, 1_000_000_000) + 32_500_000
        # TCP emits 1 ns after it was handed the bytes.
        assert (up.emitted_ns, up.hops_ns) == (1 * S + 1, (first, 1 * MS, last))
        assert up.t_ns == up.emitted_ns + sum(up.hops_ns)

        at_ns = 2 * S
        rig.settle(at_ns)
        down = rig.transfer(connection, 300, up=False)
        assert down.hops_ns == (last, 1 * MS, serialisation_ns(packet, 60_000_000) + 4 * MS)
        assert down.t_ns == at_ns + 1 + sum(down.hops_ns)


def test_minimum_delay_is_the_least_of_all_values(tmp_path: Path) -> None:
    with Rig(topology(access=link(8 * MS, 4 * MS), core=link(1 * MS), wan=link(30 * MS)), tmp_path) as rig:
        assert rig.net.minimum_delay_ns("cloud", up=True) == 39 * MS
        rig.net.set("network.paths.cloud.uplink", Direction(10 * MS), at_ns=1 * S)
        rig.net.set("network.paths.cloud.uplink", Direction(90 * MS), at_ns=2 * S)
        assert rig.net.minimum_delay_ns("cloud", up=True) == 19 * MS
        assert rig.net.minimum_delay_ns("cloud", up=False) == 35 * MS


def test_jitter_is_exponential_around_its_mean_and_never_shortens(tmp_path: Path) -> None:
    with Rig(topology(wan=link(20 * MS, jitter_ns=2 * MS)), tmp_path) as rig:
        extra = [d.hops_ns[2] - 20 * MS for d in rig.spaced(400)]
    assert min(extra) >= 0
    assert mean(extra) == pytest.approx(2 * MS, rel=0.15)
    assert sum(e > 2 * MS for e in extra) / len(extra) == pytest.approx(0.368, abs=0.08)


def test_packets_never_overtake_under_jitter_and_changes(tmp_path: Path) -> None:
    draw = random.Random(7)
    wan = link(20 * MS, jitter_ns=10 * MS, rate_bps=50_000_000)
    with Rig(topology(access=link(5 * MS, jitter_ns=5 * MS), wan=wan), tmp_path) as rig:
        connection = rig.open()
        rig.settle(1 * S)
        sent: dict[bool, list[int]] = {True: [], False: []}
        for i in range(300):
            at_ns = 1 * S + i * draw.randrange(1, 3) * MS
            at_ns = max(at_ns, rig.now_ns)
            up = draw.random() < 0.5
            sent[up].append(rig.send(connection, draw.randrange(50, 1300), up=up, wakes=False, at_ns=at_ns))
            if i % 10 == 0:
                value = Direction(draw.randrange(40) * MS, draw.choice([None, 5_000_000]), 10 * MS)
                rig.net.set(direction_path("paths.cloud", up=draw.random() < 0.5), value, at_ns=at_ns)
            rig.settle(at_ns)
        rig.settle(60 * S)
        arrived = [d for d in rig.seen if isinstance(d, Delivered)]
        assert [d.t_ns for d in arrived] == sorted(d.t_ns for d in arrived)
        for up in (True, False):
            ours = set(sent[up])
            assert [d.message for d in arrived if d.message in ours] == sent[up]
        # Without loss, reordering would show as retransmissions.
        links = {(c.link, c.up): c for c in rig.net.account().links}
        payload = sum(c.sent for c in rig.net.account().connections if c.up)
        wan_up = links["paths.cloud", True]
        assert wan_up.n_bytes <= payload + wan_up.packets * 72


def test_a_knob_of_one_link_leaves_the_draws_of_another(tmp_path: Path) -> None:
    def access_hops(core_jitter_ns: int) -> list[int]:
        access = link(5 * MS, jitter_ns=1 * MS, loss=0.02)
        with Rig(topology(access=access, core=link(0, jitter_ns=core_jitter_ns)), tmp_path) as rig:
            connection = rig.open()
            rig.settle(1 * S)
            for i in range(20):
                rig.send(connection, 100, wakes=False, at_ns=1 * S + i * 100 * MS)
            rig.settle(20 * S)
            return [d.hops_ns[0] for d in rig.seen if isinstance(d, Delivered)]

    assert access_hops(0) == access_hops(3 * MS)


def test_loss_is_repaired_and_the_completing_segment_adds_up(tmp_path: Path) -> None:
    with Rig(topology(wan=link(20 * MS, rate_bps=50_000_000, loss=0.02), seed=5), tmp_path) as rig:
        connection = rig.open()
        rig.settle(5 * S)
        for _ in range(20):
            start_ns = rig.now_ns
            delivered = rig.transfer(connection, 150_000)
            assert delivered.t_ns == delivered.emitted_ns + sum(delivered.hops_ns)
            assert start_ns < delivered.emitted_ns
            assert delivered.hops_ns[2] >= 20 * MS
        up = next(c for c in rig.net.account().links if c.link == "paths.cloud" and c.up)
        assert up.dropped_loss == pytest.approx(0.02 * up.packets, rel=0.5)
        rig.check_account()


def test_a_full_queue_drops_and_counts(tmp_path: Path) -> None:
    access = link(5 * MS, rate_bps=2_000_000, queue_bytes=4_000)
    with Rig(topology(access=access), tmp_path) as rig:
        rig.transfer(rig.open(), 100_000)
        up = next(c for c in rig.net.account().links if c.link == "access/ue" and c.up)
        assert up.dropped_queue > 0
        assert 2_800 <= up.max_queue_bytes <= 4_000
        assert up.dropped_loss == 0
        rig.check_account()


def test_a_new_rate_applies_to_what_waits_and_a_new_delay_to_what_follows(tmp_path: Path) -> None:
    with Rig(topology(access=link(5 * MS, rate_bps=1_000_000)), tmp_path) as rig:
        connection = rig.open()
        rig.settle(1 * S)
        # Ten segments (the initial window) of 1,400 bytes at 1 Mb/s take 112 ms; after 50 ms, half have begun.
        message = rig.send(connection, 10 * 1348)
        rig.net.set("network.access.uplink", Direction(5 * MS, 10_000_000), at_ns=1 * S + 50 * MS)
        faster = rig.delivered(message)
        # 1 ns until emission; five packets at the old rate, five at the new one.
        assert faster.t_ns == 1 * S + 1 + 5 * 11_200_000 + 5 * 1_120_000 + 5 * MS

        rig.settle(2 * S)
        rig.net.set("network.access.uplink", Direction(25 * MS), at_ns=2 * S)
        assert rig.transfer(connection, 100).hops_ns[0] == 25 * MS


def test_access_is_each_ues_own_and_its_knob_everyones(tmp_path: Path) -> None:
    with Rig(topology(ues=("a", "b"), access=link(5 * MS)), tmp_path) as rig:
        a, b = rig.open("a"), rig.open("b")
        rig.settle(1 * S)
        rig.net.set("network.access.uplink", Direction(9 * MS), at_ns=1 * S)
        assert [rig.transfer(c, 100).hops_ns[0] for c in (a, b)] == [9 * MS, 9 * MS]
        for _ in range(5):
            rig.transfer(a, 1000)
        packets = {c.link: c.packets for c in rig.net.account().links if c.up}
        assert packets["access/a"] > packets["access/b"]
        assert packets["core"] == packets["paths.cloud"] == packets["access/a"] + packets["access/b"]
