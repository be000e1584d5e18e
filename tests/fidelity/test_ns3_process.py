"""The ns-3 process: when it answers, that it repeats itself, how it fails, what it captures."""

from __future__ import annotations

import os
import signal
import struct
from pathlib import Path

import pytest

from cosim.bridge.errors import ChildError
from cosim.bridge.messages import Delivered, Delivery, Direction, Link, Opportunities
from tests.fidelity.ns3_rig import LATER, MS, Rig, S, link, topology

pytestmark = pytest.mark.ns3


def test_advance_returns_at_the_first_consequential_instant_with_all_of_it(tmp_path: Path) -> None:
    with Rig(topology(ues=("a", "b", "c"), access=link(5 * MS), wan=link(20 * MS)), tmp_path) as rig:
        a, b, c = rig.open("a"), rig.open("b"), rig.open("c")
        rig.settle(1 * S)
        first = rig.send(a, 300)
        same = rig.send(b, 300, wakes=False)
        rig.send(c, 300, at_ns=1 * S + 1)
        arrived = rig.advance()
        assert rig.now_ns == 1 * S + 25 * MS + 1
        assert [(d.t_ns, d.message) for d in arrived if isinstance(d, Delivered)] == [
            (rig.now_ns, first),
            (rig.now_ns, same),
        ]


def test_advance_executes_the_instant_of_its_limit(tmp_path: Path) -> None:
    with Rig(topology(wan=link(20 * MS)), tmp_path) as rig:
        connection = rig.open()
        rig.settle(1 * S)
        message = rig.send(connection, 300)
        assert rig.advance(1 * S + 20 * MS) == []
        arrived = rig.advance(1 * S + 20 * MS + 1)
        assert [d.message for d in arrived if isinstance(d, Delivered)] == [message]


def test_without_anything_consequential_work_is_put_off(tmp_path: Path) -> None:
    with Rig(topology(wan=link(20 * MS)), tmp_path) as rig:
        connection = rig.open()
        rig.settle(1 * S)
        wall_ns = rig.net.wall_ns
        chunks = [rig.send(connection, 300, up=False, wakes=False, at_ns=1 * S + i * 10 * MS) for i in range(5)]
        assert rig.advance(2 * S) == []
        assert rig.now_ns == 2 * S
        assert rig.net.wall_ns == wall_ns
        # The end of the answer is consequential: it brings the chunks along, each with its own time.
        last = rig.send(connection, 300, up=False)
        arrived = [d for d in rig.advance() if isinstance(d, Delivered)]
        assert [d.message for d in arrived] == [*chunks, last]
        assert [d.t_ns for d in arrived] == [1 * S + i * 10 * MS + 20 * MS + 1 for i in range(5)] + [
            2 * S + 20 * MS + 1
        ]


def test_settle_executes_what_was_put_off(tmp_path: Path) -> None:
    with Rig(topology(wan=link(20 * MS)), tmp_path) as rig:
        connection = rig.open()
        message = rig.send(connection, 300, wakes=False)
        assert rig.advance(1 * S) == []
        assert [d.message for d in rig.net.settle(1 * S) if isinstance(d, Delivered)] == [message]
        assert rig.net.settle(1 * S) == []


def test_the_account_leaves_no_delivery_behind(tmp_path: Path) -> None:
    with Rig(topology(wan=link(20 * MS)), tmp_path) as rig:
        connection = rig.open()
        message = rig.send(connection, 300, wakes=False)
        rig.advance(1 * S)
        assert rig.net.account().connections[0].delivered == 300
        assert [d.message for d in rig.advance(2 * S) if isinstance(d, Delivered)] == [message]


def busy_run(tmp_path: Path, seed: int) -> list[Delivery]:
    wan = link(20 * MS, rate_bps=30_000_000, jitter_ns=2 * MS, loss=0.01)
    with Rig(topology(ues=("a", "b"), wan=wan, tls=True, seed=seed), tmp_path) as rig:
        connections = [rig.open("a"), rig.open("b")]
        for i in range(6):
            for connection in connections:
                rig.send(connection, 80_000, wakes=i == 5, at_ns=i * 300 * MS)
                rig.send(connection, 400, up=False, wakes=False, at_ns=i * 300 * MS + 100 * MS)
        rig.settle(20 * S)
        return rig.seen


