"""Axes of a sweep's charts: where the values of a swept key stand, and what is written beside them."""

from __future__ import annotations

import itertools
import json
import math
import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from cosim.results.charts import TICK_LETTER_WIDTH, shorten, ticks
from cosim.scenario.units import quantity, units_beside

Kind = Literal["linear", "log", "category"]

# Up to so many values each has a tick of its own, px between the labels of two.
OWN_TICKS, TICK_GAP = 10, 8
# A log axis is for a range of at least this (largest over least positive value) that it spreads so much better.
LOG_FROM, LOG_GAIN = 10.0, 1.5
# Room left of the least positive value for a zero on a log axis, as a share of the axis.
ZERO_ROOM = 0.2


@dataclass(frozen=True, slots=True)
class Axis:
    """The values of a swept key: numbers from least to greatest in one unit, or categories in the user's order.

    `texts` are the values as the user wrote them, `numbers` are empty for categories, `positions` are in [0, 1].
    """

    key: str
    kind: Kind
    unit: str
    texts: tuple[str, ...]
    numbers: tuple[float, ...]
    positions: tuple[float, ...]
    _place: dict[object, int]

    def place(self, value: Any) -> int:
        """Which of the values this one is."""
        return self._place[_identity(value)]

    @property
    def name(self) -> str:
        """The key with its unit."""
        return self.key + (f", {self.unit}" if self.unit else "")

    @property
    def title(self) -> str:
        """The same with a word for a log axis."""
        return self.name + (" (log)" if self.kind == "log" else "")

    def ticks(self, width: float) -> list[tuple[float, str, str]]:
        """Position, label and full label of the ticks that have room on an axis of this many px."""
        if self.kind == "category":
            letters = max(int((width / max(len(self.texts), 1) - TICK_GAP) / TICK_LETTER_WIDTH), 3)
            found = [
                (position, shorten(text, letters), text)
                for position, text in zip(self.positions, self.texts, strict=True)
            ]
        else:
            found = [(position, f"{number:g}", f"{number:g}") for position, number in self._numbers()]
        return thin(found, width)

    def _numbers(self) -> list[tuple[float, float]]:
        if len(self.numbers) <= OWN_TICKS or self.kind == "log":
            values = list(zip(self.positions, self.numbers, strict=True))
            return values if len(values) <= OWN_TICKS else _decades(self.positions, self.numbers)
        low, high = self.numbers[0], self.numbers[-1]
        return [((tick - low) / (high - low), tick) for tick in ticks(low, high, 6)]


