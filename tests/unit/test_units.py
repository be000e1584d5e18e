"""Quantities: what is read, what is refused, and that what is written reads back as the same number."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from cosim.scenario.units import (
    BPS_PER_UNIT,
    BYTES_PER_UNIT,
    LEAST_HZ,
    LONGEST_DURATION_NS,
    NS_PER_UNIT,
    Duration,
    Frequency,
    PositiveDuration,
    Rate,
    Ratio,
    Size,
)

KINDS: dict[str, TypeAdapter[Any]] = {
    "duration": TypeAdapter(Duration),
    "positive": TypeAdapter(PositiveDuration),
    "rate": TypeAdapter(Rate),
    "size": TypeAdapter(Size),
    "ratio": TypeAdapter(Ratio),
    "frequency": TypeAdapter(Frequency),
}


@pytest.mark.parametrize(
    ("kind", "text", "number"),
    [
        ("duration", "20ms", 20_000_000),
        ("duration", "0.2ms", 200_000),
        ("duration", " 1.5 s ", 1_500_000_000),
        ("duration", ".5us", 500),
        ("duration", "2min", 120_000_000_000),
        ("duration", "1h", 3_600_000_000_000),
        ("duration", "0s", 0),
        ("duration", "1e-3s", 1_000_000),
        ("duration", "0.1s", 100_000_000),  # 0.1 is no binary fraction: read as decimal, or this is off by one
        ("rate", "100Mbit/s", 100_000_000),
        ("rate", "1.5Gbit/s", 1_500_000_000),
        ("rate", "9600bit/s", 9600),
        ("size", "150kB", 150_000),
        ("size", "1MiB", 1_048_576),
        ("ratio", "0.1%", 0.001),
        ("ratio", "0.25", 0.25),
        ("ratio", 0, 0.0),
        ("ratio", "100%", 1.0),
        ("frequency", "2/s", 2.0),
        ("frequency", "30/min", 0.5),
    ],
)
def test_reads(kind: str, text: object, number: float) -> None:
    assert KINDS[kind].validate_python(text) == number


@pytest.mark.parametrize(
    ("kind", "value", "told"),
    [
        (
            "duration",
            20,
            "20 has no unit: '20ms' or '20s'?; a duration such as \"20ms\" (units: ns, us, ms, s, min, h)",
        ),
        ("duration", "20", "'20' has no unit: '20ms' or '20s'?"),
        ("duration", 1.5, "1.5 has no unit: '1.5ms' or '1.5s'?"),
        ("duration", "20 Mbit/s", "'20 Mbit/s' has no unit of a duration"),
        ("duration", "20MS", "'20MS' has no unit of a duration"),
        ("duration", "-1s", "'-1s' must be zero or more"),
        ("duration", "1e400s", "'1e400s' must be at most 8784h"),
        ("duration", "1e999999999s", "'1e999999999s' is out of range"),
        ("duration", "1e99999999999999999999s", "'1e99999999999999999999s' is out of range"),
        ("duration", "nans", "'nans' is not a duration"),
        ("duration", "infs", "'infs' is not a duration"),
        ("duration", "", "'' is not a duration"),
        ("duration", "1 2s", "'1 2s' is not a duration"),
        ("duration", "{what}", "'{what}' is not a duration"),
        ("duration", "٣s", "'٣s' is not a duration"),
        ("duration", True, "True is not a duration"),
        ("duration", None, "None is not a duration"),
        ("duration", ["1s"], "['1s'] is not a duration"),
        ("positive", "0s", "'0s' must be greater than zero"),
        ("positive", "0.1ns", "'0.1ns' is smaller than the smallest duration"),
        ("rate", 100, "100 has no unit: '100bit/s' or '100Mbit/s'?"),
        ("rate", "0Mbit/s", "'0Mbit/s' must be greater than zero"),
        ("rate", "10MB/s", "'10MB/s' has no unit of a rate"),
        ("size", "1 kb", "'1 kb' has no unit of a size"),
        ("ratio", 0.1, "0.1 has no unit: '0.1%' or '0.1'?"),
        ("ratio", 1, "1 has no unit: '1%' or '1'?"),
        ("ratio", "101%", "'101%' must be at most 100%"),
        ("ratio", False, "False is not a ratio"),
        ("ratio", float("nan"), "nan has no unit"),
        ("frequency", "0/s", "'0/s' must be greater than zero"),
        ("frequency", "1e-400/s", "'1e-400/s' must be at least 0.000000001/s"),
        ("frequency", "1e7/s", "'1e7/s' must be at most 1000000/s"),
    ],
)
def test_refuses_and_says_what_is_allowed(kind: str, value: object, told: str) -> None:
    with pytest.raises(ValidationError) as caught:
        KINDS[kind].validate_python(value)
    message = caught.value.errors()[0]["msg"]
    assert message.startswith(told)
    assert "such as" in message


@given(st.text() | st.integers() | st.floats() | st.binary() | st.none())
def test_anything_is_read_or_refused(value: object) -> None:
    for adapter in KINDS.values():
        with contextlib.suppress(ValidationError):
            adapter.validate_python(value)


@pytest.mark.parametrize("units", [NS_PER_UNIT, BPS_PER_UNIT, BYTES_PER_UNIT], ids=["ns", "bps", "bytes"])
@given(data=st.data())
def test_a_whole_quantity_written_back_is_the_same_number(units: dict[str, int], data: st.DataObject) -> None:
    kind, most = {"ns": ("duration", LONGEST_DURATION_NS), "bit/s": ("rate", 10**12), "B": ("size", 2**40)}[
        next(iter(units))
    ]
    factor = data.draw(st.sampled_from(sorted(units.values())))
    number = data.draw(st.integers(1, most // factor)) * factor
    written = KINDS[kind].dump_python(number, mode="json")
    assert KINDS[kind].validate_python(written) == number
    assert KINDS[kind].dump_python(KINDS[kind].validate_python(written), mode="json") == written


@given(st.floats(0, 1))
def test_a_ratio_written_back_is_the_same_number(number: float) -> None:
    written = KINDS["ratio"].dump_python(number, mode="json")
    assert KINDS["ratio"].validate_python(written) == number


@given(st.floats(LEAST_HZ, 1e6))
def test_a_frequency_written_back_is_the_same_number(number: float) -> None:
    written = KINDS["frequency"].dump_python(number, mode="json")
    assert KINDS["frequency"].validate_python(written) == number


def test_is_written_with_the_largest_unit_that_leaves_it_whole() -> None:
    written = [KINDS["duration"].dump_python(n, mode="json") for n in (0, 1, 1500, 2_000_000, 90 * 10**9, 36 * 10**11)]
    assert written == ["0ns", "1ns", "1500ns", "2ms", "90s", "1h"]
    assert KINDS["size"].dump_python(2**20, mode="json") == "1MiB"
    assert KINDS["rate"].dump_python(60_000_000, mode="json") == "60Mbit/s"
