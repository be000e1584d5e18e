"""Values over time as a drawing needs them: exact where there are few, least and greatest of each bin where many."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cosim.clock import NS_PER_MS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# The width of a bin is a round multiple of this, so that the windows of link samples fall into bins whole.
UNIT_NS = 100 * NS_PER_MS
MAX_BINS = 2_000
# Changes of value that a series may have and still be drawn as they are.
MAX_CHANGES = 2_000
# 1 s: how long a measured value is drawn when no later one comes.
HOLD_WINDOWS = 10


@dataclass(frozen=True, slots=True)
class Grid:
    """Bins of equal width from the epoch to the end of what is drawn."""

    width_ns: int
    count: int

    @classmethod
    def over(cls, end_ns: int) -> Grid:
        """The finest of 100, 200, 500 ms, 1 s, ... with at most MAX_BINS bins."""
        power = UNIT_NS
        while True:
            for factor in (1, 2, 5):
                width_ns = factor * power
                if end_ns <= width_ns * MAX_BINS:
                    return cls(width_ns, max(math.ceil(end_ns / width_ns), 1))
            power *= 10

    @property
    def edges_ns(self) -> NDArray[np.int64]:
        """Starts of the bins and the end of the last."""
        import numpy as np

        return np.arange(self.count + 1, dtype=np.int64) * self.width_ns


@dataclass(frozen=True, slots=True)
class Envelope:
    """From `edges_ns[k]` to `edges_ns[k + 1]` a value lay between `low[k]` and `high[k]`; NaN: there was none.

    `mean` is over each bin's time, None where that is not known. Without bins (`binned`) low is high.
    """

    edges_ns: NDArray[np.int64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    mean: NDArray[np.float64] | None
    binned: bool

    @property
    def greatest(self) -> float | None:
        """The greatest value; None without one."""
        import numpy as np

        return None if np.isnan(self.high).all() else float(np.nanmax(self.high))


class Held:
    """A value that holds until its next sample; samples come in order of time, or nearly (a bin takes them all)."""

    def __init__(self, grid: Grid) -> None:
        import numpy as np

        self._grid = grid
        self._low = np.full(grid.count, np.inf)
        self._high = np.full(grid.count, -np.inf)
        self._last = np.full(grid.count, np.nan)
        self._t_ns = array("q")
        self._value = array("d")
        self._exact = True

    def add(self, t_ns: NDArray[np.int64], value: NDArray[np.float64]) -> None:
        """Add samples; those after the grid's end are left out."""
        import numpy as np

        inside = t_ns < self._grid.count * self._grid.width_ns
        t_ns, value = t_ns[inside], value[inside]
        if not len(t_ns):
            return
        places = t_ns // self._grid.width_ns
        np.minimum.at(self._low, places, value)
        np.maximum.at(self._high, places, value)
        self._last[places] = value
        if self._exact:
            before = self._value[-1] if self._value else math.nan
            changed = np.concatenate([[before], value[:-1]]) != value
            self._t_ns.extend(t_ns[changed].tolist())
            self._value.extend(value[changed].tolist())
            self._exact = len(self._t_ns) <= MAX_CHANGES

    def envelope(self, end_ns: int) -> Envelope:
        """What was added, until the end of the drawing."""
        import numpy as np

        if self._exact:
            order = np.argsort(np.frombuffer(self._t_ns, dtype=np.int64), kind="stable")
            edges = np.append(np.asarray(self._t_ns, dtype=np.int64)[order], end_ns)
            value = np.asarray(self._value, dtype=np.float64)[order]
            return Envelope(np.maximum.accumulate(edges), value, value, None, binned=False)
        # A bin also holds the value that was there when it began.
        filled = np.maximum.accumulate(np.where(np.isnan(self._last), -1, np.arange(self._grid.count)))
        begins = np.concatenate([[-1], filled[:-1]])
        carried = np.where(begins >= 0, self._last[np.maximum(begins, 0)], np.nan)
        low, high = np.fmin(self._low, carried), np.fmax(self._high, carried)
        empty = ~np.isfinite(low)
        low[empty], high[empty] = np.nan, np.nan
        return Envelope(self._grid.edges_ns, low, high, None, binned=True)


