"""Durations over a region of measured shapes: medians by kriging, spread from the nearest samples."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cosim.profile.kriging import Kriging

Shape = tuple[float, ...]
Vector = npt.NDArray[np.float64]
NEIGHBOURS = 3
# Relative, of one sample: where all samples are equal, as a coarse clock makes them.
LEAST_DEVIATION = 1e-3
# What is computed is rounded to this: the last bits of a sum follow the CPU and its number of threads, a run must not.
GRAIN_NS = 100
# The trend is nowhere below this share of the shortest measured median, so that its log exists.
LEAST_TREND = 0.1
# Relative: the trend of a shape at the edge.
ROUNDING = 1e-9


class Drawn(NamedTuple):
    """A duration and whether its shape lies inside the measured region."""

    duration_ns: int
    inside: bool


class Surface:
    """Durations of shapes (vectors of features that are not negative), by what was measured at some of them.

    A measured shape has its own samples. Another's median: a trend of the features' terms with weights that are not
    negative, fitted to relative errors (Lawson and Hanson 1974, NNLS), times a correction, the log of which is kriged
    over the logs of the features; `grouped` ones with the same first feature have something in common that their
    neighbours have not. Its spread: the quantile functions of the nearest measured shapes, relative to their
    medians, weighted by samples over distance and read at the same draw. What is not measured is in whole GRAIN_NS.

    Inside: each feature is between measured ones, and what the features cost together, by the trend, between what it is
    of measured shapes. So a shape that is large in several features at once is inside only if one was measured that
    costs as much. (That a single measured shape be as large in all is too much to ask: an engine's limits trade
    features for one another, more images of a batch are smaller ones.)
    Outside, a duration is never below that of the nearest measured shape at the same draw.
    """

    def __init__(
        self,
        shapes: Sequence[Shape],
        samples: Sequence[Sequence[int]],
        terms: Callable[[Shape], Sequence[float]],
        *,
        grouped: bool = False,
    ) -> None:
        merged: dict[Shape, list[int]] = {}
        for shape, values in zip(shapes, samples, strict=True):
            merged.setdefault(shape, []).extend(values)
        self.samples = [np.sort(np.array(values, dtype=np.float64)) for values in merged.values()]
        self.medians = np.array([np.median(values) for values in self.samples])
        self.shapes = np.array(list(merged), dtype=np.float64)
        self._own = {shape: index for index, shape in enumerate(merged)}
        self._terms = terms
        self._groups = self.shapes[:, 0] if grouped else np.zeros(len(self.shapes))
        self._relative = [(values / median).tolist() for values, median in zip(self.samples, self.medians, strict=True)]
        positive = np.where(self.shapes > 0, self.shapes, np.inf).min(axis=0)
        self._scale: list[float] = np.where(np.isfinite(positive), positive, 1.0).tolist()
        self._points = np.log1p(self.shapes / self._scale)
        self._smallest: Shape = tuple(self.shapes.min(axis=0).tolist())
        self._largest: Shape = tuple(self.shapes.max(axis=0).tolist())
        self._last_neighbour = min(NEIGHBOURS, len(merged)) - 1
        self._trend = self._fit_trend()
        self._least = LEAST_TREND * float(self.medians.min())
        trend = [self._trend_at(tuple(shape)) for shape in self.shapes]
        self._cheapest, self._dearest = min(trend) * (1 - ROUNDING), max(trend) * (1 + ROUNDING)
        self._correction = self._fit_correction(np.array(trend))

    def draw(self, shape: Shape, draw: float) -> Drawn:
        """The duration of a shape at a quantile in [0, 1)."""
        inside = self._is_inside(shape)
        own = self._own.get(shape)
        if own is not None:
            samples = self.samples[own]
            return Drawn(round(float(samples[int(draw * len(samples))])), inside)
        distances = self._distances(shape)
        median = self._median(shape, distances)
        if not inside:
            median = max(median, float(self.medians[distances.argmin()]))
        return Drawn(GRAIN_NS * max(1, round(median * self._spread(distances, draw) / GRAIN_NS)), inside)

    def _spread(self, distances: Vector, draw: float) -> float:
        """A quantile relative to the median."""
        total = weights = 0.0
        for index in distances.argpartition(self._last_neighbour)[: self._last_neighbour + 1].tolist():
            relative = self._relative[index]
            weight = len(relative) / float(distances[index])
            total += weight * relative[int(draw * len(relative))]
            weights += weight
        return total / weights

    def leave_one_out(self) -> Vector:
        """Relative error of each measured median as the other shapes predict it; the trend is fitted to all."""
        error: Vector = np.expm1(-self._correction.leave_one_out_errors)
        return error

    def _distances(self, shape: Shape) -> Vector:
        offsets = self._points - [math.log1p(value / scale) for value, scale in zip(shape, self._scale, strict=True)]
        squares: Vector = np.einsum("ij,ij->i", offsets, offsets)
        return np.sqrt(squares)

    def _is_inside(self, shape: Shape) -> bool:
        return (
            all(map(operator.le, self._smallest, shape))
            and all(map(operator.le, shape, self._largest))
            and self._cheapest <= self._trend_at(shape) <= self._dearest
        )

    def _median(self, shape: Shape, distances: Vector) -> float:
        return self._trend_at(shape) * math.exp(self._correction.at(distances, shape[0]))

    def _trend_at(self, shape: Shape) -> float:
        return max(math.fsum(map(operator.mul, self._terms(shape), self._trend)), self._least)

    def _fit_trend(self) -> list[float]:
        from scipy.optimize import nnls

        design = np.array([self._terms(tuple(shape)) for shape in self.shapes]) / self.medians[:, None]
        size = np.maximum(np.abs(design).max(axis=0), 1e-300)
        weights, _ = nnls(design / size, np.ones(len(self.medians)))
        fitted: list[float] = (weights / size).tolist()
        return fitted

    def _fit_correction(self, trend: Vector) -> Kriging:
        errors = np.array([_standard_error(values) for values in self.samples])
        return Kriging(self._points, self._groups, np.log(self.medians / trend), errors)


def _standard_error(samples: Vector) -> float:
    """Of the log of a median, from the quartiles of its samples as if they were log-normal."""
    low, high = np.quantile(np.log(samples), (0.25, 0.75))
    deviation = max((high - low) / 1.349, LEAST_DEVIATION)
    return float(math.sqrt(math.pi / 2) * deviation / math.sqrt(len(samples)))
