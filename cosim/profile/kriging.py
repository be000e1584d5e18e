"""Kriging of values that were measured with errors at scattered points."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]
# What is tried for the variogram: its slope, the standard deviation of what members of a group have in common and no
# other has, and that of an error that all measured values have besides what their samples tell (a machine that was
# slower for a while).
SLOPES = (1e-4, 1e-3, 1e-2)
GROUP_DEVIATIONS = (0.0, 0.03, 0.1)
COMMON_ERRORS = (0.0, 0.03, 0.1)
# The choice among them looks at this many points at most; its cost grows with their cube.
MOST_TRIED = 300
# Of log scores, by which they count as equal: their last bits follow the CPU.
DECIMALS = 6


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
    """Ordinary kriging with known errors of measurement (Cressie 1993, 3.2.1 and 3.2.3).

    The variogram is nested (Cressie 1993, 2.3): linear in the distance, and a constant between points of different
    groups. `standard_errors`: of each value, as its samples tell it. Slope, deviation of the groups and common error
    are those under which each value is predicted best by the others.
    """

    def __init__(self, points: Vector, groups: Vector, values: Vector, standard_errors: Vector) -> None:
        n = len(values)
        distances, apart = _distances(points), groups[:, None] != groups[None, :]
        # At random, since every so many-th may be one of each group.
        tried = np.sort(np.random.Generator(np.random.PCG64(0)).permutation(n)[:MOST_TRIED])
        some = np.ix_(tried, tried)
        different = len(np.unique(groups[tried]))
        deviations = GROUP_DEVIATIONS if 1 < different < len(tried) else GROUP_DEVIATIONS[:1]

        def log_score(slope: float, deviation: float, common: float) -> float:
            variogram = slope * distances[some] + deviation**2 * apart[some]
            return round(_solve(variogram, values[tried], standard_errors[tried], common).log_score, DECIMALS)

        self._slope, self.group_deviation, self.common_error = max(
            itertools.product(SLOPES, deviations, COMMON_ERRORS), key=lambda chosen: log_score(*chosen)
        )
        variogram = self._slope * distances + self.group_deviation**2 * apart
        solved = _solve(variogram, values, standard_errors, self.common_error)
        self._groups = groups
        self._weights = solved.weights
        self._mean = solved.mean
        self.leave_one_out_errors = solved.errors

    def at(self, distances: Vector, group: float) -> float:
        """The value at a point of a group that is so far from each measured one."""
        variogram = self._slope * distances + self.group_deviation**2 * (self._groups != group)
        return self._mean - float(self._weights.dot(variogram))


def _distances(points: Vector) -> Vector:
    offsets = points[:, None, :] - points[None, :, :]
    squares: Vector = np.einsum("ijk,ijk->ij", offsets, offsets)
    return np.sqrt(squares)


def _solve(variogram: Vector, values: Vector, standard_errors: Vector, common: float) -> _Solved:
    """Weights of the points, and by the diagonal of the inverse (Dubrule 1983) how others predict each value."""
    n = len(values)
    system = np.ones((n + 1, n + 1))
    system[:n, :n] = -variogram
    # An exact solution of no error at all need not exist: two points may differ by less than a double tells.
    system[np.arange(n), np.arange(n)] = standard_errors**2 + common**2 + 1e-9
    system[n, n] = 0.0
    inverse = np.linalg.inv(system)
    solved = inverse[:, :n] @ values
    own = np.diag(inverse)[:n]
    return _Solved(solved[:n], float(solved[n]), solved[:n] / own, np.maximum(1.0 / own, 1e-12))
