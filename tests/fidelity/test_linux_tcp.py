"""ns-3's TCP beside the kernel's own, at points drawn by a seed (the rows of Linux's table are not among them)."""

from __future__ import annotations

import os
import random
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.tcp_rig import on_linux, on_ns3
from benchmarks.tcp_rig.exchange import Exchange
from cosim.clock import NS_PER_MS

LACK = on_linux.missing()
pytestmark = [
    pytest.mark.ns3,
    pytest.mark.linux_tcp,
    pytest.mark.skipif(LACK is not None, reason=LACK or ""),
]

# A measurement whose link was later than this is not of Linux alone.
LATEST_MS = 2.0
ATTEMPTS = 5


def drawn(seed: int) -> Exchange:
    """A path on which no detail of timing decides: 8-60 Mbit/s, 15-60 ms one way, no queue limit."""
    draw = random.Random(seed)
    pause: dict[str, object] = draw.choice(
        [
            {"period_ns": 500 * NS_PER_MS},
            {"gaps_ns": (50 * NS_PER_MS, 300 * NS_PER_MS, 700 * NS_PER_MS)},
            {"gaps_ns": (20 * NS_PER_MS,), "warmup_bytes": 1_500_000},
        ]
    )
    made = Exchange(
        rate_bps=draw.randrange(8, 60) * 1_000_000,
        delay_ns=draw.randrange(15, 60) * NS_PER_MS,
        size_bytes=draw.randrange(60, 300) * 1_000,
        messages=3,
        idle_restart=draw.random() < 0.75,
    )
    return replace(made, **pause)  # type: ignore[arg-type]


def agrees(ours_ms: list[float], exchange: Exchange, share: float) -> None:
    """Assert that the kernel takes as long, within the larger of 5 ms and a share.

    Other programs can disturb the kernel's ends without making the link late, so of several measurements one has to
    agree. Skips where the machine never leaves the link alone.
    """
    least_late_ms, off = float("inf"), ""
    for _ in range(ATTEMPTS):
        measured = on_linux.measure(exchange)
        least_late_ms = min(least_late_ms, max(measured.late_ms))
        if max(measured.late_ms) > LATEST_MS:
            continue
        pairs = list(zip(ours_ms, measured.message_ms, strict=True))
        if all(ours == pytest.approx(kernels, abs=max(5, share * kernels)) for ours, kernels in pairs):
            return
        off += f"ours, the kernel's: {pairs}\n"
    if not off:
        pytest.skip(f"the machine disturbed each of {ATTEMPTS} measurements; the least late by {least_late_ms:.1f} ms")
    pytest.fail(f"{exchange}\n{off}")


@pytest.mark.parametrize("seed", range(4))
def test_a_clean_path_takes_as_long_as_on_this_kernel(tmp_path: Path, seed: int) -> None:
    exchange = drawn(seed)
    agrees(on_ns3.measure(exchange, tmp_path), exchange, 0.05)


@pytest.mark.parametrize("where", ["middle", "last", "reply"])
def test_a_lost_segment_costs_as_much_as_on_this_kernel(tmp_path: Path, where: str) -> None:
    exchange = replace(drawn(len(where)), warmup_bytes=0, period_ns=None, gaps_ns=(50 * NS_PER_MS,))
    last = exchange.segments(exchange.size_bytes)
    exchange = replace(
        exchange, drop={"middle": last // 2, "last": last}.get(where, 0), drop_reply=1 if where == "reply" else 0
    )
    whole_ms = on_ns3.measure(replace(exchange, drop=0, drop_reply=0), tmp_path)
    ours_ms = on_ns3.measure(exchange, tmp_path)
    assert ours_ms[0] > whole_ms[0]
    agrees(ours_ms, exchange, 0.1)  # The kernel's timers fire up to 32 ms late.


def test_the_rig_leaves_nothing_behind() -> None:
    def left() -> tuple[set[str], set[str]]:
        return set(os.listdir("/sys/class/net")), set(
            os.listdir("/var/run/netns") if Path("/var/run/netns").exists() else []
        )

    before = left()
    exchange = replace(drawn(0), size_bytes=5_000, messages=1, period_ns=None, gaps_ns=(0,), warmup_bytes=0, drop=1)
    assert on_linux.measure(exchange).dropped == 1
    assert left() == before
