"""Jitter of the network's double: its distributions, and that their draws stay in step."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy.stats import gamma, kstest

from cosim.bridge.messages import Delivered
from tests.unit.test_pipe import FAR, MS, both, pipe

S = 1_000 * MS


def jitters_ms(n: int, **values: Any) -> list[float]:
    """Extra delays of messages that are far apart, so that none waits for another."""
    network = pipe(access=both(delay_ns=0), core=both(delay_ns=0), edge=both(delay_ns=0, **values))
    network.open(1, "u", "edge", 0)
    for number in range(n):
        network.send(1, number, 100, (number + 1) * 1000 * S, up=True, wakes=True)
    arrived: list[Delivered] = []
    while len(arrived) < n:
        arrived += [d for d in network.advance(FAR * 1000)[1] if isinstance(d, Delivered)]
    return [sum(delivery.hops_ns) / MS for delivery in arrived]


@pytest.mark.parametrize("shape", [0.1, 0.5, 4])
def test_gamma_jitter_has_its_distribution(shape: float) -> None:
    """Kolmogorov-Smirnov against scipy's gamma above 1 us, since delays are whole ns; the seed is fixed."""
    least_ms, expected = 0.001, gamma(shape, scale=20 / shape)
    below = expected.cdf(least_ms)
    found = np.array(jitters_ms(2000, jitter_ns=20 * MS, jitter_shape=shape))
    assert (found <= least_ms).mean() == pytest.approx(below, abs=0.03)
    above = found[found > least_ms]
    assert kstest(above, lambda ms: (expected.cdf(ms) - below) / (1 - below)).pvalue > 0.01


def test_shape_1_is_the_exponential_as_ever() -> None:
    draws = np.random.Generator(np.random.PCG64(np.random.SeedSequence([1, 2, True, 1, 1])))
    expected = [round(draws.exponential(20 * MS)) / MS for _ in range(50)]
    assert jitters_ms(50, jitter_ns=20 * MS) == jitters_ms(50, jitter_ns=20 * MS, jitter_shape=1.0) == expected


def test_shapes_and_means_take_the_same_draws() -> None:
    """One uniform for each message: the ranks of the delays are the same."""
    one, other = (jitters_ms(100, jitter_ns=mean * MS, jitter_shape=shape) for mean, shape in ((1, 3), (9, 0.5)))
    assert np.argsort(one).tolist() == np.argsort(other).tolist()


def test_a_ues_connection_keeps_its_draws_whatever_others_do_before() -> None:
    """So two runs stay paired where a longer path changes the order among clients."""

    def delays(*order: str) -> dict[int, int]:
        network = pipe(
            ues=("a", "b"), access=both(delay_ns=0), core=both(delay_ns=0), edge=both(delay_ns=0, jitter_ns=20 * MS)
        )
        for connection, ue in enumerate(order, 1):
            network.open(connection, ue, "edge", 0)
        for turn, ue in enumerate(order, 1):
            network.send(turn, ord(ue), 100, turn * 1000 * S, up=True, wakes=True)
        arrived: list[Delivered] = []
        while len(arrived) < 2:
            arrived += [d for d in network.advance(FAR * 1000)[1] if isinstance(d, Delivered)]
        return {delivery.message: sum(delivery.hops_ns) for delivery in arrived}

    assert delays("a", "b") == delays("b", "a")


def test_a_draw_is_held_for_all_of_a_window() -> None:
    values = {"jitter_ns": 20 * MS, "jitter_shape": 2.0, "jitter_hold_ns": 100 * MS}
    network = pipe(access=both(delay_ns=0), core=both(delay_ns=0), edge=both(delay_ns=300 * MS, **values))
    for connection in (1, 2):
        network.open(connection, "u", "edge", 0)
    for number in range(3000):
        network.send(1 + number % 2, number, 100, 10 * S + number * MS, up=True, wakes=True)
    arrived: list[Delivered] = []
    while len(arrived) < 3000:
        arrived += [d for d in network.advance(FAR * 1000)[1] if isinstance(d, Delivered)]
    # Packets never overtake: after a large draw the first of the next window wait.
    extras = [sum(d.hops_ns) - 300 * MS for d in sorted(arrived, key=lambda delivery: delivery.message)]
    lasting = [extra for extra, following in pairwise(extras) if extra == following]
    assert len(lasting) > 0.7 * len(extras)
    assert len(set(lasting)) == pytest.approx(30, abs=3)
    assert kstest([extra / MS for extra in set(lasting)], gamma(2, scale=10).cdf).pvalue > 0.01
