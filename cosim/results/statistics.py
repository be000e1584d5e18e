"""Intervals for what runs measure, each with the assumption it rests on."""

from __future__ import annotations

from typing import NamedTuple

CONFIDENCE = 0.95


class Interval(NamedTuple):
    """A confidence interval; an end is None where the sample cannot bound it."""

    low: float | None
    high: float | None
