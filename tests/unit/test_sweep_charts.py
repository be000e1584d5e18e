"""Parts of a sweep's charts: which panels, which scale, which cells, which points are on the front."""

from __future__ import annotations

import math
import re

import pytest

from cosim.results.charts import ink
from cosim.results.sweep_axes import axis_of
from cosim.results.sweep_bars import PointBar, stacked
from cosim.results.sweep_figures import Figure, short_names
from cosim.results.sweep_heat import CIVIDIS, Value, bins, colour, heat_map
from cosim.results.sweep_panels import Line, Mark, Panel, arrange, share_scale, small_multiples, spread, time_scale
from cosim.results.sweep_pareto import Loaded, front, pareto

AXES = {
    "delay": axis_of("delay", [f"{10 * k}ms" for k in range(1, 11)]),
    "loss": axis_of("loss", ["0%", "1%", "2%"]),
    "count": axis_of("count", list(range(1, 9))),
}
GRID = [{"delay": d, "loss": loss, "count": c} for d in range(10) for loss in range(3) for c in range(8)]


def figures(*values: float | None) -> list[Figure]:
    return [Figure(value, None, None) for value in values]


def test_the_smallest_key_that_fits_is_lines_and_the_rest_are_panels() -> None:
    found = arrange(AXES, GRID, "delay", 3)
    assert (found.series, found.series_places, found.panels) == ("loss", (0, 1, 2), ("count",))
    assert (found.combinations, found.n_combinations, found.scattered) == (((0,), (4,), (7,)), 8, False)


def test_lines_of_a_long_key_are_some_of_its_values() -> None:
    found = arrange(AXES, GRID, "loss", 8)
    assert (found.series, found.series_places) == ("delay", (0, 2, 4, 5, 7, 9))
    assert len(found.combinations) == 4


def test_points_that_share_nothing_are_not_joined() -> None:
    places = [{"delay": k, "loss": k % 3, "count": (5 * k) % 8} for k in range(10)]
    found = arrange(AXES, places, "delay", 4)
    assert (found.scattered, found.series, found.panels) == (True, None, ())
    assert not arrange({"delay": AXES["delay"]}, [{"delay": k} for k in range(10)], "delay", 4).scattered


def test_spread_keeps_the_ends() -> None:
    assert spread(range(100), 5) == [0, 25, 50, 74, 99]
    assert spread("abc", 5) == ["a", "b", "c"]
    assert spread("abc", 1) == ["b"]


def test_the_scale_of_rates_holds_every_interval_and_stays_within_0_and_100_percent() -> None:
    scale = share_scale([Figure(0.97, 0.93, 1.0), Figure(1.0, None, None), None])
    assert scale.low <= 0.93 < 1.0 == scale.high
    assert scale.low > 0.8
    assert scale.ticks[-1][1] == "100%"
    assert [label for _, label in share_scale(figures(0.0, 1.0)).ticks] == ["0%", "20%", "40%", "60%", "80%", "100%"]
    same = share_scale(figures(0.9999, 0.9999))
    assert same.low < 0.9999 < same.high
    assert len({label for _, label in same.ticks}) == len(same.ticks) >= 2


def test_latencies_that_differ_much_are_on_a_log_scale_and_what_is_infinite_on_its_edge() -> None:
    scale = time_scale(figures(30, 900, math.inf, None))
    assert (scale.log, scale.low, scale.high) == (True, 10, 1000)
    assert scale.share(100) == pytest.approx(0.5)
    assert scale.share(math.inf) == 1
    assert scale.share(0) == 0
    linear = time_scale(figures(300, 900))
    assert (linear.log, linear.low) == (False, 0)
    assert linear.high > 900
    assert time_scale([]).high > 0


def marks(*figures: Figure | None, state: str = "valid") -> tuple[Mark, ...]:
    return tuple(Mark(k / 4, figure, k, state) for k, figure in enumerate(figures))  # type: ignore[arg-type]


def test_every_point_is_drawn_with_or_without_a_figure() -> None:
    found = marks(Figure(0.9, 0.8, 0.95), Figure(0.9, None, None), None, Figure(math.inf, None, None))
    panel = Panel("edge", "", (Line(0, found),), share_scale(figures(0.5, 1)))
    svg = small_multiples("curves", "rate", AXES["delay"], [panel])
    assert sorted(re.findall(r'data-p="(\d)"', svg)) == ["0", "1", "2", "3"]
    assert svg.count("<circle") == 2
    assert svg.count('class="none"') == 1
    assert "no finite value" in svg
    assert svg.count('class="range"') == 1
    assert "nan" not in svg
    assert "inf" not in svg.replace("no finite", "")


