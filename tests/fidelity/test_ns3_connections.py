"""Connections over ns-3: close, reset, the byte account, what is kept of the dead."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from cosim.bridge.messages import Closed, Delivered, Direction, Reset
from cosim.network.knobs import direction_path
from tests.fidelity.ns3_rig import LATER, MS, Rig, S, link, topology

pytestmark = pytest.mark.ns3


def test_the_server_sees_the_close_one_way_later(tmp_path: Path) -> None:
    with Rig(topology(wan=link(20 * MS)), tmp_path) as rig:
        connection = rig.open()
        rig.transfer(connection, 100)
        rig.settle(1 * S)
        rig.net.close(connection, 1 * S, up=True, wakes=True)
        assert rig.advance() == [Closed(1 * S + 20 * MS, connection, up=True)]
        rig.check_account()


def test_data_in_tcp_arrives_before_the_close(tmp_path: Path) -> None:
    with Rig(topology(wan=link(20 * MS, rate_bps=50_000_000)), tmp_path) as rig:
        connection = rig.open()
        rig.settle(1 * S)
        message = rig.send(connection, 200_000, wakes=False)
        rig.net.close(connection, 1 * S + 1 * MS, up=True, wakes=True)
        rig.advance()
        assert [type(d) for d in rig.seen[-2:]] == [Delivered, Closed]
        assert rig.seen[-2].message == message  # type: ignore[union-attr]
        rig.check_account()


def test_a_close_discards_what_tcp_has_not_taken_and_what_the_server_sends(tmp_path: Path) -> None:
    with Rig(topology(wan=link(20 * MS, rate_bps=50_000_000)), tmp_path) as rig:
        connection = rig.open()
        rig.settle(1 * S)
        rig.send(connection, 9_000_000)  # more than TCP's buffer
        rig.send(connection, 1_000)
        rig.send(connection, 500_000, up=False)
        rig.net.close(connection, 1 * S + 30 * MS, up=True, wakes=False)
        rig.send(connection, 700, up=False, at_ns=1 * S + 40 * MS)
        rig.send(connection, 800, at_ns=1 * S + 40 * MS)
        rig.settle(10 * S)
        assert not [d for d in rig.seen if isinstance(d, Delivered)]
        assert isinstance(rig.ended(connection), Closed)
        up, down = rig.net.account().connections
        assert (up.sent, up.lost) == (9_001_800, 0)
        assert 4_000_000 < up.delivered < 5_000_000
        assert (down.sent, down.lost) == (500_700, 0)
        assert 0 < down.delivered < 100_000
        rig.check_account()
        # Nothing consequential is left, so this answers at once.
        wall_ns = rig.net.wall_ns
        rig.advance(LATER)
        assert rig.net.wall_ns == wall_ns


def test_no_delivery_reaches_a_closed_ue(tmp_path: Path) -> None:
    with Rig(topology(wan=link(20 * MS)), tmp_path) as rig:
        connection = rig.open()
        rig.settle(1 * S)
        rig.send(connection, 1_000, up=False)
        rig.net.close(connection, 1 * S + 10 * MS, up=True, wakes=True)
        rig.settle(5 * S)
        assert [d for d in rig.seen if isinstance(d, Delivered)] == []
        down = rig.net.account().connections[1]
        assert (down.delivered, down.discarded) == (0, 1_000)


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("after_ms", [0, 10, 45, 70])
def test_a_close_during_the_handshakes(tmp_path: Path, tls: bool, after_ms: int) -> None:
    with Rig(topology(wan=link(20 * MS), tls=tls), tmp_path) as rig:
        connection = rig.open(at_ns=0)
        rig.send(connection, 100_000)
        rig.net.close(connection, after_ms * MS, up=True, wakes=True)
        rig.settle(5 * S)
        assert isinstance(rig.ended(connection), Closed)
        rig.check_account()


def test_tcp_gives_up_a_dead_path(tmp_path: Path) -> None:
    with Rig(topology(wan=link(20 * MS)), tmp_path) as rig:
        connection = rig.open()
        rig.settle(1 * S)
        for up in (True, False):
            rig.net.set(direction_path("paths.cloud", up=up), Direction(20 * MS, loss=1.0), at_ns=1 * S)
        rig.send(connection, 5_000)
        (reset,) = rig.advance()
        assert isinstance(reset, Reset)
        # Timeouts from 240 ms, doubling up to 120 s, until 924.6 s have passed since the first (tcp_retries2 = 15).
        assert reset.t_ns == pytest.approx(965 * S, abs=5 * S)
        (up_bytes, _) = rig.net.account().connections
        assert (up_bytes.sent, up_bytes.delivered, up_bytes.lost) == (5_000, 0, 5_000)


def test_a_syn_without_answer_is_given_up_after_127_s(tmp_path: Path) -> None:
    with Rig(topology(core=link(0, loss=1.0)), tmp_path) as rig:
        connection = rig.open()
        rig.send(connection, 5_000)
        assert rig.advance() == [Reset(127 * S, connection)]
        (up, _) = rig.net.account().connections
        assert (up.sent, up.discarded) == (5_000, 5_000)


def test_a_close_over_a_dead_path_ends_too(tmp_path: Path) -> None:
    with Rig(topology(wan=link(20 * MS)), tmp_path) as rig:
        connection = rig.open()
        rig.settle(1 * S)
        rig.net.set("network.paths.cloud.uplink", Direction(20 * MS, loss=1.0), at_ns=1 * S)
        rig.net.close(connection, 1 * S, up=True, wakes=True)
        assert isinstance(rig.advance()[0], Reset)


@pytest.mark.parametrize("seed", range(4))
def test_the_account_adds_up_whatever_happens(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    wan = link(15 * MS, rate_bps=20_000_000, jitter_ns=3 * MS, loss=0.03, queue_bytes=60_000)
    made = topology(ues=("a", "b"), wan=wan, tls=seed % 2 == 0, seed=seed, congestion_control=draw.choice(["cubic"]))
    with Rig(made, tmp_path) as rig:
        open_: list[int] = []
        total = 0
        for _ in range(120):
            rig.settle(rig.now_ns + draw.randrange(60) * MS)
            choice = draw.random()
            if choice < 0.2 or not open_:
                open_.append(rig.open(draw.choice("ab")))
            elif choice < 0.3:
                rig.net.close(open_.pop(draw.randrange(len(open_))), rig.now_ns, up=True, wakes=draw.random() < 0.5)
            else:
                n_bytes = draw.choice([1, 300, 5_000, 200_000])
                total += n_bytes
                rig.send(draw.choice(open_), n_bytes, up=draw.random() < 0.5, wakes=draw.random() < 0.5)
            if draw.random() < 0.1:
                rig.check_account()
        rig.check_account()
        assert sum(c.sent for c in rig.net.account().connections) == total
        for connection in open_:
            rig.net.close(connection, rig.now_ns, up=True, wakes=False)
        rig.settle(rig.now_ns + 120 * S)
        rig.check_account()
        ends = [d.connection for d in rig.seen if isinstance(d, (Closed, Reset))]
        assert len(ends) == len(set(ends))
        assert set(ends) >= set(open_)


def resident_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmRSS"))


def test_finished_connections_leave_nothing_behind(tmp_path: Path) -> None:
    with Rig(topology(wan=link(5 * MS, loss=0.01), tls=True), tmp_path) as rig:

        def churn(count: int) -> None:
            for _ in range(count):
                connection = rig.open()
                rig.transfer(connection, 3_000)
                rig.transfer(connection, 500, up=False)
                rig.net.close(connection, rig.now_ns, up=True, wakes=True)
                rig.settle(rig.now_ns + 500 * MS)

        churn(400)  # longer than closed sockets linger
        before = resident_bytes(rig.net.pid)
        churn(1200)
        # A leaked pair of sockets would be 20 kB and more.
        assert resident_bytes(rig.net.pid) - before < 1200 * 2_000
        rig.check_account()
