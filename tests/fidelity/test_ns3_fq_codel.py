"""FQ-CoDel on the ns-3 links: what a small flow sees beside a bulk flow, CoDel's target, changes and the account."""

from __future__ import annotations

import random
from pathlib import Path
from statistics import median

import pytest

from cosim.bridge.messages import Delivered, Delivery, Direction, FqCodel, GilbertElliott, Link, Opportunities
from cosim.network.knobs import direction_path
from tests.fidelity.ns3_rig import MS, Rig, S, link, topology
from tests.link_rows import Row, check_sums, check_windows, of_link

pytestmark = pytest.mark.ns3

SEGMENT = 1348  # payload of a packet of 1,400 bytes
RATE_BPS = 10_000_000


def beside_bulk(directory: Path, value: Direction) -> tuple[list[int], float, Rig]:
    """A small message each 100 ms for 20 s beside an upload: its times over the access link, and the median backlog.

    The backlog is that of windows of 100 ms, as the time that it takes at the rate; the rig is closed.
    """
    with Rig(topology(access=Link(value, Direction(10 * MS)), wan=link(10 * MS)), directory) as rig:
        bulk, small = rig.open(), rig.open()
        rig.settle(1 * S)
        rig.send(bulk, 40_000_000, wakes=False)
        messages = [rig.send(small, 100, wakes=False, at_ns=3 * S + i * 100 * MS) for i in range(200)]
        rig.settle(24 * S)
        links = rig.net.account().links
        check_sums(rig.gauges, links)
        rig.check_account()
    delivered = {d.message: d for d in rig.seen if isinstance(d, Delivered)}
    assert all(d.t_ns == d.emitted_ns + sum(d.hops_ns) for d in delivered.values())
    backlogs = [
        n_bytes * 8 * S / RATE_BPS
        for t_ns, metric, n_bytes in of_link(rig.gauges, "access/ue", "up")
        if metric == "link_max_queue_bytes" and t_ns > 5 * S
    ]
    assert len(backlogs) > 150
    return [delivered[message].hops_ns[0] for message in messages], median(backlogs), rig


def test_a_small_flow_does_not_wait_for_a_bulk_flow_and_codel_keeps_its_target(tmp_path: Path) -> None:
    codel = FqCodel()
    fifo, fifo_backlog_ns, _ = beside_bulk(tmp_path, Direction(10 * MS, RATE_BPS, queue_bytes=250_000))
    fair, fair_backlog_ns, rig = beside_bulk(tmp_path, Direction(10 * MS, RATE_BPS, fq_codel=codel))
    packet_ns = 1400 * 8 * S // RATE_BPS
    own_ns = 152 * 8 * S // RATE_BPS
    assert median(fifo) > 100 * MS
    # A new flow has the next turn: it waits for the packet being sent at most.
    assert max(fair) <= 10 * MS + packet_ns + own_ns
    assert fifo_backlog_ns > 100 * MS
    # CoDel lets a queue be above its target for an interval at a time, as a window under CUBIC refills.
    assert fair_backlog_ns < 4 * codel.target_ns
    assert fair_backlog_ns > codel.target_ns / 2
    assert rig.now_ns == 24 * S


def test_without_a_backlog_it_is_fifo(tmp_path: Path) -> None:
    def run(fq_codel: FqCodel | None) -> list[Delivery]:
        value = Direction(8 * MS, 60_000_000, 2 * MS, 0.01, fq_codel=fq_codel)
        with Rig(topology(access=Link(value, value), wan=link(20 * MS)), tmp_path) as rig:
            rig.spaced(200)
            return rig.seen

    assert run(FqCodel()) == run(None)


def test_target_interval_flows_and_limit_reach_codel(tmp_path: Path) -> None:
    def up(**values: int) -> tuple[list[int], float, int]:
        fq_codel = FqCodel(**values)
        delays, backlog_ns, rig = beside_bulk(tmp_path, Direction(10 * MS, RATE_BPS, fq_codel=fq_codel))
        rows = of_link(rig.gauges, "access/ue", "up")
        return delays, backlog_ns, int(max(value for _, metric, value in rows if metric == "link_max_queue_bytes"))

    # One queue is shared: the small flow waits as long as CoDel lets the bulk flow's queue be.
    shared, _, _ = up(flows=1, target_ns=50 * MS)
    assert 20 * MS < median(shared) - 10 * MS < 120 * MS
    _, _, largest = up(packets=20)
    assert 20 * 1300 < largest <= 20 * 1400


