"""Traffic of background UEs."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from tests.nr.rig import Cpp, CppError

MS = 1_000_000
S = 1_000 * MS
FULL_BUFFER, CONSTANT_RATE, POISSON_BURSTS = range(3)

SOURCE = """
def source(stream="cell/ul", seed=1, buffer_bytes=4000000, t=0, present=True, **fields):
    made = nr.TrafficSource(stream, seed, buffer_bytes)
    set_to(made, t, present, **fields)
    return made

def set_to(made, t, present=True, **fields):
    config = nr.TrafficConfig()
    for key, value in fields.items():
        setattr(config, key, value)
    made.Set(t, present, config)

def packets(made, until):
    found = []
    while made.NextNs() < until:
        t = made.NextNs()
        assert made.AvailableBytes(t - 1) == 0
        found.append([t, made.AvailableBytes(t)])
        assert made.Take(t, 10**12) == found[-1][1]
    return found
"""


def run(cpp: Cpp, code: str, **values: Any) -> Any:
    return cpp.run(SOURCE + code, **values)


def arrivals(cpp: Cpp, until: int, **source: Any) -> list[list[int]]:
    """Time and bytes of each packet."""
    found: list[list[int]] = run(
        cpp, "result = packets(source(**values['source']), values['until'])", until=until, source=source
    )
    return found


def test_a_full_buffer_never_ends(cpp: Cpp) -> None:
    code = """
made = source(kind=0)
result = [made.AvailableBytes(0), made.Take(0, 70000), made.Take(10**9, 70000), made.AvailableBytes(10**9)]
result += [made.NextNs() == nr.kNever]
"""
    assert run(cpp, code) == [10**9, 70_000, 70_000, 10**9, True]


def test_there_is_nothing_before_it_is_set_or_when_absent_or_at_rate_0(cpp: Cpp) -> None:
    code = """
sources = [nr.TrafficSource("a", 1, 1000), source(present=False, kind=0), source(present=False, kind=1, rate_bps=9)]
sources += [source(kind=1, rate_bps=0), source(kind=2, rate_bps=0, burst_bytes=9)]
result = [[made.AvailableBytes(10**12), made.Take(10**12, 5), made.NextNs() == nr.kNever] for made in sources]
"""
    assert run(cpp, code) == [[0, 0, True]] * 5


def test_constant_bit_rate_is_packets_in_equal_distances(cpp: Cpp) -> None:
    """3 Mbit/s in 1,000 B: a packet each 8/3 ms, without a drift."""
    found = arrivals(cpp, 30 * S, kind=CONSTANT_RATE, rate_bps=3_000_000, burst_bytes=1_000)
    assert len(found) == 30 * 375
    assert {n_bytes for _, n_bytes in found} == {1_000}
    first = found[0][0]
    assert 0 <= first < 8 * MS // 3
    assert [t for t, _ in found] == [first + 8 * MS * k // 3 for k in range(len(found))]


def test_constant_bit_rate_has_packets_of_its_own_size(cpp: Cpp) -> None:
    assert arrivals(cpp, S, kind=CONSTANT_RATE, rate_bps=11_200)[0][1] == 1_400


def test_sources_do_not_start_together(cpp: Cpp) -> None:
    starts = {
        arrivals(cpp, S, stream=f"ue{k}/dl", kind=CONSTANT_RATE, rate_bps=80_000, burst_bytes=1_000)[0][0]
        for k in range(20)
    }
    assert len(starts) == 20
    assert max(starts) - min(starts) > 50 * MS


def test_poisson_bursts_make_up_the_rate_in_exponential_distances(cpp: Cpp) -> None:
    found = arrivals(cpp, 200 * S, kind=POISSON_BURSTS, rate_bps=12_000_000, burst_bytes=15_000)
    assert {n_bytes for _, n_bytes in found} == {15_000}
    gaps = [b[0] - a[0] for a, b in itertools.pairwise(found)]
    mean = sum(gaps) / len(gaps)
    assert mean == pytest.approx(10 * MS, rel=0.03)
    deviation = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    assert deviation == pytest.approx(mean, rel=0.03)
    assert sum(gap > mean for gap in gaps) / len(gaps) == pytest.approx(0.368, abs=0.01)
    both = sum(a > mean and b > mean for a, b in itertools.pairwise(gaps)) / len(gaps)
    assert both == pytest.approx(0.368**2, abs=0.01)


def test_the_same_stream_and_seed_give_the_same_bursts(cpp: Cpp) -> None:
    bursts = {"kind": POISSON_BURSTS, "rate_bps": 12_000_000, "burst_bytes": 15_000}
    drawn = [
        arrivals(cpp, 5 * S, stream=stream, seed=seed, **bursts)
        for stream, seed in [("a/ul", 1), ("a/ul", 1), ("a/ul", 2), ("a/dl", 1)]
    ]
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]
    assert drawn[0] != drawn[3]


@pytest.mark.parametrize("kind", [CONSTANT_RATE, POISSON_BURSTS])
def test_it_does_not_matter_how_often_one_looks(cpp: Cpp, kind: int) -> None:
    code = """
