"""Quantities with units as the user writes them, parsed to int ns, bit/s and bytes or to a float ratio."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal, DecimalException
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

_QUANTITY = re.compile(r"\s*([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)\s*([^0-9\s]*)\s*")

NS_PER_UNIT = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9, "min": 60 * 10**9, "h": 3600 * 10**9}
BPS_PER_UNIT = {"bit/s": 1, "kbit/s": 10**3, "Mbit/s": 10**6, "Gbit/s": 10**9}
BYTES_PER_UNIT = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
HZ_PER_UNIT = {"/s": 1, "/min": Decimal(1) / 60}
HERTZ_PER_UNIT = {"Hz": 1, "kHz": 10**3, "MHz": 10**6, "GHz": 10**9}
RATIO_PER_UNIT = {"%": Decimal("0.01"), "": Decimal(1)}
M_PER_S_PER_UNIT = {"m/s": Decimal(1), "km/h": Decimal(10) / 36}
_KINDS: list[Mapping[str, Any]] = [
    NS_PER_UNIT,
    BPS_PER_UNIT,
    BYTES_PER_UNIT,
    HZ_PER_UNIT,
    HERTZ_PER_UNIT,
    RATIO_PER_UNIT,
    M_PER_S_PER_UNIT,
    *({unit: 1} for unit in ("dB", "dBm", "m")),
]


def quantity(text: str) -> tuple[Decimal, str] | None:
    """Number and unit of a text, whatever the unit is; None if it has not that form or no Decimal is as large."""
    match = _QUANTITY.fullmatch(text)
    try:  # The sign has the number checked against the context's range.
        return None if match is None else (+Decimal(match[1]), match[2])
    except DecimalException:
        return None


def units_beside(unit: str) -> dict[str, Decimal]:
    """All units of the kind that a unit is of, with their sizes in the base unit; empty for what is no unit."""
    found = next((units for units in _KINDS if unit in units), {})
    return {name: Decimal(size) for name, size in found.items()}


class _Quantity:
    """Pydantic annotation: a string with a unit, held as the parsed number, written back as a string."""

    def __init__(
        self,
        what: str,
        units: dict[str, Any],
        example: str,
        write: Callable[[Any], str],
        *,
        readings: tuple[str, str],
        most: int,
        least: float = 0,
        integer: bool = True,
        positive: bool = False,
        signed: bool = False,
    ) -> None:
        self._what = what
        self._units = units
        self._example = example
        self._write = write
        self._readings = readings
        self._most = most
        self._least = least
        self._integer = integer
        self._positive = positive
        self._signed = signed

    def parse(self, value: Any) -> int | float:
        """The number in base units. Raises PydanticCustomError with what is allowed."""
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise self._error(f"{value!r} is not a {self._what}")
        if not isinstance(value, str) and not (value == 0 and "" in self._units):
            raise self._error(self._bare(value))
        found = quantity(str(value))
        if found is None:
            has_form = _QUANTITY.fullmatch(str(value)) is not None
            raise self._error(f"{value!r} is {'out of range' if has_form else f'not a {self._what}'}")
        number, unit = found
        if unit not in self._units:
            raise self._error(self._bare(value) if not unit else f"{value!r} has no unit of a {self._what}")
        try:
            parsed: Decimal = number * self._units[unit]
        except DecimalException:
            raise self._error(f"{value!r} is out of range") from None
        if self._signed and parsed < -self._most:
            raise self._error(f"{value!r} must be at least {self._write(-self._most)}")
        if (parsed < 0 and not self._signed) or (self._positive and parsed == 0):
            raise self._error(f"{value!r} must be {'greater than zero' if self._positive else 'zero or more'}")
        if parsed > self._most:
            raise self._error(f"{value!r} must be at most {self._write(self._most)}")
        if not self._integer:
            if float(parsed) < self._least and not self._signed:
                raise self._error(f"{value!r} must be at least {self._write(self._least)}")
            return float(parsed) + 0.0  # Not -0.0, which would be written otherwise than 0.
        rounded = int(parsed.to_integral_value())
        if self._positive and rounded == 0:
            raise self._error(f"{value!r} is smaller than the smallest {self._what}")
        return rounded

    def _bare(self, value: Any) -> str:
        readings = " or ".join(dict.fromkeys(f"'{value}{unit}'" for unit in self._readings))
        return f"{value!r} has no unit: {readings}?"

    def _error(self, what: str) -> PydanticCustomError:
        units = ", ".join(unit or "none (a share of 1, in quotes)" for unit in self._units)
        allowed = f'a {self._what} such as "{self._example}" (units: {units})'
        # Braces in the user's text would be read as placeholders of the message.
        return PydanticCustomError("quantity", "{what}; {allowed}", {"what": what, "allowed": allowed})

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            self.parse, serialization=core_schema.plain_serializer_function_ser_schema(self._write)
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        units = "|".join(re.escape(unit) for unit in self._units)
        sign = "[+-]?" if self._signed else ""
        pattern = rf"^\s*{sign}([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?\s*({units})\s*$"
        text = {"type": "string", "pattern": pattern, "examples": [self._example]}
        return {"anyOf": [text, {"const": 0}]} if "" in self._units else text


def _writer(units: dict[str, Any]) -> Callable[[Any], str]:
    """Write a number with the largest unit that leaves it whole, so that it reads back as the same number."""

    def write(value: Any) -> str:
        number = Decimal(str(value))
        for unit, factor in sorted(units.items(), key=lambda item: -Decimal(item[1])):
            scaled = number / Decimal(factor)
            if (scaled == scaled.to_integral_value() and scaled != 0) or Decimal(factor) == 1:
                return f"{scaled.normalize():f}{unit}"
        raise AssertionError("every table of units has the base unit")

    return write


def _write_ratio(value: Any) -> str:
    return f"{(Decimal(str(value)) * 100).normalize():f}%"


def _write_plain(unit: str) -> Callable[[Any], str]:
    return lambda value: f"{Decimal(str(value)).normalize():f}{unit}"


def _write_frequency(value: Any) -> str:
    return f"{Decimal(str(value)).normalize():f}/s"


_write_duration = _writer(NS_PER_UNIT)
_write_rate = _writer(BPS_PER_UNIT)
_write_size = _writer(BYTES_PER_UNIT)

LEAST_HZ = 1e-9
LONGEST_DURATION_NS = 24 * 366 * NS_PER_UNIT["h"]


def _duration(example: str, *, positive: bool) -> _Quantity:
    return _Quantity(
        "duration",
        NS_PER_UNIT,
        example,
        _write_duration,
        readings=("ms", "s"),
        most=LONGEST_DURATION_NS,
        positive=positive,
    )


Duration = Annotated[int, _duration("20ms", positive=False)]
"""A duration, held as int ns."""
PositiveDuration = Annotated[int, _duration("500ms", positive=True)]
"""A duration greater than zero, held as int ns."""
Rate = Annotated[
    int,
    _Quantity(
        "rate",
        BPS_PER_UNIT,
        "100Mbit/s",
        _write_rate,
        readings=("bit/s", "Mbit/s"),
        most=10**12,
        positive=True,
    ),
]
"""A bit rate, held as int bit/s."""
Size = Annotated[
    int,
    _Quantity("size", BYTES_PER_UNIT, "150kB", _write_size, readings=("B", "kB"), most=2**40, positive=True),
]
"""A size, held as int bytes."""
Ratio = Annotated[
    float, _Quantity("ratio", RATIO_PER_UNIT, "0.1%", _write_ratio, readings=("%", ""), most=1, integer=False)
]
"""A share between 0 and 1, held as a float."""
Change = Annotated[
    float, _Quantity("change", RATIO_PER_UNIT, "50%", _write_ratio, readings=("%", ""), most=10**6, integer=False)
]
"""A relative change, which may be more than the whole, held as a float."""
Frequency = Annotated[
    float,
    _Quantity(
        "frequency",
        HZ_PER_UNIT,
        "2/s",
        _write_frequency,
        readings=("/s", "/min"),
        most=10**6,
        least=LEAST_HZ,
        integer=False,
        positive=True,
    ),
]
"""A number of events in a second, held as a float."""
CarrierFrequency = Annotated[
    int,
    _Quantity(
        "frequency",
        HERTZ_PER_UNIT,
        "3.5GHz",
        _writer(HERTZ_PER_UNIT),
        readings=("MHz", "GHz"),
        most=100 * 10**9,
        positive=True,
    ),
]
"""A carrier frequency, a bandwidth or a subcarrier spacing, held as int Hz."""


def _signed(what: str, unit: str, example: str, most: int) -> _Quantity:
    units, write = {unit: Decimal(1)}, _write_plain(unit)
    return _Quantity(what, units, example, write, readings=(unit, unit), most=most, integer=False, signed=True)


Decibel = Annotated[float, _signed("level", "dB", "25dB", 200)]
"""A ratio in dB, held as a float."""
Power = Annotated[float, _signed("power", "dBm", "23dBm", 100)]
"""A power in dBm, held as a float."""
Length = Annotated[float, _signed("length", "m", "50m", 100_000)]
"""A coordinate or a height in metres, held as a float."""
Speed = Annotated[
    float,
    _Quantity(
        "speed",
        M_PER_S_PER_UNIT,
        "1.5m/s",
        _write_plain("m/s"),
        readings=("m/s", "km/h"),
        most=300,
        integer=False,
        signed=True,
    ),
]
"""A speed along an axis in m/s, held as a float."""