def test_a_new_rate_applies_to_what_waits(tmp_path: Path) -> None:
    value = Direction(5 * MS, 1_000_000, fq_codel=FqCodel())
    with Rig(topology(access=Link(value, Direction(5 * MS))), tmp_path) as rig:
        connection = rig.open()
        rig.settle(1 * S)
        # As without FQ-CoDel (test_ns3_links.py): 50 ms are less than an interval, so that nothing is dropped.
        message = rig.send(connection, 10 * SEGMENT)
        faster = Direction(5 * MS, 10_000_000, fq_codel=FqCodel())
        rig.net.set("network.access.uplink", faster, at_ns=1 * S + 50 * MS)
        assert rig.delivered(message).t_ns == 1 * S + 1 + 5 * 11_200_000 + 5 * 1_120_000 + 5 * MS


@pytest.mark.parametrize("to_fq_codel", [True, False])
def test_what_waits_moves_to_another_queue(tmp_path: Path, to_fq_codel: bool) -> None:
    first, second = (None, FqCodel()) if to_fq_codel else (FqCodel(), None)
    with Rig(topology(access=Link(Direction(5 * MS, 1_000_000, fq_codel=first), Direction(5 * MS))), tmp_path) as rig:
        connection = rig.open()
        rig.settle(1 * S)
        messages = [rig.send(connection, SEGMENT) for _ in range(10)]
        rig.net.set("network.access.uplink", Direction(5 * MS, 1_000_000, fq_codel=second), at_ns=1 * S + 50 * MS)
        arrivals = [rig.delivered(message).t_ns for message in messages]
        assert arrivals == [1 * S + 1 + (i + 1) * 11_200_000 + 5 * MS for i in range(10)]
        rig.settle(3 * S)
        assert rig.link("access/ue").max_queue_bytes == 9 * 1400
        check_sums(rig.gauges, rig.net.account().links)


def any_direction(draw: random.Random) -> Direction:
    trace = Opportunities(tuple(sorted(draw.randrange(50) * MS for _ in range(draw.randrange(1, 60)))), 50 * MS)
    return Direction(
        draw.randrange(30) * MS,
        draw.choice([None, 400_000, 20_000_000]),
        draw.choice([0, 3 * MS]),
        draw.choice([0, 0.02]),
        draw.choice([None, 8_000]),
        jitter_shape=draw.choice([0.3, 1.0, 5.0]),
        burst_loss=draw.choice([None, GilbertElliott(0.02, 0.5, 0.0, 0.8)]),
        fq_codel=draw.choice([None, FqCodel(), FqCodel(packets=12), FqCodel(flows=2, quantum_bytes=300)]),
        opportunities=draw.choice([None, None, trace]),
    )


def changing(directory: Path, seed: int, pause_ns: int) -> tuple[list[Delivery], list[Row]]:
    """Three connections over links of which everything changes; the caller looks in every `pause_ns`."""
    draw = random.Random(seed)
    shape = topology(ues=("a", "b"), access=link(5 * MS, rate_bps=5_000_000), wan=link(20 * MS), seed=seed)
    with Rig(shape, directory) as rig:
        connections = [rig.open("a"), rig.open("b"), rig.open("a")]
        sent: dict[tuple[int, bool], list[int]] = {}
        for i in range(80):
            at_ns = 1 * S + i * 31 * MS
            connection, up = draw.choice(connections), draw.random() < 0.6
            message = rig.send(connection, draw.randrange(1, 40_000), up=up, wakes=False, at_ns=at_ns)
            sent.setdefault((connection, up), []).append(message)
            if i % 4 == 0:
                name = draw.choice(["access", "core", "paths.cloud"])
                rig.net.set(direction_path(name, up=draw.random() < 0.5), any_direction(draw), at_ns=at_ns)
        end_ns = 60 * S
        while rig.now_ns < end_ns:
            rig.settle(min(rig.now_ns + pause_ns, end_ns))
        links = rig.net.account().links
        check_sums(rig.gauges, links)
        check_windows(rig.gauges, end_ns)
        rig.check_account()
        assert sum(entry.dropped_queue for entry in links) > 0
        assert sum(entry.dropped_loss for entry in links) > 0
    arrived = [d for d in rig.seen if isinstance(d, Delivered)]
    assert all(d.t_ns == d.emitted_ns + sum(d.hops_ns) and min(d.hops_ns) >= 0 for d in arrived)
    order = [d.message for d in arrived]
    for messages in sent.values():
        ours = [message for message in order if message in messages]
        assert ours == messages[: len(ours)]
        assert len(ours) > 0.5 * len(messages)
    return rig.seen, rig.gauges


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_changes_nothing_is_lost_from_the_account_and_runs_repeat(tmp_path: Path, seed: int) -> None:
    seen, gauges = changing(tmp_path, seed, 5 * S)
    again = changing(tmp_path, seed, 70 * MS)
    assert (sorted(seen, key=repr), gauges) == (sorted(again[0], key=repr), again[1])
