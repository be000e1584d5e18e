"""When clients ask: gaps by mean and spread, rates that change, clients that come and go."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from cosim.clients.arrivals import Arrivals
from cosim.clients.base import Client
from cosim.clients.build import build_clients
from cosim.clients.streams import stream
from cosim.scenario.arrivals import Arrivals as ArrivalsSection
from cosim.scenario.clients import ClientGroup

MS = 1_000_000
S = 1_000_000_000


def due(n: int, *, seed: int = 1, start_ns: int = 0, **section: Any) -> list[int]:
    """The first times of an open loop."""
    arrivals = Arrivals(TypeAdapter(ArrivalsSection).validate_python(section), stream(seed, "test"), start_ns)
    return [arrivals.next_ns(0) for _ in range(n)]


def group(**values: Any) -> ClientGroup:
    parsed: ClientGroup = TypeAdapter(ClientGroup).validate_python(
        {"name": "u", "tier": "edge", "kind": "chat", "arrivals": {"kind": "poisson", "rate": "20/s"}, **values}
    )
    return parsed


def build(values: ClientGroup, *, end_ns: int = 10 * S) -> list[Client]:
    return build_clients([values], seed=1, end_ns=end_ns, models={"edge": "m"}, images=False)


def times(client: Client) -> list[int]:
    """When a client asks, each question being answered at once."""

    def ask() -> Iterator[int]:
        now_ns = 0
        while (question := client.next_question(now_ns)) is not None:
            now_ns = question.t_scheduled_ns
            yield now_ns

    return list(ask())


@pytest.mark.parametrize("burstiness", [0.2, 1, 4, 100])
def test_gamma_gaps_have_the_mean_of_the_rate_and_the_spread_of_the_burstiness(burstiness: float) -> None:
    gaps = np.diff([0, *due(40_000, kind="gamma", rate="10/s", burstiness=burstiness)])
    assert gaps.mean() == pytest.approx(100 * MS, rel=0.03)
    assert gaps.std() / gaps.mean() == pytest.approx(burstiness**-0.5, rel=0.04)


def test_gamma_of_burstiness_one_is_poisson_and_of_much_is_constant() -> None:
    gaps = np.diff([0, *due(20_000, kind="gamma", rate="10/s", burstiness=1)])
    assert (gaps > 100 * MS).mean() == pytest.approx(np.exp(-1), abs=0.015)
    even = np.diff(due(1000, kind="gamma", rate="10/s", burstiness=1e6))
    assert abs(even - 100 * MS).max() < MS


def test_gaps_are_those_of_vllm_bench() -> None:
    """Numpy's gamma with vLLM's shape and scale, summed up (vllm.benchmarks.serve.get_request)."""
    draws = stream(1, "test")
    rate, burstiness = 10.0, 0.5
    expected = np.cumsum([draws.gamma(shape=burstiness, scale=1 / (rate * burstiness)) for _ in range(100)]) * S
    assert due(100, kind="gamma", rate="10/s", burstiness=burstiness) == pytest.approx(expected, abs=100)


@pytest.mark.parametrize(
    "kind", [{"kind": "poisson"}, {"kind": "gamma", "burstiness": 0.5}, {"kind": "constant"}], ids=str
)
def test_a_rate_that_changes_is_the_rate_from_then_on(kind: dict[str, Any]) -> None:
    changes = [{"at": "100s", "rate": "50/s"}, {"at": "200s", "rate": "0.1/s"}, {"at": "300s", "rate": "20/s"}]
    found = due(20_000, rate="10/s", rate_changes=changes, **kind)
    counts = np.histogram(found, np.arange(0, 401, 100) * S)[0]
    expected = np.array([1000, 5000, 10, 2000])
    spread = 6 * np.sqrt(expected / kind.get("burstiness", 1)) if kind["kind"] != "constant" else 2
    assert (abs(counts - expected) <= spread).all()


def test_a_constant_rate_that_changes_within_a_gap_stretches_what_is_left_of_it() -> None:
    found = due(4, kind="constant", rate="1/s", rate_changes=[{"at": "1s", "rate": "10/s"}])
    phase = due(1, kind="constant", rate="1/s")[0]
    assert found[0] == phase
    assert found[1:] == pytest.approx([S + phase / 10 + k * 100 * MS for k in range(3)], rel=0, abs=1)


def test_a_poisson_process_stays_one_where_its_rate_changes() -> None:
    """Gaps across a change, in units of what the rates make of them, are exponential of mean 1."""
    spans = []
    for seed in range(4000):
        found = due(2, seed=seed, kind="poisson", rate="1/s", rate_changes=[{"at": "1s", "rate": "100/s"}])
        rescaled = [t_ns / S if t_ns < S else 1 + 100 * (t_ns / S - 1) for t_ns in (0, *found)]
        spans += [later - earlier for earlier, later in pairwise(rescaled)]
    assert np.mean(spans) == pytest.approx(1, rel=0.03)
    assert np.std(spans) == pytest.approx(1, rel=0.05)


@settings(max_examples=50, deadline=None)
@given(
    seed=st.integers(0, 2**63 - 1),
    start_ns=st.integers(0, 20 * S),
    burstiness=st.floats(0.01, 1e6),
    changes=st.lists(st.tuples(st.integers(1, 10 * S), st.sampled_from(["0.1/s", "7/s", "1000/s"])), max_size=4),
)
def test_times_never_go_back_nor_lie_before_the_start(
    seed: int, start_ns: int, burstiness: float, changes: list[tuple[int, str]]
) -> None:
    at_ns, steps = 0, []
    for gap_ns, rate in changes:
        at_ns += gap_ns
        steps.append({"at": f"{at_ns}ns", "rate": rate})
    for kind in ({"kind": "poisson"}, {"kind": "constant"}, {"kind": "gamma", "burstiness": burstiness}):
        found = due(50, seed=seed, start_ns=start_ns, rate="3/s", rate_changes=steps, **kind)
        assert found == sorted(found)
        assert found[0] >= start_ns


@pytest.mark.parametrize(
    "values",
    [
        {"arrivals": {"kind": "poisson", "rate": "20/s"}},
        {"arrivals": {"kind": "gamma", "rate": "20/s", "burstiness": 0.5}},
        {"arrivals": {"kind": "constant", "rate": "20/s"}},
        {"arrivals": {"kind": "closed", "think_time": "50ms"}},
        {"kind": "frames", "period": "50ms"},
    ],
    ids=["poisson", "gamma", "constant", "closed", "frames"],
)
def test_clients_ask_from_when_they_join_until_they_leave(values: dict[str, Any]) -> None:
    crowd: ClientGroup = TypeAdapter(ClientGroup).validate_python(
        {"name": "u", "kind": "chat", "tier": "edge", "count": 3, **values}
        | {"join": "2s", "join_every": "1s", "leave": "7s"}
    )
    for index, client in enumerate(build(crowd)):
        asked = times(client)
        joined_ns = (2 + index) * S
        assert joined_ns <= min(asked) < joined_ns + S
        assert 6 * S < max(asked) < 7 * S + 10 * MS
        assert len(asked) == pytest.approx(20 * (7 * S - joined_ns) / S, rel=0.4)


def test_a_client_that_stays_leaves_at_the_end_and_one_that_joins_late_never_asks() -> None:
    assert 9 * S < max(times(build(group(leave="1h"))[0])) < 10 * S
    assert times(build(group(join="10s"))[0]) == []


def test_a_group_that_leaves_before_all_have_joined_is_refused() -> None:
    with pytest.raises(ValidationError, match="before the last client joins, at 12 s"):
        group(count=3, join="10s", join_every="1s", leave="12s")
    group(count=3, join="10s", join_every="1s", leave="12001ms")


def test_rates_change_in_order() -> None:
    with pytest.raises(ValidationError, match="not after the change before it"):
        due(1, kind="poisson", rate="1/s", rate_changes=[{"at": "2s", "rate": "1/s"}, {"at": "2s", "rate": "2/s"}])
