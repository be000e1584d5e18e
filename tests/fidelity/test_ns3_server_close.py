"""The server closes first: when the UE learns of it, what happens to data that crosses the FIN, the byte account."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from cosim.bridge.messages import Closed, Connected, Delivered, Direction
from tests.fidelity.ns3_rig import MS, Rig, S, link, topology

pytestmark = pytest.mark.ns3


def answered(rig: Rig) -> int:
    """A connection that has carried a request and its answer."""
    connection = rig.open()
    rig.transfer(connection, 1_000)
    rig.transfer(connection, 300, up=False)
    rig.settle(1 * S)
    return connection


@pytest.mark.parametrize("tls", [False, True])
def test_the_ue_sees_the_servers_close_one_way_later(tmp_path: Path, tls: bool) -> None:
    with Rig(topology(wan=link(20 * MS), tls=tls), tmp_path) as rig:
        connection = answered(rig)
        rig.net.close(connection, 1 * S, up=False, wakes=True)
        # Within the 60 s after which a reset would have to be looked for: only the close itself can end the wait.
        assert rig.advance(2 * S) == [Closed(1 * S + 20 * MS, connection, up=False)]
        rig.check_account()


def test_the_fin_follows_what_the_server_has_written(tmp_path: Path) -> None:
    with Rig(topology(wan=link(20 * MS, rate_bps=10_000_000)), tmp_path) as rig:
        connection = answered(rig)
        message = rig.send(connection, 200_000, up=False, wakes=False)
        rig.net.close(connection, 1 * S + 1 * MS, up=False, wakes=True)
        *_, delivered, closed = rig.advance()
        assert isinstance(delivered, Delivered)
        assert delivered.message == message
        assert closed == Closed(delivered.t_ns, connection, up=False)
        rig.check_account()


def test_a_request_that_crosses_the_fin_is_discarded(tmp_path: Path) -> None:
    """It is sent 10 ms after the close, 10 ms before the FIN is there: the FIN says so, before any RST could."""
    with Rig(topology(wan=link(20 * MS)), tmp_path) as rig:
        connection = answered(rig)
        rig.net.close(connection, 1 * S, up=False, wakes=True)
        rig.send(connection, 150_000, at_ns=1 * S + 10 * MS)
        assert rig.advance() == [Closed(1 * S + 20 * MS, connection, up=False)]
        rig.settle(2 * S)
        up, _ = rig.net.account().connections
        assert (up.sent, up.delivered, up.lost, up.discarded) == (151_000, 1_000, 0, 150_000)


def test_a_request_that_has_begun_to_arrive_keeps_the_server_from_closing(tmp_path: Path) -> None:
    with Rig(topology(wan=link(20 * MS, rate_bps=10_000_000)), tmp_path) as rig:
        connection = answered(rig)
        message = rig.send(connection, 150_000)
        rig.net.close(connection, 1 * S + 30 * MS, up=False, wakes=True)
        assert rig.delivered(message).t_ns > 1 * S + 100 * MS
        assert rig.transfer(connection, 300, up=False)
        # It is no longer expected, so nothing keeps the network from answering at once.
        wall_ns = rig.net.wall_ns
        rig.advance(rig.now_ns + 1 * S)
        assert rig.net.wall_ns == wall_ns
        assert rig.ended(connection) is None


def test_data_that_meets_a_lost_fin_is_answered_with_rst(tmp_path: Path) -> None:
    """Without the RST the UE would learn of the close from the FIN's retransmission, 200 ms later at least."""
    with Rig(topology(wan=link(20 * MS)), tmp_path) as rig:
        connection = answered(rig)
        rig.net.set("network.paths.cloud.downlink", Direction(20 * MS, loss=1.0), at_ns=1 * S)
        rig.net.close(connection, 1 * S, up=False, wakes=True)
        rig.net.set("network.paths.cloud.downlink", Direction(20 * MS), at_ns=1 * S + 30 * MS)
        rig.send(connection, 5_000, at_ns=1 * S + 40 * MS)
        assert rig.advance() == [Closed(1 * S + 80 * MS + 1, connection, up=False)]
        rig.check_account()


