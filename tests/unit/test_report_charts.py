"""The drawings of a report: bars as long as their parts, curves of what is known."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from cosim.results import charts
from cosim.results.distribution import cdf, observe, quantile_interval_text, quantile_text, share_text
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


def heights(path: str) -> list[float]:
    return [round((BOTTOM - float(y)) / HEIGHT, 3) for y in re.findall(r"V([\d.]+)", path)]


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


def test_a_tier_without_an_answer_has_a_row_without_a_bar() -> None:
    svg = charts.waterfall([charts.Bar("edge", {"decode": 30.0}), charts.Bar("far", {}, note="0 of 75 ok")])
    assert ">far<" in svg
    assert ">0 of 75 ok<" in svg
    assert ">0 of 75 ok<" in charts.waterfall([charts.Bar("far", {}, note="0 of 75 ok")])
    assert charts.waterfall([]) == ""


def test_a_long_name_is_shortened_and_said_in_full_by_its_tooltip() -> None:
    name = "tier-" + 50 * "W" + "-north"
    assert charts.shorten("edge", 4) == "edge"
    assert charts.shorten(name, 9) == "tier\u2026orth"
    for svg in (
        charts.waterfall([charts.Bar(name, {"decode": 30.0})]),
        cdf({name: observe(population((9, "ok")), "edge")}, {name: 500.0}),
    ):
        titles = [
            e.findtext("title") or "" for e in ET.fromstring(svg).iter("text") if "\u2026" in "".join(e.itertext())
        ]
        assert titles
        assert all(title.startswith(name) for title in titles)


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


def test_the_shares_are_bounds_past_the_first_timeout() -> None:
    """By hand: of 6, answered at 100, 200 and 400; one timed out at 300 and may have its answer at any time after."""
    found = observe(
        population((100, "ok"), (200, "ok"), (300, "timeout"), (400, "ok"), (900, "error"), (950, "rejected")), "edge"
    )
    assert found.known_ms == 300.0
    assert [found.share_within(ms) for ms in (99.0, 200.0, 300.0, 1e9)] == [0, 2 / 6, 2 / 6, 3 / 6]
    assert [share_text(found, ms) for ms in (200.0, 300.0, 301.0, 400.0)] == [
        "33.3%",
        "33.3%",
        "\u2265 33.3%",
        "\u2265 50.0%",
    ]
    assert found.quantile_bounds(1 / 3) == (200.0, 200.0)
    texts = [quantile_text(found, share) for share in (1 / 3, 0.5, 0.6, 0.7)]
    assert texts == ["200.0", "300.0 to 400.0", "\u2265 400.0", "never"]


def test_groups_with_different_timeouts_do_not_make_a_tier_look_better() -> None:
    """One group always times out at 400 ms, the other is always answered: half is known."""
    chats: list[tuple[int, Status]] = [(300 + 10 * k, "ok") for k in range(20)]
    found = observe(population(*chats, *((400, "timeout") for _ in range(20))), "edge")
    assert found.share_within(500.0) == found.share_within(1e9) == 0.5
    assert share_text(found, 500.0) == "\u2265 50.0%"
    texts = [quantile_text(found, share) for share in (0.25, 0.5, 0.9)]
    assert texts == ["390.0", "400.0 to 490.0", "\u2265 450.0"]


def test_one_timeout_leaves_only_what_is_longer_unknown() -> None:
    found = observe(population((100, "ok"), (200, "ok"), (300, "ok"), (400, "timeout")), "edge")
    texts = [quantile_text(found, share) for share in (0.5, 0.75, 0.9)]
    assert texts == ["200.0", "300.0", "\u2265 400.0"]


def test_intervals_of_quantiles_are_between_order_statistics_or_say_why_not() -> None:
    answered: list[tuple[int, Status]] = [(k, "ok") for k in range(1, 101)]
    found = observe(population(*answered), "edge")
    assert [quantile_interval_text(found, share) for share in (0.5, 0.95, 0.99)] == [
        "40.0 to 61.0",
        "90.0 to 100.0",
        "cannot be bounded with n = 100; n = 368 would do",
    ]
    # A request that timed out at 10 ms may have its answer at any time after: it is 10 below and never above.
    some = observe(population(*answered[15:], *((10, "timeout") for _ in range(15))), "edge")
    assert quantile_interval_text(some, 0.5) == "40.0 to 76.0"
    assert quantile_interval_text(some, 0.95) == ("cannot be bounded from above: 15 of 100 requests were not answered")
    assert quantile_interval_text(observe(population((5, "cancelled")), "edge"), 0.5) == ""


def test_what_is_never_answered_has_no_time() -> None:
    found = observe(population((100, "ok"), (10, "error"), (10, "rejected")), "edge")
    assert found.share_within(1e9) == pytest.approx(1 / 3)
    assert quantile_text(found, 0.3) == "100.0"
    assert quantile_text(found, 0.5) == "never"
    empty = observe(population((5, "cancelled")), "edge")
    assert (empty.n, empty.cancelled, quantile_text(empty, 0.5), share_text(empty, 9.0)) == (0, 1, "-", "-")


def test_the_height_at_every_deadline_is_the_hit_rate() -> None:
    latencies: list[tuple[int, Status]] = [(k * 40, "ok") for k in range(1, 21)]
    latencies += [(200, "timeout"), (800, "timeout"), (300, "cancelled"), (30, "error"), (1, "rejected")]
    records = [ended(f"r-{k:03d}", k * MS, ms * MS, status) for k, (ms, status) in enumerate(latencies)]
    deadlines_ms = (100, 200, 500, 1000)
    tally = SlaTally({f"{ms}": ms * MS for ms in deadlines_ms}, ["edge"])
    for record in records:
        tally.add(record)
    found = observe(populate(records, ["edge"], []), "edge")
    assert [found.share_within(ms) for ms in deadlines_ms] == [row["sla_hit_rate"] for row in tally.rows()]


def test_the_curve_is_a_bound_from_the_first_timeout_on() -> None:
    known = observe(population((100, "ok"), (200, "ok"), (900, "ok"), (50, "error")), "edge")
    svg = cdf({"edge": known}, {"premium": 500.0})
    assert heights(curves(svg)["curve"]) == [0.25, 0.5, 0.75]
    assert curves(svg)["curve"].endswith("H1000.0")
    assert "75.0% ok" in svg
    assert {"curve"} == {name for name in curves(svg) if name.startswith("curve")}
    cut = observe(population((100, "ok"), (200, "timeout"), (210, "timeout"), (300, "ok")), "edge")
    svg = cdf({"edge": cut}, {"premium": 500.0})
    assert heights(curves(svg)["curve"]) == [0.25]
    assert not curves(svg)["curve"].endswith("H1000.0")
    assert heights(curves(svg)["curve bound"]) == [0.5]
    assert curves(svg)["curve bound"].endswith("H1000")
    assert curves(svg)["curve censored"].count("M") == 2


def test_a_tier_without_an_answer_has_a_curve_at_zero() -> None:
    for status in ("error", "timeout"):
        svg = cdf({"edge": observe(population((9, status)), "edge")}, {})
        assert curves(svg)["curve"].startswith(f"M60.0 {BOTTOM}H")
        assert "edge (0.0% ok)" in svg
    assert cdf({"edge": observe(population(), "edge")}, {}) == ""


def test_marks_of_censored_requests_that_would_cover_one_another_are_one() -> None:
    many = population((1000, "ok"), *((400 + k % 3, "timeout") for k in range(300)))
    svg = cdf({"edge": observe(many, "edge")}, {})
    assert curves(svg)["curve censored"].count("M") == 1
