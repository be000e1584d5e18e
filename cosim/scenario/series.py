"""Long series of numbers as one text each, so that a resolved scenario stays a small file and reads back as itself."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from cosim.scenario.units import LONGEST_DURATION_NS

Samples = tuple[tuple[int, int], ...]

MOST_SAMPLES = 50_000
MOST_OPPORTUNITIES = 1_000_000
LONGEST_TEXT = 1_500_000
LONGEST_RTT_NS = 3600 * 10**9
LONGEST_DELIVERY_MS = 7 * 24 * 3600 * 1000

_NS_PER_MS, _NS_PER_S = 10**6, 10**9
_SAMPLE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?) ([0-9]{1,8}(?:\.[0-9]{1,6})?)")
_GAP = re.compile(r"([0-9]{1,12})(?:\*([1-9][0-9]{0,6}))?")


def _read(parse: Callable[[str], Any], what: str, example: str) -> Callable[[Any], Any]:
    """A validator that takes the text, or what was read from one before."""

    def read(value: Any) -> Any:
        try:
            if isinstance(value, str):
                return parse(value)
            if isinstance(value, tuple):
                return value
            raise ValueError(f"is no {what}")
        except ValueError as error:
            # Braces in the user's text would be read as placeholders of the message.
            text = {"what": str(error), "allowed": f'{what} such as "{example}"'}
            raise PydanticCustomError("quantity", "{what}; {allowed}", text) from None

    return read


@functools.lru_cache(maxsize=8)
def parse_samples(text: str) -> Samples:
    """Time and round-trip time of each sample, ns. Raises ValueError."""
    samples: list[tuple[int, int]] = []
    for number, item in enumerate(text.split(","), 1):
        match = _SAMPLE.fullmatch(item.strip())
        if match is None:
            raise ValueError(f"sample {number} is no time in s and round-trip time in ms")
        sample = int(Decimal(match[1]) * _NS_PER_S), int(Decimal(match[2]) * _NS_PER_MS)
        if sample[0] != 0 if not samples else sample[0] <= samples[-1][0]:
            raise ValueError(f"sample {number} is not at {'0' if not samples else 'a later time than the one before'}")
        if sample[0] > LONGEST_DURATION_NS or sample[1] > LONGEST_RTT_NS:
            raise ValueError(f"sample {number} is out of range")
        samples.append(sample)
    if len(samples) > MOST_SAMPLES:
        raise ValueError(f"has {len(samples)} samples, more than {MOST_SAMPLES}")
    return tuple(samples)


def write_samples(samples: Samples) -> str:
    """The text that `parse_samples` reads back."""
    return ", ".join(f"{_decimal(t_ns, _NS_PER_S)} {_decimal(rtt_ns, _NS_PER_MS)}" for t_ns, rtt_ns in samples)


@functools.lru_cache(maxsize=8)
def parse_opportunities(text: str) -> tuple[int, ...]:
    """Times of opportunities in ms, in order. Raises ValueError."""
    times_ms: list[int] = []
    t_ms = 0
    for number, item in enumerate(text.split(), 1):
        match = _GAP.fullmatch(item)
        if match is None:
            raise ValueError(f"item {number} is no gap in ms with or without a count")
        count = int(match[2] or 1)
        if len(times_ms) + count > MOST_OPPORTUNITIES:
            raise ValueError(f"has more than {MOST_OPPORTUNITIES} opportunities")
        t_ms += int(match[1])
        times_ms += [t_ms] * count
    if not 0 < t_ms <= LONGEST_DELIVERY_MS:
        raise ValueError("has no opportunity after 0 ms" if not t_ms else "is longer than 7 days")
    return tuple(times_ms)


def write_opportunities(times_ms: tuple[int, ...]) -> str:
    """The text that `parse_opportunities` reads back."""
    items, start, last_ms = [], 0, 0
    while start < len(times_ms):
        end = start + 1
        while end < len(times_ms) and times_ms[end] == times_ms[start]:
            end += 1
        count = f"*{end - start}" if end - start > 1 else ""
        items.append(f"{times_ms[start] - last_ms}{count}")
        last_ms, start = times_ms[start], end
    return " ".join(items)


def _decimal(value: int, scale: int) -> str:
    return f"{(Decimal(value) / scale).normalize():f}"


RttSamples = Annotated[
    Samples,
    PlainValidator(_read(parse_samples, "samples", "0 64.9, 1 65.2")),
    PlainSerializer(write_samples),
    WithJsonSchema({"type": "string"}),
]
"""Round-trip times over time from 0 on, held as pairs of ns."""
Opportunities = Annotated[
    tuple[int, ...],
    PlainValidator(_read(parse_opportunities, "opportunities", "0 1*3 2")),
    PlainSerializer(write_opportunities),
    WithJsonSchema({"type": "string"}),
]
"""Times at which 1504 bytes may leave, held as ms."""
