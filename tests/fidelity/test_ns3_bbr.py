"""BBR over ns-3 beside BBR v1 of Linux 6.18 (kernel sockets in two namespaces, default sysctls, MTU 1500)."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from cosim.bridge.messages import Delivered, Direction, Link
from tests.fidelity.ns3_rig import MS, Rig, S, topology

pytestmark = pytest.mark.ns3

KB = 1_000
MB = 1_000_000


def bbr_rig(
    tmp_path: Path, rate_mbps: int, delay_ms: int, *, queue_bytes: int | None = None, loss: float = 0.0, seed: int = 1
) -> Rig:
    """One link, both ways alike but for the queue and the loss, which are the uplink's."""
    delay_ns, rate_bps = delay_ms * MS, rate_mbps * MB
    up = Direction(delay_ns, rate_bps, loss=loss, queue_bytes=queue_bytes)
    wan = Link(up, Direction(delay_ns, rate_bps))
    return Rig(topology(wan=wan, mtu_bytes=1500, congestion_control="bbr", seed=seed), tmp_path)


def exchange_ms(rig: Rig, connection: int, n_bytes: int) -> float:
    """Upload and 1 kB reply."""
    start_ns = rig.now_ns
    rig.transfer(connection, n_bytes)
    return (rig.transfer(connection, KB, up=False).t_ns - start_ns) / MS


def periodic_ms(rig: Rig, n_bytes: int, *, messages: int = 6) -> list[float]:
    """Every 0.5 s on a new connection."""
    connection = rig.open()
    rig.settle(S)
    times = []
    for _ in range(messages):
        start_ns = rig.now_ns
        times.append(exchange_ms(rig, connection, n_bytes))
        rig.settle(max(start_ns + 500 * MS, rig.now_ns))
    return times


def spaced_ms(rig: Rig, sizes: list[int], *, gap_ms: int) -> list[float]:
    """On a new connection, with a gap from each reply to the next message."""
    connection = rig.open()
    rig.settle(S)
    times = []
    for n_bytes in sizes:
        times.append(exchange_ms(rig, connection, n_bytes))
        rig.settle(rig.now_ns + gap_ms * MS)
    return times


@pytest.mark.parametrize(
    ("rate_mbps", "delay_ms", "n_bytes", "linux_ms"),
    [
        (50, 22, 100 * KB, [183, 75.6, 70.0, 68.3, 67.6, 67.3]),
        (50, 22, 150 * KB, [208, 76.5, 70.7, 69.8, 69.5, 69.6]),
        (50, 22, 300 * KB, [255, 94.5, 94.7, 94.6, 94.7, 94.9]),
        (20, 40, 100 * KB, [332, 137, 127, 124, 123, 122.4]),
        (20, 40, 150 * KB, [378, 143.3, 143.5, 143.5, 143.4, 143.5]),
        (20, 40, 300 * KB, [463, 205.5, 205.6, 205.6, 205.7, 205.7]),
        (100, 10, 100 * KB, [83.7, 34.5, 31.6, 30.6, 30.3, 30.1]),
        (30, 80, 150 * KB, [747.7, 276.0, 255.0, 247.8, 245.6, 244.8]),
    ],
)
def test_periodic_messages_take_as_long_as_on_linux(
    tmp_path: Path, rate_mbps: int, delay_ms: int, n_bytes: int, linux_ms: list[float]
) -> None:
    with bbr_rig(tmp_path, rate_mbps, delay_ms) as rig:
        assert periodic_ms(rig, n_bytes) == pytest.approx(linux_ms, rel=0.03)


