"""Runs a point in a process of its own, since nothing of ns-3 runs in another."""

from __future__ import annotations

from typing import Any

from benchmarks.child import answer
from benchmarks.nr_rig.exchange import Measured
from benchmarks.nr_rig.figures import figures
from benchmarks.nr_rig.point import Point


def measure(point: Point) -> dict[str, Any]:
    """The figures of a point. Raises ImpossibleCell, RigError."""
    request = point.request()
    return figures(point.load, request, answer("benchmarks.nr_rig.child", request, Measured))