class Windows:
    """A value for each window of UNIT_NS, 0 where none was given; several for one window are added or compared."""

    def __init__(self, end_ns: int, *, greatest: bool = False) -> None:
        import numpy as np

        self._values = np.zeros(max(math.ceil(end_ns / UNIT_NS), 1))
        self._put = np.maximum if greatest else np.add

    def add(self, t_ns: NDArray[np.int64], value: NDArray[np.float64]) -> None:
        """Add the values of windows that end at `t_ns`."""
        import numpy as np

        places = np.clip(-(-t_ns // UNIT_NS) - 1, 0, len(self._values) - 1)
        self._put.at(self._values, places, value)

    @property
    def total(self) -> float:
        """Sum over all windows."""
        return float(self._values.sum())

    @property
    def mean(self) -> float:
        """Mean over all windows."""
        return float(self._values.mean())

    @property
    def used(self) -> NDArray[np.int64]:
        """Middles of the windows that were given something, in ns."""
        import numpy as np

        return np.flatnonzero(self._values) * UNIT_NS + UNIT_NS // 2

    def envelope(self, grid: Grid, scale: float = 1.0) -> Envelope:
        """The windows times `scale`, in the grid's bins."""
        import numpy as np

        values = self._values * scale
        each = grid.width_ns // UNIT_NS
        if each == 1:
            edges = np.arange(len(values) + 1, dtype=np.int64) * UNIT_NS
            return Envelope(edges, values, values, values, binned=False)
        starts = np.arange(0, len(values), each)
        lengths = np.diff([*starts, len(values)])
        edges = np.append(starts, len(values)) * UNIT_NS
        low, high = np.minimum.reduceat(values, starts), np.maximum.reduceat(values, starts)
        return Envelope(edges, low, high, np.add.reduceat(values, starts) / lengths, binned=True)


class Measured:
    """A value that a window of UNIT_NS has or has not; several for one window are averaged.

    A drawing shows the latest one for HOLD_WINDOWS windows at most.
    """

    def __init__(self, end_ns: int) -> None:
        import numpy as np

        self._sums = np.zeros(max(math.ceil(end_ns / UNIT_NS), 1))
        self._counts = np.zeros_like(self._sums)

    def add(self, t_ns: NDArray[np.int64], value: NDArray[np.float64]) -> None:
        """Add the values of windows that end at `t_ns`."""
        import numpy as np

        places = np.clip(-(-t_ns // UNIT_NS) - 1, 0, len(self._sums) - 1)
        np.add.at(self._sums, places, value)
        np.add.at(self._counts, places, 1)

    def known(self) -> NDArray[np.float64]:
        """The values of the windows that have one, in order of time."""
        there = self._counts > 0
        return self._sums[there] / self._counts[there]

    def envelope(self, grid: Grid) -> Envelope:
        """The values in the grid's bins; a bin that has none is empty."""
        import numpy as np

        places = np.arange(len(self._sums))
        latest = np.maximum.accumulate(np.where(self._counts > 0, places, -1))
        held = (latest >= 0) & (places - latest < HOLD_WINDOWS)
        at = np.maximum(latest, 0)
        values = np.where(held, self._sums[at] / np.maximum(self._counts[at], 1), np.nan)
        each = grid.width_ns // UNIT_NS
        starts = np.arange(0, len(values), each)
        counts = np.add.reduceat(held.astype(np.int64), starts)
        sums = np.add.reduceat(np.where(held, values, 0.0), starts)
        mean = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
        edges = np.append(starts, len(values)) * UNIT_NS
        low, high = np.fmin.reduceat(values, starts), np.fmax.reduceat(values, starts)
        return Envelope(edges, low, high, mean, binned=each > 1)
