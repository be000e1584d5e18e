"""Gilbert-Elliott loss on the ns-3 links, packet by packet from the captures of both ends of a link."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import groupby, pairwise
from pathlib import Path
from statistics import mean

import pytest

from cosim.bridge.messages import Direction, GilbertElliott, Link
from tests.fidelity.ns3_rig import MS, Rig, S, link, topology

pytestmark = pytest.mark.ns3

UPWARDS = 10  # first byte of a UE's address


def upward_packets(capture: Path) -> Iterator[bytes]:
    """Source, ports and IPv4 identification of every packet of a UE, in order; a router shows each twice."""
    data, offset = capture.read_bytes(), 24
    while offset < len(data):
        (captured,) = struct.unpack_from("<I", data, offset + 8)
        packet = data[offset + 16 : offset + 16 + captured]
        if packet[12] == UPWARDS:
            yield packet[12:16] + packet[20:24] + packet[4:6]
        offset += 16 + captured


def losses(directory: Path, core: Direction, n_bytes: int, seed: int = 1) -> list[bool]:
    """Whether each packet over the core's uplink was lost, for eight UEs that send at once; the account is checked."""
    ues = [f"ue{i}" for i in range(8)]
    made = topology(ues=ues, access=link(10 * MS), core=Link(core, Direction(0)), seed=seed, pcap_directory=directory)
    with Rig(made, directory) as rig:
        connections = [rig.open(ue) for ue in ues]
        for message in [rig.send(connection, n_bytes) for connection in connections]:
            rig.delivered(message)
        rig.settle(rig.now_ns + 1 * S)
        rig.check_account()
        counters = rig.link("core")
    entered = list(dict.fromkeys(upward_packets(directory / "router.pcap")))
    left = set(upward_packets(directory / "core.pcap"))
    lost = [packet not in left for packet in entered]
    assert (counters.packets, counters.dropped_loss) == (len(lost), sum(lost))
    return lost


def test_gilberts_bursts_have_the_rate_and_the_mean_length_of_the_formulas(tmp_path: Path) -> None:
    lost = losses(tmp_path, Direction(0, burst_loss=GilbertElliott(0.04, 0.4)), 600_000)
    bursts = [len(list(group)) for is_lost, group in groupby(lost) if is_lost]
    # The stationary share of the bad state is p / (p + r), and the state is bad for 1 / r packets on average.
    assert mean(lost) == pytest.approx(0.04 / 0.44, rel=0.15)
    assert mean(bursts) == pytest.approx(1 / 0.4, rel=0.15)
    assert len(bursts) > 100


def test_elliotts_states_lose_their_shares(tmp_path: Path) -> None:
    value = GilbertElliott(0.02, 0.1, loss_good=0.01, loss_bad=0.4)
    lost = losses(tmp_path, Direction(0, burst_loss=value), 600_000)
    assert mean(lost) == pytest.approx((0.1 * 0.01 + 0.02 * 0.4) / 0.12, rel=0.15)
    # After a loss the state is more often the bad one.
    after = [following for before, following in pairwise(lost) if before]
    assert mean(after) > 2 * mean(lost)


def test_a_packet_is_lost_by_the_state_that_it_finds(tmp_path: Path) -> None:
    lost = losses(tmp_path, Direction(0, burst_loss=GilbertElliott(1.0, 1.0)), 500)
    assert lost == [i % 2 == 1 for i in range(len(lost))]


def test_bursts_leave_the_draws_of_independent_loss(tmp_path: Path) -> None:
    """What either loses is lost, and the one's draws do not move the other's."""
    alone, beside = tmp_path / "alone", tmp_path / "beside"
    alone.mkdir()
    beside.mkdir()
    without = losses(alone, Direction(0, loss=0.05), 20_000)
    bursts = losses(beside, Direction(0, loss=0.05, burst_loss=GilbertElliott(0.05, 0.5)), 20_000)
    both = list(zip(without, bursts, strict=False))
    assert all(second for first, second in both if first)
    assert any(second and not first for first, second in both)