def text_of(value: Any) -> str:
    """A swept value as text: a string as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def axis_of(key: str, values: Iterable[Any]) -> Axis:
    """The axis of a key from its value at each point; numeric if every value is a number of one kind of unit."""
    distinct: dict[object, Any] = {}
    for value in values:
        distinct.setdefault(_identity(value), value)
    quantities = [_quantity(value) for value in distinct.values()]
    numeric = [found for found in quantities if found is not None]
    sizes = _common_units([unit for number, unit in numeric if number or unit])
    if not numeric or len(numeric) < len(quantities) or sizes is None:
        texts = tuple(text_of(value) for value in distinct.values())
        places: dict[object, int] = {}
        for value in distinct:
            places[value] = len(places)
        return Axis(key, "category", "", texts, (), _even(len(texts)), places)
    unit = Counter(unit for number, unit in numeric if number or unit).most_common(1)
    name = unit[0][0] if unit else ""
    scaled = [number * (sizes[of] if number else 1) / sizes[name] for number, of in numeric]
    by_number: dict[Decimal, str] = {}
    for number, value in zip(scaled, distinct.values(), strict=True):
        by_number.setdefault(number, text_of(value))
    ordered = sorted(by_number)
    rank = {number: place for place, number in enumerate(ordered)}
    numbers = tuple(float(number) for number in ordered)
    kind, positions = _scale(numbers)
    places = {identity: rank[number] for identity, number in zip(distinct, scaled, strict=True)}
    return Axis(key, kind, name, tuple(by_number[number] for number in ordered), numbers, positions, places)


def thin(found: Sequence[tuple[float, str, str]], width: float) -> list[tuple[float, str, str]]:
    """Of labels in order those that do not run into one another: the first, the last, and what fits between."""

    def half(label: str) -> float:
        return TICK_LETTER_WIDTH * len(label) / 2

    kept: list[tuple[float, str, str]] = []
    for number, (position, label, full) in enumerate(found):
        clear = not kept or (position - kept[-1][0]) * width >= half(label) + half(kept[-1][1]) + TICK_GAP
        if not clear and number == len(found) - 1 and len(kept) > 1:
            before = kept[-2]
            if (position - before[0]) * width >= half(label) + half(before[1]) + TICK_GAP:
                kept.pop()
                clear = True
        if clear:
            kept.append((position, label, full))
    return kept


def log_positions(numbers: Sequence[float]) -> tuple[float, ...]:
    """Places in [0, 1] of ascending numbers that are not negative; a zero stands left of the least positive one."""
    positive = [number for number in numbers if number > 0]
    low, high = math.log10(positive[0]), math.log10(positive[-1])
    start = ZERO_ROOM if len(positive) < len(numbers) else 0.0
    if high == low:
        return tuple((1 + start) / 2 if number > 0 else 0.0 for number in numbers)
    return tuple(
        start + (1 - start) * (math.log10(number) - low) / (high - low) if number > 0 else 0.0 for number in numbers
    )


def _identity(value: Any) -> object:
    """What makes two values the same place: 1 and true are two values, 1 and "1" as well."""
    return type(value).__name__, text_of(value)


def _quantity(value: Any) -> tuple[Decimal, str] | None:
    """A value's number and unit, or None if it is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    return quantity(str(value))


def _common_units(units: Sequence[str]) -> dict[str, Decimal] | None:
    """The units among which all of these are, with their sizes; a zero needs none."""
    common = units_beside(units[0] if units else "")
    return common if all(unit in common for unit in units) else None


def _scale(numbers: tuple[float, ...]) -> tuple[Kind, tuple[float, ...]]:
    """A log axis where that sets the values further apart than a linear one."""
    low, high = numbers[0], numbers[-1]
    if high == low:
        return "linear", tuple(0.5 for _ in numbers)
    linear = tuple((number - low) / (high - low) for number in numbers)
    positive = [number for number in numbers if number > 0]
    if low < 0 or len(positive) < 2 or positive[-1] / positive[0] < LOG_FROM:
        return "linear", linear
    log = log_positions(numbers)
    return ("log", log) if _apart(log) > LOG_GAIN * _apart(linear) else ("linear", linear)


def _apart(positions: Sequence[float]) -> float:
    """How far apart values stand: the least distance of a few, the median one of many."""
    gaps = [after - before for before, after in itertools.pairwise(positions)]
    return min(gaps) if len(gaps) < OWN_TICKS else statistics.median(gaps)


def _decades(positions: Sequence[float], numbers: Sequence[float]) -> list[tuple[float, float]]:
    """Powers of ten within the range of a log axis, or its ends and the middle where there are fewer than two."""
    known = [(position, number) for position, number in zip(positions, numbers, strict=True) if number > 0]
    (first, low), (last, high) = known[0], known[-1]
    found = [(positions[0], 0.0)] if numbers[0] == 0 else []
    exponents = range(math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9) + 1)
    if len(exponents) < 2:
        return [*found, *(known[k] for k in (0, len(known) // 2, -1))]
    span = math.log10(high / low)
    return [*found, *((first + (last - first) * (k - math.log10(low)) / span, 10.0**k) for k in exponents)]


def _even(count: int) -> tuple[float, ...]:
    return tuple((place + 0.5) / count for place in range(count))
