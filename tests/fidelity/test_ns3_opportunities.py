"""Delivery opportunities of the ns-3 links: single packets by hand, throughput, queue and changes."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from cosim.bridge.messages import Direction, FqCodel, Link, Opportunities
from tests.fidelity.ns3_rig import MS, Rig, S, topology
from tests.link_rows import check_sums

pytestmark = pytest.mark.ns3

SEGMENT = 1348  # payload of a packet of 1,400 bytes
TRACE = Opportunities((3 * MS, 3 * MS, 10 * MS, 20 * MS), 20 * MS)


def access(value: Direction) -> Link:
    """An access link of the value towards the server."""
    return Link(value, Direction(5 * MS))


def uplink(trace: Opportunities = TRACE, fq_codel: FqCodel | None = None) -> Direction:
    return Direction(5 * MS, fq_codel=fq_codel, opportunities=trace)


@pytest.mark.parametrize("fq_codel", [None, FqCodel()], ids=["fifo", "fq_codel"])
def test_packets_leave_at_opportunities_as_computed_by_hand(tmp_path: Path, fq_codel: FqCodel | None) -> None:
    with Rig(topology(access=access(uplink(fq_codel=fq_codel))), tmp_path) as rig:
        connection = rig.open()
        rig.settle(1 * S)
        alone = rig.transfer(connection, 100)
        # 1 s is a multiple of the period; TCP emits 1 ns after it was handed the bytes.
        assert alone.hops_ns[0] == 3 * MS - 1 + 5 * MS

        # One that is emitted at an instant of the trace misses it; the next opportunity is at 10 ms.
        rig.settle(2 * S)
        assert rig.transfer(connection, 100, at_ns=2 * S + 3 * MS - 1).hops_ns[0] == 7 * MS + 5 * MS

        # Packets of 1,400 bytes, 1,404 with TUN's header: the first leaves 100 of 1,504 bytes at 3 ms; the second
        # leaves 200 at 3 ms; the third takes them and 1,204 at 10 ms; the fourth 300 there and 1,104 at 20 ms; the
        # fifth, with 652 bytes, fits into the 400 left there and into 256 of the next period's 3 ms.
        rig.settle(3 * S)
        start_ns = rig.now_ns
        messages = [rig.send(connection, n_bytes) for n_bytes in (SEGMENT, SEGMENT, SEGMENT, SEGMENT, 600)]
        arrivals = [rig.delivered(message).t_ns - start_ns - 5 * MS for message in messages]
        assert arrivals == [3 * MS, 3 * MS, 10 * MS, 20 * MS, 23 * MS]


@pytest.mark.parametrize("fq_codel", [None, FqCodel()], ids=["fifo", "fq_codel"])
def test_a_backlog_gets_the_bytes_of_the_trace(tmp_path: Path, fq_codel: FqCodel | None) -> None:
    with Rig(topology(access=access(uplink(fq_codel=fq_codel))), tmp_path) as rig:
        connection = rig.open()
        rig.send(connection, 4_000_000)
        rig.settle(4 * S)
        before = rig.link("access/ue")
        rig.settle(10 * S)
        after = rig.link("access/ue")
        # Four opportunities in each of 300 periods; every packet has TUN's four bytes more.
        packets = after.packets - before.packets
        assert after.n_bytes - before.n_bytes + 4 * packets == pytest.approx(300 * 4 * 1504, abs=3_000)
        check_sums(rig.gauges, rig.net.account().links)


def test_a_large_packet_takes_several_opportunities_and_unused_ones_are_lost(tmp_path: Path) -> None:
    trace = Opportunities(tuple(range(1 * MS, 10 * MS + 1, 1 * MS)), 10 * MS, bytes_per_opportunity=500)
    with Rig(topology(access=access(uplink(trace))), tmp_path) as rig:
        connection = rig.open()
        rig.settle(1 * S)
        message = rig.send(connection, SEGMENT, at_ns=1 * S + 4 * MS)
        # Three of 500 bytes, at 5, 6 and 7 ms.
        assert rig.delivered(message).t_ns == 1 * S + 7 * MS + 5 * MS


def test_a_full_queue_drops_and_everything_arrives(tmp_path: Path) -> None:
    value = msgspec.structs.replace(uplink(), queue_bytes=20_000)
    with Rig(topology(access=access(value)), tmp_path) as rig:
        delivered = rig.transfer(rig.open(), 300_000)
        assert delivered.t_ns == delivered.emitted_ns + sum(delivered.hops_ns)
        up = rig.link("access/ue")
        assert up.dropped_queue > 0
        assert 18_600 <= up.max_queue_bytes <= 20_000
        check_sums(rig.gauges, rig.net.account().links)
        rig.check_account()


@pytest.mark.parametrize("fq_codel", [None, FqCodel()], ids=["fifo", "fq_codel"])
def test_changes_apply_to_what_waits(tmp_path: Path, fq_codel: FqCodel | None) -> None:
    value = uplink(fq_codel=fq_codel)
    later = msgspec.structs.replace(value, delay_ns=6 * MS)
    at_a_rate = Direction(6 * MS, 11_200_000, fq_codel=fq_codel)
    with Rig(topology(access=access(value)), tmp_path) as rig:
        connection = rig.open()
        rig.settle(1 * S)
        start_ns = rig.now_ns
        messages = [rig.send(connection, SEGMENT) for _ in range(6)]
        # As above two leave at 3 ms and the third, begun there, at 10 ms. A longer delay leaves the trace's place.
        rig.net.set("network.access.uplink", later, at_ns=start_ns + 5 * MS)
        # The fourth begins at 10 ms, the instant of the change; the others are sent at a rate, from its end on.
        rig.net.set("network.access.uplink", at_a_rate, at_ns=start_ns + 10 * MS)
        arrivals = [rig.delivered(message).t_ns - start_ns for message in messages]
        assert arrivals == [8 * MS, 8 * MS, 15 * MS, 26 * MS, 27 * MS, 28 * MS]

        # And back: what is being sent at the rate, for 5.6 ms, ends before the first opportunity is taken.
        rig.settle(2 * S)
        start_ns = rig.now_ns
        rig.net.set("network.access.uplink", msgspec.structs.replace(at_a_rate, rate_bps=2_000_000), at_ns=start_ns)
        messages = [rig.send(connection, SEGMENT) for _ in range(3)]
        rig.net.set("network.access.uplink", value, at_ns=start_ns + 500_000)
        arrivals = [rig.delivered(message).t_ns - start_ns for message in messages]
        assert arrivals == [11_600_001, 15 * MS, 25 * MS]

        # To another trace: the third of four is being sent and ends at 10 ms, by the first trace.
        rig.settle(3 * S)
        start_ns = rig.now_ns
        messages = [rig.send(connection, SEGMENT) for _ in range(4)]
        slow = uplink(Opportunities((40 * MS,), 40 * MS), fq_codel)
        rig.net.set("network.access.uplink", slow, at_ns=start_ns + 5 * MS)
        arrivals = [rig.delivered(message).t_ns - start_ns for message in messages]
        assert arrivals == [8 * MS, 8 * MS, 15 * MS, 45 * MS]

        # And one that waits alone, for an opportunity at 40 ms, leaves at once when there is a rate.
        rig.settle(4 * S)
        start_ns = rig.now_ns
        message = rig.send(connection, SEGMENT)
        rig.net.set("network.access.uplink", at_a_rate, at_ns=start_ns + 5 * MS)
        assert rig.delivered(message).t_ns - start_ns == 12 * MS
