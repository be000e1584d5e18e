"""Kriging of values that were measured with errors at scattered points."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]
# What is tried for the variogram: its slope, and the standard deviation of an error that all measured values have
# besides what their samples tell (a machine that was slower for a while).
SLOPES = (1e-4, 1e-3, 1e-2)
COMMON_ERRORS = (0.0, 0.03, 0.1)
# The choice among them looks at this many points at most; its cost grows with their cube.
MOST_TRIED = 100


class _Solved(NamedTuple):
    weights: Vector
    mean: float
    errors: Vector
    variances: Vector

    @property
    def log_score(self) -> float:
        """Log density of each value given all others (Rasmussen and Williams 2006, 5.4.2)."""
        return float(-0.5 * np.sum(self.errors**2 / self.variances + np.log(self.variances)))


class Kriging:
    """Ordinary kriging with a linear variogram and known errors of measurement (Cressie 1993, 3.2.1 and 3.2.3).

    `standard_errors`: of each value, as its samples tell it. Slope and common error are those under which each value
    is predicted best by the others.
    """

    def __init__(self, points: Vector, values: Vector, standard_errors: Vector) -> None:
        n = len(values)
        tried = slice(None, None, max(1, -(-n // MOST_TRIED)))
        near = _distances(points[tried])
        self._slope, self.common_error = max(
            itertools.product(SLOPES, COMMON_ERRORS),
            key=lambda pair: _solve(near, values[tried], standard_errors[tried], *pair).log_score,
        )
        solved = _solve(_distances(points), values, standard_errors, self._slope, self.common_error)
        self._weights = self._slope * solved.weights
        self._mean = solved.mean
        self.leave_one_out_errors = solved.errors

    def at(self, distances: Vector) -> float:
        """The value at a point that is so far from each measured one."""
        return self._mean - float(self._weights.dot(distances))


def _distances(points: Vector) -> Vector:
    offsets = points[:, None, :] - points[None, :, :]
    squares: Vector = np.einsum("ijk,ijk->ij", offsets, offsets)
    return np.sqrt(squares)


def _solve(distances: Vector, values: Vector, standard_errors: Vector, slope: float, common: float) -> _Solved:
    """Weights of the points, and by the diagonal of the inverse (Dubrule 1983) how others predict each value."""
    n = len(values)
    system = np.ones((n + 1, n + 1))
    system[:n, :n] = -slope * distances
    # An exact solution of no error at all need not exist: two points may differ by less than a double tells.
    system[np.arange(n), np.arange(n)] = standard_errors**2 + common**2 + 1e-9
    system[n, n] = 0.0
    inverse = np.linalg.inv(system)
    solved = inverse[:, :n] @ values
    own = np.diag(inverse)[:n]
    return _Solved(solved[:n], float(solved[n]), solved[:n] / own, np.maximum(1.0 / own, 1e-12))
