"""A packet's luck follows from what it is: paths of unequal length lose and delay the same segments."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosim.bridge.messages import Delivered, Direction, Link
from tests.fidelity.ns3_rig import MS, Rig, S, link, topology

pytestmark = pytest.mark.ns3

UES = tuple(f"ue{i}" for i in range(4))
TURNS = 100
GAP_NS = 250 * MS


def extras(directory: Path, delay_ns: int, *, jitter_ns: int = 0, loss: float = 0.0) -> dict[int, int]:
    """By message: the time that it took beyond the path's delay; uploads of some segments by four UEs in turn."""
    wan = Link(Direction(delay_ns, 50_000_000, jitter_ns, loss), Direction(delay_ns, loss=loss))
    with Rig(topology(ues=UES, access=link(2 * MS), wan=wan), directory) as rig:
        connections = [rig.open(ue) for ue in UES]
        rig.settle(1 * S)
        sent = {
            rig.send(connection, 6_000, wakes=False, at_ns=1 * S + turn * GAP_NS + number * 30 * MS): (turn, number)
            for turn in range(TURNS)
            for number, connection in enumerate(connections)
        }
        rig.settle(1 * S + (TURNS + 40) * GAP_NS)
        found = {
            delivery.message: delivery.t_ns - 1 * S - turn * GAP_NS - number * 30 * MS - delay_ns - 2 * MS
            for delivery in rig.seen
            if isinstance(delivery, Delivered)
            for turn, number in [sent[delivery.message]]
        }
    assert found.keys() == sent.keys()
    return found


def test_paths_of_unequal_length_lose_the_same_segments(tmp_path: Path) -> None:
    """A lost segment costs a round trip or more. Drawn in packets' order a fifth of the late ones are the same."""
    near, far = (extras(tmp_path, delay_ns, loss=0.02) for delay_ns in (20 * MS, 30 * MS))
    late = [
        {message for message, extra_ns in found.items() if extra_ns > delay_ns}
        for found, delay_ns in ((near, 20 * MS), (far, 30 * MS))
    ]
    assert len(late[0]) > 25
    assert len(late[0] & late[1]) > 0.75 * len(late[0] | late[1])


def test_paths_of_unequal_length_have_the_same_jitter(tmp_path: Path) -> None:
    near, far = (extras(tmp_path, delay_ns, jitter_ns=3 * MS) for delay_ns in (20 * MS, 30 * MS))
    same = sum(abs(near[message] - far[message]) < 10_000 for message in near)
    assert same > 0.9 * len(near)
    assert len(set(near.values())) > 0.5 * len(near)
