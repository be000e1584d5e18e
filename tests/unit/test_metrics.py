"""Metrics against values computed by hand."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosim.results.metrics import (
    LATENCIES,
    RATES,
    STATISTICS,
    TierMetrics,
    itl_ns,
    statistics_ms,
    tpot_ns,
)
from tests.results_factory import MS, S, request


def test_tpot_leaves_the_first_token_out() -> None:
    assert tpot_ns(e2el_ns=300, ttft_ns=200, output_tokens=3) == 50
    assert tpot_ns(e2el_ns=300, ttft_ns=200, output_tokens=4) == pytest.approx(100 / 3)


@pytest.mark.parametrize(("ttft_ns", "tokens"), [(200, 1), (200, 0), (None, 3)])
def test_tpot_is_none_where_it_is_undefined(ttft_ns: int | None, tokens: int) -> None:
    assert tpot_ns(300, ttft_ns, tokens) is None


def test_itl_is_every_gap_from_the_first_token_on() -> None:
    assert list(itl_ns(request())) == [40 * MS, 60 * MS]
    # A first chunk with the role but no token comes before the first token and is no gap.
    role_first = request(chunk_times_ns=[150 * MS, 200 * MS, 240 * MS, 300 * MS])
    assert list(itl_ns(role_first)) == [40 * MS, 60 * MS]
    assert list(itl_ns(request(chunk_times_ns=[200 * MS]))) == []
    assert list(itl_ns(request(t_first_token_ns=None, chunk_times_ns=[]))) == []


def test_statistics_by_hand() -> None:
    # 1, 2, 3, 4, 10 ms: mean 4; deviations 9, 4, 1, 0, 36, mean 10; p95 lies at rank 3.8, 4 + 0.8 * 6.
    result = statistics_ms(array("d", [10 * MS, 1 * MS, 2 * MS, 4 * MS, 3 * MS]))
    assert result == pytest.approx({"mean": 4.0, "median": 3.0, "std": 10**0.5, "p95": 8.8, "p99": 9.76})


def test_no_value_gives_none_and_not_zero() -> None:
    assert statistics_ms(array("d")) == dict.fromkeys(("mean", "median", "std", "p95", "p99"))
    summary = TierMetrics().summary()
    assert set(summary.values()) == {None}
    assert len(summary) == len(LATENCIES) * len(STATISTICS) + len(RATES)


def test_a_tier_by_hand() -> None:
    tier = TierMetrics()
    tier.add(request("a", t_scheduled_ns=1 * S, t_end_ns=2 * S))
    tier.add(request("b", t_scheduled_ns=2 * S, t_end_ns=3 * S, e2el_ns=500 * MS, output_tokens=1))
    # Not ok: in n and in the duration, not in latencies and rates.
    tier.add(request("c", t_scheduled_ns=3 * S, t_end_ns=5 * S, status="timeout", output_tokens=2))
    summary = tier.summary()
    assert (tier.n, tier.completed, tier.duration_s) == (3, 2, 4.0)
    assert summary["mean_e2el_ms"] == pytest.approx(400.0)
    assert summary["mean_ttft_ms"] == pytest.approx(200.0)
    assert summary["mean_tpot_ms"] == pytest.approx(50.0)
    # Pooled gaps: 40, 60, 40, 60.
    assert summary["median_itl_ms"] == pytest.approx(50.0)
    assert summary["std_itl_ms"] == pytest.approx(10.0)
    assert summary["request_throughput"] == pytest.approx(0.5)
    assert summary["output_throughput"] == pytest.approx(1.0)


def test_names_are_vllms() -> None:
    keys = list(TierMetrics().summary())
    assert keys[:5] == ["mean_ttft_ms", "median_ttft_ms", "std_ttft_ms", "p95_ttft_ms", "p99_ttft_ms"]
    for name in ("tpot", "itl", "e2el"):
        assert f"p99_{name}_ms" in keys
    assert keys[-2:] == ["request_throughput", "output_throughput"]


@given(st.lists(st.integers(1, 10**12), min_size=2, max_size=30))
def test_itl_adds_up_to_the_time_after_the_first_token(gaps: list[int]) -> None:
    times = [sum(gaps[: k + 1]) for k in range(len(gaps))]
    record = request(chunk_times_ns=times, t_first_token_ns=times[0])
    assert sum(itl_ns(record)) == times[-1] - times[0]


def test_percentiles_of_all_requests_count_failures_and_not_a_clients_own_cancel() -> None:
    metrics = TierMetrics()
    for k in range(100):
        metrics.add(request(f"r-{k}", e2el_scheduled_ns=(k + 1) * MS, status="timeout" if k >= 94 else "ok"))
    metrics.add(request("r-x", status="cancelled"))
    assert metrics.of_all_ms() == {
        "median": 50.0,
        "median_low": 40.0,
        "median_high": 61.0,
        "p95": None,
        "p95_low": 90.0,
        "p95_high": None,
        "p99": None,
        "p99_low": None,
        "p99_high": None,
    }
    assert set(TierMetrics().of_all_ms().values()) == {None}