def test_a_point_with_an_odd_run_is_hollow() -> None:
    panel = Panel("edge", "", (Line(0, marks(Figure(0.9, None, None), state="invalid")),), share_scale(figures(0.9)))
    assert 'class="dot odd"' in small_multiples("curves", "rate", AXES["delay"], [panel])


def test_an_end_that_cannot_be_bounded_is_dashed() -> None:
    panel = Panel("edge", "", (Line(0, marks(Figure(0.9, 0.8, None))),), share_scale(figures(0.5, 1)))
    assert 'class="range open"' in small_multiples("curves", "rate", AXES["delay"], [panel])


def test_many_marks_are_dots_of_one_path() -> None:
    found = tuple(Mark(k / 1000, Figure(0.5, 0.4, 0.6), k, "valid") for k in range(1000))
    panel = Panel("edge", "", (Line(0, found, joined=False),), share_scale(figures(0, 1)))
    svg = small_multiples("curves", "rate", AXES["delay"], [panel])
    assert "<circle" not in svg
    assert svg.count("h0") == 1000


def test_the_front_has_what_no_other_point_beats_in_both() -> None:
    pairs = [(1, 1.0), (1, 0.9), (2, 1.0), (3, 0.8), (4, 0.8), (5, 0.2), (4.5, 0.1)]
    points = [Loaded(k, load, rate, "valid", f"points/{k}/") for k, (load, rate) in enumerate(pairs)]
    assert [point.point for point in front(points)] == [2, 4, 5]
    svg = pareto([("edge", points), ("nothing", [])], "offered requests/s", share_scale(figures(0, 1)))
    assert re.findall(r'<a href="([^"]+)"', svg) == ["points/2/", "points/4/", "points/5/"]
    assert "nothing" not in svg
    assert pareto([("edge", points[:1])], "offered requests/s", share_scale(figures(1)))


def test_cells_hold_their_figure_and_many_values_are_put_into_bins() -> None:
    places = {0: (0, 0), 1: (0, 1), 2: (1, 1)}
    values = [Value(0, 0.5, "valid"), Value(1, 0.25, "invalid"), Value(2, None, "missing")]
    x, y = axis_of("delay", ["10ms", "20ms"]), axis_of("loss", ["0%", "1%"])
    svg = heat_map("edge", x, y, places, values, share_scale(figures(0, 1)))
    assert re.findall(r">([\d.!]+|none)</text>", svg)[-3:] == ["50.0", "25.0!", "none"]
    assert 'class="empty" data-p="2"' in svg
    many = axis_of("delay", [f"{k}ms" for k in range(100)])
    found = bins(many, 26)
    assert len(found) == 12
    assert sorted(place for one in found for place in one.places) == list(range(100))
    assert len(bins(axis_of("name", [f"n{k}" for k in range(100)]), 26)) == 26
    both = heat_map("edge", many, y, {0: (0, 0), 1: (1, 0)}, values[:2], share_scale(figures(0, 1)))
    assert "mean of 2 points, 25.0% to 50.0%" in both


def test_figures_in_cells_can_be_read() -> None:
    def luminance(text: str) -> float:
        parts = [int(text[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    assert (colour(0), colour(1), colour(2)) == (CIVIDIS[0], CIVIDIS[-1], CIVIDIS[-1])
    shades = [luminance(colour(k / 100)) for k in range(101)]
    assert shades == sorted(shades)
    for k in range(101):
        letters = {"#000": 0.0, "#fff": 1.0}[ink(colour(k / 100))]
        light, dark = max(letters, shades[k]), min(letters, shades[k])
        assert (light + 0.05) / (dark + 0.05) >= 4.0  # WCAG asks for 3 of large and 4.5 of small text.


def test_bars_are_as_long_as_their_parts_and_an_unanswered_point_has_a_row() -> None:
    bars = [PointBar(0, "#0", {"queue": 10.0, "prefill": 30.0}), PointBar(1, "#1", {}, "0 of 60 ok")]
    svg = stacked(bars, "edge")
    widths = [float(width) for width in re.findall(r'class="seg"[^>]* width="([\d.]+)"', svg)]
    assert widths[1] == pytest.approx(3 * widths[0], rel=1e-3)
    assert "40.0 ms" in svg
    assert "no answer, 0 of 60 ok" in svg
    assert stacked([], "edge") == ""


def test_short_names_tell_keys_apart() -> None:
    keys = ["network.paths.cloud.delay", "network.paths.edge.delay", "clients.0.count", "seed", "other.cloud.delay"]
    assert list(short_names(keys).values()) == [
        "paths.cloud.delay",
        "edge.delay",
        "clients.0.count",
        "seed",
        "other.cloud.delay",
    ]
