"""TCP and TLS over ns-3: round trips, and transfers beside those of Linux 6.18 (kernel sockets in two namespaces)."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosim.bridge.messages import Direction
from cosim.network.knobs import direction_path
from tests.fidelity.ns3_rig import MS, Rig, S, link, topology

pytestmark = pytest.mark.ns3


def exchanges(
    tmp_path: Path,
    *,
    slow_start_after_idle: bool = True,
    primed: bool = False,
    n_bytes: int = 150_000,
) -> list[float]:
    """Upload and 1 kB reply over 50 Mb/s and 22 ms, in ms: every 0.5 s on a new connection, or after 1.5 MB."""
    wan = link(22 * MS, rate_bps=50_000_000)
    made = topology(
        wan=wan,
        mtu_bytes=1500,
        slow_start_after_idle=slow_start_after_idle,
    )
    times = []
    with Rig(made, tmp_path) as rig:
        connection = rig.open()
        rig.settle(300 * MS)
        sizes = [1_500_000] * primed + [n_bytes] * 6
        for size in sizes:
            start_ns = rig.now_ns
            rig.transfer(connection, size)
            reply = rig.transfer(connection, 1_000, up=False)
            times.append((reply.t_ns - start_ns) / MS)
            rig.settle(reply.t_ns + 50 * MS if primed else start_ns + 500 * MS)
    return times[primed:]


def test_first_messages_take_as_long_as_on_linux(tmp_path: Path) -> None:
    assert exchanges(tmp_path) == pytest.approx([187, 100.6, 95.2, 92.2, 90.9, 91.1], rel=0.03)


def test_larger_messages_take_as_long_as_on_linux(tmp_path: Path) -> None:
    assert exchanges(tmp_path, n_bytes=300_000) == pytest.approx([237, 114.5, 117, 116, 116, 116], rel=0.04)


def test_warm_messages_take_as_long_as_on_linux(tmp_path: Path) -> None:
    assert exchanges(tmp_path, primed=True) == pytest.approx([69.5] * 6, rel=0.03)


def test_without_slow_start_after_idle_later_messages_find_the_window_open(tmp_path: Path) -> None:
    closed = exchanges(tmp_path)
    open_ = exchanges(tmp_path, slow_start_after_idle=False)
    assert open_[0] == closed[0]
    assert open_[2:] == pytest.approx([69.5] * 4, rel=0.03)
    assert min(closed[2:]) > 85


@pytest.mark.parametrize(("tls", "round_trips"), [(False, 1), (True, 2)])
def test_handshakes_take_whole_round_trips(tmp_path: Path, tls: bool, round_trips: int) -> None:
    with Rig(topology(access=link(8 * MS, 4 * MS), wan=link(30 * MS), tls=tls), tmp_path) as rig:
        connection = rig.open()
        message = rig.send(connection, 1_000)
        delivered = rig.delivered(message)
        connected_ns = rig.connected(connection).t_ns
        # Each flight of TLS leaves TCP 1 ns after it was written.
        assert 0 <= connected_ns - round_trips * 72 * MS <= 2
        assert 0 <= delivered.emitted_ns - connected_ns <= 1
        assert delivered.t_ns == delivered.emitted_ns + 38 * MS


def test_handshake_bytes_cross_the_links_but_not_the_account(tmp_path: Path) -> None:
    def uplink_bytes(tls: bool) -> int:
        with Rig(topology(wan=link(10 * MS), tls=tls), tmp_path) as rig:
            connection = rig.open()
            rig.transfer(connection, 1_000)
            rig.transfer(connection, 500, up=False)
            rig.settle(5 * S)
            account = rig.net.account()
            assert [(c.sent, c.delivered, c.lost, c.discarded) for c in account.connections] == [
                (1_000, 1_000, 0, 0),
                (500, 500, 0, 0),
            ]
            return sum(c.n_bytes for c in account.links if c.link == "core")

    assert 5_000 < uplink_bytes(True) - uplink_bytes(False) < 6_000


def test_50_ms_more_each_way_raise_a_warm_exchange_by_100_ms(tmp_path: Path) -> None:
    with Rig(topology(access=link(5 * MS, rate_bps=60_000_000), wan=link(20 * MS)), tmp_path) as rig:
        connection = rig.open()
        rig.settle(1 * S)

        def exchange() -> int:
            start_ns = rig.now_ns
            rig.transfer(connection, 1_000)
            return rig.transfer(connection, 300, up=False).t_ns - start_ns

        exchange()  # from the second on, the answer itself acknowledges
        rig.settle(1500 * MS)
        before_ns = exchange()
        rig.settle(2 * S)
        for up in (True, False):
            rig.net.set(direction_path("paths.cloud", up=up), Direction(70 * MS), at_ns=2 * S)
        assert exchange() - before_ns == 100 * MS


def test_a_lost_last_segment_costs_a_retransmission_timeout(tmp_path: Path) -> None:
    with Rig(topology(wan=link(22 * MS)), tmp_path) as rig:
        connection = rig.open()
        rig.settle(1 * S)
        for _ in range(30):
            rig.transfer(connection, 500)
            rig.settle(rig.now_ns + 50 * MS)
        start_ns = rig.now_ns
        rig.net.set("network.paths.cloud.uplink", Direction(22 * MS, loss=1.0), at_ns=start_ns)
        message = rig.send(connection, 500)
        rig.net.set("network.paths.cloud.uplink", Direction(22 * MS), at_ns=start_ns + 100 * MS)
        # Linux: SRTT + max(4 RTTVAR, 200 ms), and half a tick of 4 ms.
        assert rig.delivered(message).emitted_ns - start_ns == pytest.approx(246 * MS, abs=1 * MS)
