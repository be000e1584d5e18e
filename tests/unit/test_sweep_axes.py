"""Axes of a sweep's charts: what is a number, in which unit, on which scale, and which labels fit."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from cosim.results.charts import LETTER_WIDTH
from cosim.results.sweep_axes import Axis, axis_of, log_positions, thin

KEY = "network.paths.cloud.delay"


@pytest.mark.parametrize(
    ("values", "kind", "unit", "numbers"),
    [
        (["20ms", "5ms", "1s"], "log", "ms", [5, 20, 1000]),
        (["1s", "500ms", "2s"], "linear", "s", [0.5, 1, 2]),
        (["0", "0.1%", "1%"], "log", "%", [0, 0.1, 1]),
        ([0, "0.5%", "2%", "5%"], "log", "%", [0, 0.5, 2, 5]),
        (["0ms", "10ms", "20ms", "40ms"], "linear", "ms", [0, 10, 20, 40]),
        (["0.01", "5%"], "linear", "", [0.01, 0.05]),
        ([1, 2, 4, 8, 16], "log", "", [1, 2, 4, 8, 16]),
        ([1, 16, 8, 2, 1], "log", "", [1, 2, 8, 16]),
        ([10, 20, 30, 40, 100], "linear", "", [10, 20, 30, 40, 100]),
        (["-5dB", "10dB"], "linear", "dB", [-5, 10]),
        (["100Mbit/s", "1Gbit/s", "10Mbit/s"], "log", "Mbit/s", [10, 100, 1000]),
        (["36km/h", "1m/s"], "linear", "km/h", [3.6, 36]),
        ([7], "linear", "", [7]),
    ],
)
def test_numbers_stand_in_order_in_the_users_unit(
    values: list[Any], kind: str, unit: str, numbers: list[float]
) -> None:
    axis = axis_of(KEY, values)
    assert (axis.kind, axis.unit) == (kind, unit)
    assert list(axis.numbers) == pytest.approx(numbers)
    assert list(axis.positions) == sorted(axis.positions)
    assert 0 <= axis.positions[0] <= axis.positions[-1] <= 1


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (["fifo", "fq_codel"], ["fifo", "fq_codel"]),
        (["20ms", "5Mbit/s"], ["20ms", "5Mbit/s"]),
        (["20ms", "singapore-mumbai"], ["20ms", "singapore-mumbai"]),
        ([True, False], ["true", "false"]),
        ([None, "1%"], ["null", "1%"]),
        ([{"preset": "a"}, {"preset": "b"}], ['{"preset": "a"}', '{"preset": "b"}']),
    ],
)
def test_anything_else_is_a_category_in_the_users_order(values: list[Any], texts: list[str]) -> None:
    axis = axis_of(KEY, values)
    assert (axis.kind, axis.unit, list(axis.texts)) == ("category", "", texts)
    assert [axis.place(value) for value in values] == [0, 1]


def test_one_quantity_in_two_spellings_is_one_place() -> None:
    axis = axis_of(KEY, ["1s", "1000ms", "20ms"])
    assert [axis.place(value) for value in ("1s", "1000ms", "20ms")] == [1, 1, 0]
    assert axis.texts == ("20ms", "1s")


def test_a_title_names_unit_and_scale() -> None:
    assert axis_of(KEY, ["1ms", "10ms", "100ms"]).title == f"{KEY}, ms (log)"
    assert axis_of("clients.0.count", [1, 2]).title == "clients.0.count"


def test_a_zero_stands_left_of_the_decades() -> None:
    zero, tenth, one, ten = log_positions([0, 0.1, 1, 10])
    assert zero == 0
    assert tenth > 0.1
    assert ten == 1
    assert one - tenth == pytest.approx(ten - one)


@pytest.mark.parametrize(
    "axis",
    [
        axis_of(KEY, [f"{k}ms" for k in range(1, 8)]),
        axis_of(KEY, [f"{1.07**k:.4f}ms" for k in range(300)]),
        axis_of(KEY, [f"{k}ms" for k in range(300)]),
        axis_of(KEY, [f"a-profile-with-a-long-name-{k}.json" for k in range(30)]),
        axis_of(KEY, [100_000_000 + k for k in range(9)]),
    ],
)
@pytest.mark.parametrize("width", [120.0, 220.0, 1000.0])
def test_labels_never_run_into_one_another(axis: Axis, width: float) -> None:
    found = axis.ticks(width)
    assert found
    for (left, before, _), (right, after, _) in pairwise(found):
        assert (right - left) * width > LETTER_WIDTH * (len(before) + len(after)) / 2


def test_the_ends_of_an_axis_keep_their_labels() -> None:
    found = [(k / 20, f"{k}00", f"{k}00") for k in range(21)]
    assert [label for _, label, _ in thin(found, 120)][0::3] == ["000", "2000"]