def test_the_same_seed_gives_the_same_run(tmp_path: Path) -> None:
    first = busy_run(tmp_path, 3)
    assert first == busy_run(tmp_path, 3)
    assert first != busy_run(tmp_path, 4)


def test_a_killed_process_is_an_error(tmp_path: Path) -> None:
    with Rig(topology(wan=link(20 * MS)), tmp_path) as rig:
        connection = rig.open()
        rig.send(connection, 300)
        os.kill(rig.net.pid, signal.SIGKILL)
        with pytest.raises(ChildError, match="ns-3 network was killed by SIGKILL"):
            rig.advance(LATER)


def test_a_silent_process_is_an_error(tmp_path: Path) -> None:
    with Rig(topology(wan=link(20 * MS)), tmp_path) as rig:
        rig.send(rig.open(), 300)
        os.kill(rig.net.pid, signal.SIGSTOP)
        rig.net._limit_s = 0.2
        with pytest.raises(ChildError, match="silent"):
            rig.advance(LATER)


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (topology(wan=link(-1)), "delay must be"),
        (topology(wan=link(0, loss=1.5)), "loss must be"),
        (topology(access=link(0, rate_bps=0)), "rate_bps"),
        (topology(wan=Link(Direction(0), Direction(0, jitter_shape=0.0))), "paths.cloud: jitter's shape must be"),
        (topology(core=Link(Direction(0, opportunities=Opportunities((2, 1), 3)), Direction(0))), "core: .* in order"),
        (topology(ues=()), "UEs"),
        (topology(ues=("a", "a")), "two UEs are named a"),
        (topology(mtu_bytes=40), "mtu"),
        (topology(congestion_control="vegas"), "cubic or bbr"),
    ],
)
def test_values_that_ns3_would_abort_on_are_refused(tmp_path: Path, made: object, text: str) -> None:
    with pytest.raises(ChildError, match=text), Rig(made, tmp_path):  # type: ignore[arg-type]
        pass


def test_unknown_names_are_refused(tmp_path: Path) -> None:
    with Rig(topology(), tmp_path) as rig:
        rig.net.set("network.paths.moon.uplink", Direction(1), at_ns=0)
        with pytest.raises(ChildError, match=r"no link is named paths\.moon"):
            rig.net.settle(1)


def test_captures_can_be_read(tmp_path: Path) -> None:
    directory = tmp_path / "pcap"
    with Rig(topology(wan=link(20 * MS), pcap_directory=directory), tmp_path) as rig:
        rig.transfer(rig.open(), 5_000)
        rig.settle(1 * S)
        counters = {(c.link, c.up): c for c in rig.net.account().links}
    files = {file.name: file.read_bytes() for file in directory.iterdir()}
    assert set(files) == {"ue-ue.pcap", "router.pcap", "core.pcap", "server-cloud.pcap"}
    data = files["server-cloud.pcap"]
    magic, major, minor, _, _, snap_bytes, link_type = struct.unpack_from("<IHHiIII", data)
    assert (magic, major, minor, link_type) == (0xA1B23C4D, 2, 4, 101)  # nanoseconds, LINKTYPE_RAW
    offset, packets, payload = 24, 0, 0
    while offset < len(data):
        _, _, captured, original = struct.unpack_from("<IIII", data, offset)
        packet = data[offset + 16 : offset + 16 + captured]
        assert captured == original <= snap_bytes
        assert packet[0] == 0x45
        assert struct.unpack_from(">H", packet, 2)[0] == captured
        payload += max(0, captured - 52) if packet[12] == 10 else 0
        offset += 16 + captured
        packets += 1
    assert offset == len(data)
    assert packets == counters["paths.cloud", True].packets + counters["paths.cloud", False].packets
    assert 5_000 <= payload <= 5_010