def test_every_segment_to_a_closed_server_is_answered_with_rst(tmp_path: Path) -> None:
    """The FIN and the first RST are lost; the retransmission of the data brings another one."""
    with Rig(topology(wan=link(20 * MS)), tmp_path) as rig:
        connection = answered(rig)
        rig.net.set("network.paths.cloud.downlink", Direction(20 * MS, loss=1.0), at_ns=1 * S)
        rig.net.close(connection, 1 * S, up=False, wakes=True)
        rig.send(connection, 5_000, at_ns=1 * S + 40 * MS)
        rig.net.set("network.paths.cloud.downlink", Direction(20 * MS), at_ns=1 * S + 100 * MS)
        (closed,) = rig.advance()
        assert isinstance(closed, Closed)
        # The data went out at 1.04 s; its tail loss probe leaves two round trips later.
        assert 1 * S + 160 * MS < closed.t_ns < 1 * S + 500 * MS
        rig.check_account()


@pytest.mark.parametrize("after_ms", [0, 10, 19])
def test_both_ends_close(tmp_path: Path, after_ms: int) -> None:
    """The UE closes before it sees the server's FIN: nobody is left, and one report says so."""
    with Rig(topology(wan=link(20 * MS)), tmp_path) as rig:
        connection = answered(rig)
        rig.net.close(connection, 1 * S, up=False, wakes=True)
        rig.send(connection, 100_000, wakes=True, at_ns=1 * S)
        rig.net.close(connection, 1 * S + after_ms * MS, up=True, wakes=False)
        rig.settle(5 * S)
        ends = [delivery for delivery in rig.seen if isinstance(delivery, Closed)]
        assert ends == [Closed(1 * S + after_ms * MS, connection, up=True)]
        rig.check_account()


def test_a_close_of_the_ue_on_its_way_comes_first(tmp_path: Path) -> None:
    with Rig(topology(wan=link(20 * MS)), tmp_path) as rig:
        connection = answered(rig)
        rig.net.close(connection, 1 * S, up=True, wakes=False)
        rig.net.close(connection, 1 * S + 10 * MS, up=False, wakes=True)
        rig.settle(5 * S)
        assert [delivery for delivery in rig.seen if isinstance(delivery, Closed)] == [
            Closed(1 * S + 20 * MS, connection, up=True)
        ]


@pytest.mark.parametrize("seed", range(4))
def test_the_account_adds_up_and_each_connection_ends_once(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    wan = link(15 * MS, rate_bps=20_000_000, jitter_ns=3 * MS, loss=0.03, queue_bytes=60_000)
    with Rig(topology(wan=wan, tls=seed % 2 == 0, seed=seed), tmp_path) as rig:
        open_: list[int] = []
        for _ in range(150):
            rig.settle(rig.now_ns + draw.randrange(60) * MS)
            choice = draw.random()
            if choice < 0.2 or not open_:
                open_.append(rig.open())
            elif choice < 0.5:
                # A server closes after an answer, so the handshakes are over.
                connected = {delivery.connection for delivery in rig.seen if isinstance(delivery, Connected)}
                up = draw.random() < 0.4
                connection = draw.choice(open_)
                if up or connection in connected:
                    rig.net.close(connection, rig.now_ns, up=up, wakes=draw.random() < 0.5)
            else:
                size, up = draw.choice([1, 300, 5_000, 200_000]), draw.random() < 0.7
                rig.send(draw.choice(open_), size, up=up, wakes=draw.random() < 0.5)
        for connection in open_:
            rig.net.close(connection, rig.now_ns, up=True, wakes=False)
        rig.settle(rig.now_ns + 120 * S)
        rig.check_account()
        ends = [delivery.connection for delivery in rig.seen if isinstance(delivery, Closed)]
        assert sorted(ends) == open_
