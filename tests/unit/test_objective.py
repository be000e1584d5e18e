"""`--fail-on`: what is read, what is refused before a run, and what counts as missed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosim.results.metrics import TierMetrics
from cosim.results.objective import ObjectiveError, parse_objective

SUMMARY: dict[str, Any] = {
    "sla": [
        {"tier": "edge", "class": "premium", "n": 100, "hits": 94, "sla_hit_rate": 0.94, "wilson_low": 0.87},
        {"tier": "edge", "class": "none", "n": 0, "hits": 0, "sla_hit_rate": None, "wilson_low": None},
    ],
    "tiers": {"edge": {"n": 100, "p95_ttft_ms": 300.0, "mean_tpot_ms": None, "kind": "stub"}, "my-tier_2": {"n": 3}},
}


@pytest.mark.parametrize(
    ("text", "missed"),
    [
        ("edge.premium.sla_hit_rate<0.95", True),
        ("edge.premium.sla_hit_rate<0.94", False),
        ("edge.premium.sla_hit_rate<=0.94", True),
        ("edge.premium.wilson_low >= 0.9", False),
        ("  edge.premium.n>99 ", True),
        ("edge.premium.hits>94", False),
        ("edge.p95_ttft_ms>300", False),
        ("edge.p95_ttft_ms>=3e2", True),
        ("edge.p95_ttft_ms>-1", True),
        ("my-tier_2.n<30", True),
        # A run without the figure has not met the objective.
        ("edge.none.sla_hit_rate<0.95", True),
        ("edge.other.sla_hit_rate<0.95", True),
        ("edge.mean_tpot_ms>30", True),
        ("edge.kind>30", True),
        ("cloud.p95_ttft_ms>300", True),
    ],
)
def test_a_condition_that_holds_is_a_missed_objective(text: str, missed: bool) -> None:
    assert parse_objective(text).missed(SUMMARY) is missed


def test_says_what_was_found() -> None:
    told = [parse_objective(text).explain(SUMMARY) for text in ("edge.p95_ttft_ms>200", "edge.mean_tpot_ms>30")]
    assert told == [
        "edge.p95_ttft_ms>200 (edge.p95_ttft_ms is 300.0)",
        "edge.mean_tpot_ms>30 (edge.mean_tpot_ms is None)",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", '--fail-on "": is not a condition; allowed: TIER.CLASS.KEY'),
        ("edge.n", "is not a condition"),
        ("edge.n==3", "is not a condition"),
        ("edge.n<", "is not a condition"),
        ("edge.n<nan", "is not a condition"),
        ("edge.n<3 or edge.n>4", "is not a condition"),
        ("edge.n<1e", "'1e' is not a number"),
        ("edge.n<1.2.3", "'1.2.3' is not a number"),
        ("edge<3", "'edge' names no figure"),
        ("a.b.c.d<3", "'a.b.c.d' names no figure"),
    ],
)
def test_refuses_what_is_no_condition(text: str, told: str) -> None:
    with pytest.raises(ObjectiveError) as caught:
        parse_objective(text)
    assert told in str(caught.value)
    assert "such as" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("egde.n<3", "no tier 'egde'"),
        ("edge.premum.n<3", "no 'premum.n'"),
        ("edge.premium.rate<3", "no 'premium.rate'"),
        ("edge.p95_tfft_ms<3", "no 'p95_tfft_ms'"),
        ("edge.p42_ttft_ms<3", "no 'p42_ttft_ms'"),
        ("edge.kind<3", "no 'kind'"),
        ("edge.<3", "no ''"),
    ],
)
def test_names_that_a_summary_will_not_have_are_refused_before_the_run(text: str, told: str) -> None:
    with pytest.raises(ObjectiveError, match=told):
        parse_objective(text).check(["edge"], ["premium"])


def test_every_figure_of_a_tier_may_be_named() -> None:
    for name in [*TierMetrics().summary(), "n", "completed", "error", "timeout", "cancelled", "rejected"]:
        parse_objective(f"edge.{name}<3").check(["edge"], [])
    for key in ("sla_hit_rate", "wilson_low", "wilson_high", "n", "hits"):
        parse_objective(f"edge.premium.{key}<3").check(["edge"], ["premium"])


def is_condition(text: str) -> bool:
    try:
        parse_objective(text)
    except ObjectiveError:
        return False
    return True


@given(st.text(st.sampled_from("ab.-_<>=0e+ ")) | st.text())
def test_anything_is_read_or_refused(text: str) -> None:
    if is_condition(text):
        parse_objective(text).missed(SUMMARY)
