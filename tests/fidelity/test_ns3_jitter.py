"""Gamma-distributed extra delay of the ns-3 links: moments and quantiles by shape, and draws that stay in step."""

from __future__ import annotations

import math
from itertools import groupby
from pathlib import Path
from statistics import mean, pvariance

import pytest
from scipy.stats import gamma

from cosim.bridge.messages import Delivered, Direction, GilbertElliott, Link
from tests.fidelity.ns3_rig import MS, Rig, S, link, topology

pytestmark = pytest.mark.ns3

COUNT = 1500


def one_way(value: Direction) -> Link:
    """A link of the value towards the server, and of its delay alone towards the UE."""
    return Link(value, Direction(value.delay_ns))


def extras(directory: Path, *values: Direction) -> list[list[int]]:
    """Delays of small messages beyond the fixed ones, by link: access, core and WAN."""
    access, core, wan = (one_way(value) for value in values)
    with Rig(topology(access=access, core=core, wan=wan), directory) as rig:
        hops = [delivered.hops_ns for delivered in rig.spaced(COUNT)]
    return [[hop[i] - value.delay_ns for hop in hops] for i, value in enumerate(values)]


@pytest.fixture(scope="module")
def exponential(tmp_path_factory: pytest.TempPathFactory) -> list[list[int]]:
    value = Direction(5 * MS, jitter_ns=2 * MS)
    return extras(tmp_path_factory.mktemp("exponential"), value, value, value)


def test_a_shape_has_its_mean_variance_and_quantiles(tmp_path: Path, exponential: list[list[int]]) -> None:
    shapes = (0.5, 1.0, 9.0)
    found = extras(tmp_path, *(Direction(5 * MS, jitter_ns=2 * MS, jitter_shape=shape) for shape in shapes))
    for shape, delays, before in zip(shapes, found, exponential, strict=True):
        assert mean(delays) == pytest.approx(2 * MS, rel=0.1)
        assert pvariance(delays) == pytest.approx((2 * MS) ** 2 / shape, rel=0.2)
        # The same uniform numbers, through the other distribution's quantiles.
        known = [i for i, delay in enumerate(before) if delay > 20_000]  # A whole ns is too coarse for smaller ones.
        shares = [-math.expm1(-before[i] / (2 * MS)) for i in known]
        assert [delays[i] for i in known] == pytest.approx(gamma.ppf(shares, shape, scale=2 * MS / shape), abs=20)
        assert len(known) > 0.95 * COUNT
    assert found[1] == exponential[1]


def test_another_mean_delay_or_loss_leaves_the_draws(tmp_path: Path, exponential: list[list[int]]) -> None:
    never_lost = GilbertElliott(0.1, 0.3, loss_bad=0.0)
    found = extras(
        tmp_path,
        Direction(5 * MS, jitter_ns=1 * MS),
        Direction(9 * MS, jitter_ns=2 * MS),
        Direction(5 * MS, 1_000_000_000, 2 * MS, burst_loss=never_lost),
    )
    assert [2 * delay for delay in found[0]] == pytest.approx(exponential[0], abs=2)
    assert found[1] == exponential[1]
    transmission_ns = (100 + 52) * 8
    assert [delay - transmission_ns for delay in found[2]] == exponential[2]


def test_draws_happen_while_there_is_no_jitter(tmp_path: Path, exponential: list[list[int]]) -> None:
    quiet, jittery = (one_way(Direction(5 * MS, jitter_ns=mean_ns)) for mean_ns in (0, 2 * MS))
    with Rig(topology(access=quiet, core=jittery, wan=jittery), tmp_path) as rig:
        # Messages leave each 50 ms from 1 s on, the fixture's too: twenty before the change.
        rig.net.set("network.access.uplink", jittery.uplink, at_ns=2 * S)
        hops = [delivered.hops_ns for delivered in rig.spaced(40)]
    delays = [hop[0] - 5 * MS for hop in hops]
    assert delays == [0] * 20 + exponential[0][20:40]


def test_a_draw_is_held_for_all_packets_of_a_window(tmp_path: Path) -> None:
    """Two UEs' messages, 10 ms apart, in windows of a second; the windows of two links begin at other times."""
    value = one_way(Direction(5 * MS, jitter_ns=2 * MS, jitter_shape=2, jitter_hold_ns=1 * S))
    seconds, per_second = 60, 100
    with Rig(topology(ues=("a", "b"), access=link(5 * MS), core=value, wan=value), tmp_path) as rig:
        connections = [rig.open(ue) for ue in ("a", "b")]
        rig.settle(1 * S)
        sent = [
            rig.send(connections[i % 2], 100, wakes=False, at_ns=1 * S + i * S // per_second)
            for i in range(seconds * per_second)
        ]
        rig.settle((seconds + 5) * S)
    hops = {delivery.message: delivery.hops_ns for delivery in rig.seen if isinstance(delivery, Delivered)}
    changes = []
    for hop in (1, 2):
        extras = [hops[message][hop] - 5 * MS for message in sent]
        runs = [len(list(group)) for _, group in groupby(extras)]
        assert mean(sorted(runs)[-seconds + 2 :]) == pytest.approx(per_second, abs=2)
        assert mean(extras) == pytest.approx(2 * MS, rel=0.3)
        changes.append(runs[0] % per_second)
    assert changes[0] != changes[1]


def test_small_shapes_never_shorten_and_packets_never_overtake(tmp_path: Path) -> None:
    wan = one_way(Direction(20 * MS, jitter_ns=10 * MS, jitter_shape=0.2))
    with Rig(topology(access=link(5 * MS), wan=wan), tmp_path) as rig:
        # In one connection TCP would put right what overtakes.
        connections = [rig.open() for _ in range(20)]
        rig.settle(1 * S)
        messages = [rig.send(connections[i % 20], 100, wakes=False, at_ns=1 * S + i * MS) for i in range(400)]
        rig.settle(5 * S)
    delivered = [delivery for delivery in rig.seen if isinstance(delivery, Delivered)]
    assert [delivery.message for delivery in delivered] == messages
    assert min(delivery.hops_ns[2] for delivery in delivered) >= 20 * MS
    assert len({delivery.t_ns for delivery in delivered}) < 0.5 * len(messages)
