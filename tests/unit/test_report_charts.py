"""The drawings of a report: bars as long as their parts, curves of what is known."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from cosim.results import charts
from cosim.results.distribution import cdf, estimate, observe, quantile_text
from cosim.results.population import Population, populate
from cosim.results.records import Status
from cosim.results.sla import SlaTally
from tests.results_factory import MS, ended

HEIGHT, BOTTOM = 330.0, 364.0


def population(*latencies_ms: tuple[int, Status]) -> Population:
    records = [ended(f"r-{k:03d}", k * MS, ms * MS, status) for k, (ms, status) in enumerate(latencies_ms)]
    return populate(records, ["edge"], [500 * MS])


def curves(svg: str) -> dict[str, str]:
    return {e.get("class") or "": e.get("d") or "" for e in ET.fromstring(svg).iter("path")}


def test_bars_are_as_long_as_their_parts() -> None:
    bars = [
        charts.Bar("edge", {"decode": 30.0, "up_access": 10.0, "queue": 0.0}),
        charts.Bar("edge p95", {"prefill": 20.0}, second=True),
    ]
    drawn = list(ET.fromstring(charts.waterfall(bars)).iter("rect"))
    widths = [float(e.get("width") or 0) for e in drawn]
    assert widths[1] == pytest.approx(3 * widths[0], abs=0.05)
    assert widths[2] == pytest.approx(2 * widths[0], abs=0.05)
    assert [e.findtext("title") for e in drawn] == [
        "edge up_access: 10.000 ms (25.0%)",
        "edge decode: 30.000 ms (75.0%)",
        "edge p95 prefill: 20.000 ms (100.0%)",
    ]


def test_a_mean_of_few_says_of_how_many() -> None:
    svg = charts.waterfall([charts.Bar("edge", {"decode": 30.0}, note=" (3 of 75 ok)")])
    assert ">30.0 ms (3 of 75 ok)<" in svg


def test_the_strip_of_a_request_fills_its_share_of_the_scale() -> None:
    svg = ET.fromstring(charts.strip({"decode": 25.0, "up_wan": 25.0}, 100.0))
    rects = [(float(e.get("x") or 0), float(e.get("width") or 0)) for e in svg.iter("rect")]
    assert rects == [(0.0, 55.0), (55.0, 55.0)]
    assert svg.findtext("title") == "up_wan 25.0 ms, decode 25.0 ms"
    assert charts.strip({}, 100.0) == charts.strip({"decode": 1.0}, 0.0) == ""


@pytest.mark.parametrize(
    ("high", "expected"),
    [(700.0, [0, 100, 200, 300, 400, 500, 600, 700]), (0.9, [0, 0.2, 0.4, 0.6, 0.8]), (0.0, [0])],
)
def test_ticks_are_round(high: float, expected: list[float]) -> None:
    assert charts.ticks(0, high) == expected


def test_the_estimate_is_that_of_kaplan_and_meier() -> None:
    """By hand: of 6 watched, 1 answered at 100; of 5, 1 at 200; one is censored at 300; of 3, 1 at 400."""
    found = estimate(
        observe(
            population((100, "ok"), (200, "ok"), (300, "timeout"), (400, "ok"), (900, "error"), (950, "rejected")),
            "edge",
        )
    )
    survival = (5 / 6) * (4 / 5)
    assert found.share_within(99.0) == 0
    assert found.share_within(200.0) == pytest.approx(1 - survival)
    assert found.share_within(399.0) == pytest.approx(1 - survival)
    # Without censoring it would be 3 of 6; the one that timed out at 300 might have been answered by 400.
    assert found.share_within(1e9) == pytest.approx(1 - survival * 2 / 3)
    assert found.quantile(1 / 3) == 200.0
    assert quantile_text(found, 0.5) == "400.0"
    assert quantile_text(found, 0.6) == "> 400"


def test_what_is_never_answered_has_no_time() -> None:
    found = estimate(observe(population((100, "ok"), (10, "error"), (10, "rejected")), "edge"))
    assert found.share_within(1e9) == pytest.approx(1 / 3)
    assert quantile_text(found, 0.3) == "100.0"
    assert quantile_text(found, 0.5) == "never"
    assert quantile_text(estimate(observe(population(), "edge")), 0.5) == "-"


def test_the_height_at_a_deadline_is_the_hit_rate_where_nothing_was_censored_before_it() -> None:
    latencies: list[tuple[int, Status]] = [(k * 40, "ok") for k in range(1, 21)]
    latencies += [(800, "timeout"), (700, "cancelled"), (30, "error"), (1, "rejected")]
    records = [ended(f"r-{k:03d}", k * MS, ms * MS, status) for k, (ms, status) in enumerate(latencies)]
    tally = SlaTally({"premium": 500 * MS}, ["edge"])
    for record in records:
        if record.status != "cancelled":
            tally.add(record)
    (row,) = tally.rows()
    found = estimate(observe(populate([r for r in records if r.status != "cancelled"], ["edge"], []), "edge"))
    assert found.share_within(500.0) == pytest.approx(row["sla_hit_rate"])


def test_the_curve_shows_what_is_censored_and_ends_where_knowledge_does() -> None:
    known = estimate(observe(population((100, "ok"), (200, "ok"), (900, "ok"), (50, "error")), "edge"))
    svg = cdf({"edge": known}, {"premium": 500.0})
    heights = [float(y) for y in re.findall(r"V([\d.]+)", curves(svg)["curve"])]
    assert [round((BOTTOM - y) / HEIGHT, 3) for y in heights] == [0.25, 0.5, 0.75]
    assert curves(svg)["curve"].endswith("H1000.0")
    assert "75.0% ok" in svg
    assert {"curve"} == {name for name in curves(svg) if name.startswith("curve")}
    cut = estimate(observe(population((100, "ok"), (200, "timeout"), (210, "timeout")), "edge"))
    svg = cdf({"edge": cut}, {"premium": 500.0})
    assert not curves(svg)["curve"].endswith("H1000.0")
    assert curves(svg)["curve unknown"].endswith("H1000")
    assert curves(svg)["curve censored"].count("M") == 2
    assert cdf({"edge": estimate(observe(population((9, "error")), "edge"))}, {}) == ""


def test_marks_of_censored_requests_that_would_cover_one_another_are_one() -> None:
    many = population((1000, "ok"), *((400 + k % 3, "timeout") for k in range(300)))
    svg = cdf({"edge": estimate(observe(many, "edge"))}, {})
    assert curves(svg)["curve censored"].count("M") == 1
