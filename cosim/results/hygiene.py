"""How steady the measurements of one engine were, from its executed lines of steps.jsonl.

Equal steps are those of an engine with the same prefill tokens, decode sequences, encoder tokens and images. Their
context grows by a token per sequence and step, so their time is taken relative to a line in context tokens.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cosim.results.records import FrontendRecord, StepRecord

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

# A group of fewer equal steps says more of the line that is fitted to it than of the noise around that line.
MIN_EQUAL_STEPS = 10
# Pairs of blocks grow with the square; medians of consecutive steps keep all steps in the slope.
DRIFT_BLOCKS = 200
# 1.4826 MAD is a normal distribution's standard deviation (Rousseeuw and Croux 1993, 10.1080/01621459.1993.10476408).
MAD_TO_SD = 1.4826
Z_95 = 1.959964
# A few steps close together can stand for any slope; this is a growth by 22,000.
MAX_LOG_CHANGE = 10.0

Shape = tuple[int, int, int, int]


@dataclass(slots=True)
class _Equal:
    """Steps of one shape: their context tokens, when they started and how long they took (ns)."""

    context_tokens: array[int] = field(default_factory=lambda: array("q"))
    start_ns: array[int] = field(default_factory=lambda: array("q"))
    duration_ns: array[int] = field(default_factory=lambda: array("q"))


class EngineHygiene:
    """Takes the steps and front ends of one engine in the order of the file; only what was executed counts."""

    def __init__(self) -> None:
        self._executed_ns = 0
        self._first_ns: int | None = None
        self._last_ns = 0
        self._wait_ns = 0
        self._wait_known_ns = 0
        self._clocks_mhz: list[float] = []
        self._equal: dict[Shape, _Equal] = {}

    def add(self, line: StepRecord | FrontendRecord) -> None:
        """Count a line; `wall_*_ns` hold the measured time, before `time_scale`."""
        start_ns, end_ns, conditions = line.wall_start_ns, line.wall_end_ns, line.conditions
        if line.source != "executed" or start_ns is None or end_ns is None:
            return
        duration_ns = end_ns - start_ns
        self._executed_ns += duration_ns
        self._first_ns = start_ns if self._first_ns is None else min(self._first_ns, start_ns)
        self._last_ns = max(self._last_ns, end_ns)
        if conditions is not None:
            if conditions.cpu_wait_ns is not None:
                self._wait_ns += conditions.cpu_wait_ns
                self._wait_known_ns += duration_ns
            clock_mhz = conditions.cpu_mhz if conditions.gpu_mhz is None else conditions.gpu_mhz
            if clock_mhz is not None:
                self._clocks_mhz.append(clock_mhz)
        if isinstance(line, StepRecord):
            signature = line.signature
            shape = (
                signature.prefill_tokens,
                signature.decode_sequences,
                signature.encoder_tokens,
                signature.images,
            )
            equal = self._equal.setdefault(shape, _Equal())
            equal.context_tokens.append(signature.context_tokens)
            equal.start_ns.append(start_ns)
            equal.duration_ns.append(max(1, duration_ns))

    def summary(self) -> dict[str, Any] | None:
        """`engines.NAME.hygiene` of summary.json; None if nothing was executed.

        `duty_cycle`: executed wall time / wall time from the first executed thing to the last. `cpu_wait_share`: time
        waiting for a CPU / executed wall time, of what tells. `equal_step_noise`: 1.4826 median |r| over all equal
        steps, r = duration / line of its shape - 1 (a robust relative standard deviation). `step_drift`: relative
        change of step time from the first executed thing to the last, by the slope of log(1 + r) over the wall clock,
        with its 95 % interval.
        """
        if self._first_ns is None:
            return None
        import numpy as np

        span_ns = self._last_ns - self._first_ns
        groups = [equal for equal in self._equal.values() if len(equal.duration_ns) >= MIN_EQUAL_STEPS]
        residuals = [_residuals(equal) for equal in groups]
        drift = _drift(
            [(_floats(equal.start_ns), np.log1p(values)) for equal, values in zip(groups, residuals, strict=True)],
            span_ns,
        )
        return {
            "duty_cycle": self._executed_ns / span_ns if span_ns else None,
            "cpu_wait_share": self._wait_ns / self._wait_known_ns if self._wait_known_ns else None,
            "equal_step_noise": MAD_TO_SD * float(np.median(np.abs(np.concatenate(residuals)))) if groups else None,
            "equal_steps": sum(len(equal.duration_ns) for equal in groups),
            "step_drift": drift[0],
            "step_drift_low": drift[1],
            "step_drift_high": drift[2],
            "clock_mhz": {
                "median": float(np.median(self._clocks_mhz)),
                "min": float(min(self._clocks_mhz)),
                "max": float(max(self._clocks_mhz)),
            }
            if self._clocks_mhz
            else None,
        }


def _residuals(equal: _Equal) -> Floats:
    """Durations relative to the line through them over context tokens, less 1.

    Slope: median of the slopes of pairs half the sample apart (Theil 1950, the incomplete method); offset: median of
    what remains. A sample without two contexts, or whose line reaches zero, has its median for a line. Where the
    context grows with the run, as in one long request, the line takes a drift for its own.
    """
    import numpy as np

    context, duration = _floats(equal.context_tokens), _floats(equal.duration_ns)
    order = np.argsort(context, kind="stable")
    half = len(order) // 2
    low, high = order[:half], order[len(order) - half :]
    apart = context[high] > context[low]
    slope = 0.0
    if apart.any():
        low, high = low[apart], high[apart]
        slope = float(np.median((duration[high] - duration[low]) / (context[high] - context[low])))
    line = slope * context + np.median(duration - slope * context)
    if line.min() <= 0:
        line = np.full_like(duration, max(float(np.median(duration)), 1.0))
    residuals: Floats = duration / line - 1.0
    return residuals


def _drift(groups: list[tuple[Floats, Floats]], span_ns: int) -> tuple[float | None, float | None, float | None]:
    """Relative change of (time, log ratio) samples over the span, and its 95 % interval.

    Median of the slopes of all pairs within a group (seasonal Kendall slope, Hirsch, Slack and Smith 1982,
    10.1029/WR018i001p00107); the interval takes the slopes at the ranks that Kendall's variance gives (Gilbert 1987,
    17.5). It assumes independent blocks: noise in long bursts makes it too narrow.
    """
    import numpy as np

    slopes, variance = [], 0.0
    for start_ns, log_ratio in groups:
        order = np.argsort(start_ns, kind="stable")
        blocks = np.array_split(order, min(len(order), DRIFT_BLOCKS))
        t_ns = np.array([np.median(start_ns[block]) for block in blocks])
        value = np.array([np.median(log_ratio[block]) for block in blocks])
        before, after = np.triu_indices(len(blocks), 1)
        apart = t_ns[after] > t_ns[before]
        before, after = before[apart], after[apart]
        slopes.append((value[after] - value[before]) / (t_ns[after] - t_ns[before]))
        n = len(blocks)
        variance += n * (n - 1) * (2 * n + 5) / 18
    growth = np.sort(np.concatenate(slopes)) * span_ns if slopes else np.empty(0)
    if not growth.size:
        return None, None, None
    pooled = np.expm1(np.minimum(growth, MAX_LOG_CHANGE))
    reach = Z_95 * variance**0.5
    low = max(0, int((pooled.size - reach) / 2) - 1)
    high = min(pooled.size - 1, int((pooled.size + reach) / 2) + 1)
    return float(np.median(pooled)), float(pooled[low]), float(pooled[high])


def _floats(values: array[int]) -> Floats:
    import numpy as np

    return np.asarray(values, dtype=np.float64)