often, seldom = (source(kind=values["kind"], rate_bps=20000000, burst_bytes=700) for _ in range(2))
for t in range(0, 10**9, 500000):
    often.AvailableBytes(t)
result = [made.AvailableBytes(10**9) for made in (often, seldom)] + [often.NextNs() - seldom.NextNs()]
"""
    often, seldom, between = run(cpp, code, kind=kind)
    assert often == seldom == pytest.approx(2_500_000, rel=0.1)
    assert between == 0


def test_no_more_is_sent_than_there_is(cpp: Cpp) -> None:
    code = """
made = source(kind=1, rate_bps=8000000, burst_bytes=1000)
result = [made.Take(10**7, 4000), made.Take(10**7, 10**6), made.Take(10**7, 10**6)]
"""
    assert run(cpp, code) == [4_000, 6_000, 0]


def test_what_waits_stays_when_the_traffic_changes(cpp: Cpp) -> None:
    code = """
made = source(kind=1, rate_bps=8000000, burst_bytes=1000)
set_to(made, 10**7, kind=0)
result = [made.AvailableBytes(10**7)]
set_to(made, 10**7, present=False)
result += [made.AvailableBytes(10**7), made.AvailableBytes(10**9), made.NextNs() == nr.kNever]
set_to(made, 10**9, kind=1, rate_bps=800000, burst_bytes=1000)
result += [made.AvailableBytes(2 * 10**9 - 1)]
"""
    full, waits, later, no_more, slower = run(cpp, code)
    assert (full, waits, later, no_more) == (10**9, 10_000, 10_000, True)
    assert slower == 10_000 + 100_000


def test_a_full_buffer_empties_what_waited(cpp: Cpp) -> None:
    code = """
made = source(kind=1, rate_bps=8000000, burst_bytes=1000)
set_to(made, 10**7, kind=0)
made.Take(10**7, 4000)
set_to(made, 10**7, present=False)
result = made.AvailableBytes(10**7)
"""
    assert run(cpp, code) == 6_000


def test_a_buffer_that_is_full_drops_the_rest(cpp: Cpp) -> None:
    code = """
made = source(kind=1, rate_bps=8000000, burst_bytes=1000, buffer_bytes=4500)
result = [made.AvailableBytes(10**7), made.TakeDropped(), made.TakeDropped()]
result += [made.Take(10**7, 1500), made.AvailableBytes(11 * 10**6), made.TakeDropped()]
"""
    assert run(cpp, code) == [4_500, 6, 0, 1_500, 4_000, 0]


def test_a_rate_of_almost_nothing_does_not_overflow(cpp: Cpp) -> None:
    code = """
made = source(kind=2, rate_bps=1, burst_bytes=10**12)
result = [made.NextNs() > 10**15, made.AvailableBytes(10**15)]
"""
    assert run(cpp, code) == [True, 0]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"kind": 3}, "kind 0, 1 or 2, not 3"),
        ({"kind": CONSTANT_RATE, "rate_bps": -1}, "rate of at least 0"),
        ({"kind": POISSON_BURSTS, "rate_bps": 1}, "bursts of at least 1 byte"),
    ],
)
def test_impossible_traffic_is_refused(cpp: Cpp, fields: dict[str, int], words: str) -> None:
    with pytest.raises(CppError, match=words):
        run(cpp, "source(**values['fields'])", fields=fields)