@pytest.mark.parametrize(
    ("rate_mbps", "delay_ms", "n_bytes", "gap_ms", "linux_ms"),
    [
        (50, 22, 100 * KB, 50, 61.1),
        (50, 22, 150 * KB, 50, 69.5),
        (50, 22, 300 * KB, 50, 94.4),
        (20, 40, 100 * KB, 50, 122.4),
        (20, 40, 150 * KB, 50, 143.2),
        (20, 40, 300 * KB, 50, 205.3),
        (50, 22, 150 * KB, 1_000, 69.5),
    ],
)
def test_messages_after_1500_kb_take_as_long_as_on_linux(
    tmp_path: Path, rate_mbps: int, delay_ms: int, n_bytes: int, gap_ms: int, linux_ms: float
) -> None:
    with bbr_rig(tmp_path, rate_mbps, delay_ms) as rig:
        times = spaced_ms(rig, [1_500 * KB] + [n_bytes] * 3, gap_ms=gap_ms)
    if rate_mbps == 50:
        assert times[0] == pytest.approx(457, rel=0.02)
    assert times[1:] == pytest.approx([linux_ms] * 3, rel=0.02)


@pytest.mark.parametrize(
    ("rate_mbps", "delay_ms", "queue_bytes", "loss", "n_bytes", "linux_ms"),
    [
        (20, 40, None, 0.0, 5 * MB, [2_418, 2_166]),
        (50, 22, 150 * KB, 0.0, 10 * MB, [1_940, 1_758]),
        (50, 22, 60 * KB, 0.0, 10 * MB, [1_986, 1_838]),
        (20, 40, 50 * KB, 0.0, 3 * MB, [1_618, 1_342]),
        (20, 40, None, 0.01, 5 * MB, [2_620, 2_254]),
    ],
)
def test_long_transfers_get_as_much_as_on_linux(
    tmp_path: Path,
    rate_mbps: int,
    delay_ms: int,
    queue_bytes: int | None,
    loss: float,
    n_bytes: int,
    linux_ms: list[float],
) -> None:
    with bbr_rig(tmp_path, rate_mbps, delay_ms, queue_bytes=queue_bytes, loss=loss) as rig:
        assert spaced_ms(rig, [n_bytes] * 2, gap_ms=100) == pytest.approx(linux_ms, rel=0.10)


def test_a_flow_that_never_pauses_probes_the_round_trip_time_after_10_s(tmp_path: Path) -> None:
    with bbr_rig(tmp_path, 10, 20) as rig:
        connection = rig.open()
        rig.settle(S)
        messages = [rig.send(connection, 50 * KB, wakes=False) for _ in range(300)]
        rig.settle(15 * S)
        arrivals = {d.message: d.t_ns for d in rig.seen if isinstance(d, Delivered)}
    times = [arrivals[message] for message in messages]
    gaps = [(at_ns, (at_ns - before_ns) / MS) for before_ns, at_ns in itertools.pairwise(times)]
    slow = [at_ns for at_ns, gap_ms in gaps if gap_ms > 100]
    # 50 kB take 42 ms at 10 Mb/s, but longer while no more than four segments are in flight, and until they are again.
    assert slow
    assert all(10.9 * S < at_ns < 11.6 * S for at_ns in slow)


def test_a_flow_with_pauses_finds_the_round_trip_time_without_probing(tmp_path: Path) -> None:
    with bbr_rig(tmp_path, 10, 20) as rig:
        # Three round trips each, so that four segments in flight would show; after 10 s it is in a pause.
        times = spaced_ms(rig, [300 * KB] * 20, gap_ms=560)[3:]
    assert max(times) < 1.02 * min(times)


def test_answers_are_not_held_back_by_what_arrives_before_them(tmp_path: Path) -> None:
    with bbr_rig(tmp_path, 50, 22) as rig:
        connection = rig.open()
        rig.settle(S)
        times = []
        for _ in range(25):
            request = rig.transfer(connection, 50 * KB)
            times.append((rig.transfer(connection, 100 * KB, up=False).t_ns - request.t_ns) / MS)
            rig.settle(rig.now_ns + 400 * MS)
    assert max(times[5:]) < 1.02 * min(times[5:])


def test_a_seed_settles_the_gain_cycle(tmp_path: Path) -> None:
    def transfers(seed: int) -> list[float]:
        with bbr_rig(tmp_path, 10, 20, queue_bytes=30 * KB, seed=seed) as rig:
            return spaced_ms(rig, [MB] * 3, gap_ms=0)

    first = transfers(1)
    assert transfers(1) == first
    assert any(transfers(seed) != first for seed in range(2, 6))
