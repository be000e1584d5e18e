"""Which load a capacity search tries next: by doubling, by halving what lies between, then around what was found."""

from __future__ import annotations

from dataclasses import dataclass

from cosim.results.capacity import Curve

# Loads tried on each side of the capacity to bound its interval.
MOST_NEIGHBOURS = 4


@dataclass(frozen=True, slots=True)
class Bracket:
    """The range of loads that is searched, and its resolution: `low` + k * `step` below `high`, and `high` itself."""

    low: float
    high: float
    step: float

    def next_load(self, curve: Curve) -> float | None:
        """The next load to try; None when the capacity and both ends of its interval are settled, or cannot be."""
        if not curve.results:
            return self.low
        return self._further(curve) or self._between(curve) or self._below(curve) or self._above(curve)

    def _further(self, curve: Curve) -> float | None:
        """Twice the largest load, or a step beyond it if that is more, until one clearly misses the target."""
        largest = max(curve.results)
        doubled = self._on_grid(max(2 * largest, largest + self.step))
        return doubled if curve.smallest_clear_miss() is None and largest < doubled else None

    def _between(self, curve: Curve) -> float | None:
        met, missed = curve.largest_met(), curve.smallest_missed()
        if met is None or missed is None:
            return None
        middle = self._on_grid((met + missed) / 2)
        return middle if met < middle < missed else None

    def _below(self, curve: Curve) -> float | None:
        """A load below the capacity, until one is sure to be met by a repetition."""
        met = curve.largest_met()
        if met is None or curve.lower_end() is not None:
            return None
        return self._untried([met - k * self.step for k in range(1, MOST_NEIGHBOURS + 1)], curve)

    def _above(self, curve: Curve) -> float | None:
        """A load beyond the capacity, until one clearly misses the target."""
        met, clear = curve.largest_met(), curve.smallest_clear_miss()
        if met is None or clear is None:
            return None
        loads = [met + k * self.step for k in range(1, MOST_NEIGHBOURS + 1)]
        return self._untried([load for load in loads if load < clear], curve)

    def _untried(self, loads: list[float], curve: Curve) -> float | None:
        grid = [self._on_grid(load) for load in loads]
        return next((load for load in grid if load not in curve.results), None)

    def _on_grid(self, load: float) -> float:
        if load >= self.high:
            return self.high
        steps = round((max(load, self.low) - self.low) / self.step)
        return min(self.low + steps * self.step, self.high)
