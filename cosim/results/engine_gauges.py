"""Tracks of the time line from vLLM's own gauges: KV cache in use, preemptions, time in the scheduler's queue."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING

from cosim.clock import NS_PER_MS, NS_PER_S
from cosim.results.series import Grid, Held
from cosim.results.store import Samples
from cosim.results.terminal import number
from cosim.results.tracks import Track, band, x_ms

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Times = list[NDArray[np.int64]]
    Values = list[NDArray[np.float64]]

CACHE_HEIGHT = 24
QUEUE_TIME_HEIGHT = 16
KV_USE, PREEMPTIONS = "kv_cache_usage_perc", "num_preemptions"
QUEUE_TIME_SUM, QUEUE_TIME_COUNT = "request_queue_time_seconds_sum", "request_queue_time_seconds_count"
GAUGES = (KV_USE, PREEMPTIONS, QUEUE_TIME_SUM, QUEUE_TIME_COUNT)
# Marks of preemptions that are drawn one by one; more are one for each bin that has some.
MAX_MARKS = 1_000
GAUGE_COLOURS = {"KV cache in use": "#a9cfc2", "preemption": "#a61e2b", "time in the scheduler's queue": "#7a5aa6"}


@dataclass(slots=True)
class _Counter:
    """A value that only grows: its samples in order of time."""

    t_ns: Times = field(default_factory=list)
    value: Values = field(default_factory=list)

    def increases(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """When it grew and by how much."""
        import numpy as np

        if not self.t_ns:
            return np.empty(0, dtype=np.int64), np.empty(0)
        by = np.diff(np.concatenate(self.value), prepend=0.0)
        return np.concatenate(self.t_ns)[by > 0], by[by > 0]


class EngineGauges:
    """What the samples of an engine say of its KV cache and its queue."""

    def __init__(self, grid: Grid, end_ns: int) -> None:
        self._grid = grid
        self._end_ns = end_ns
        self._use: dict[str, Held] = {}
        self._counters: dict[tuple[str, str], _Counter] = {}

    def add(self, sample: Samples) -> None:
        """Take a sample of GAUGES; leave any other."""
        if sample.metric == KV_USE:
            self._use.setdefault(sample.source, Held(self._grid)).add(sample.t_ns, sample.value)
        elif sample.metric in GAUGES:
            counter = self._counters.setdefault((sample.source, sample.metric), _Counter())
            counter.t_ns.append(sample.t_ns)
            counter.value.append(sample.value)

    @property
    def engines(self) -> set[str]:
        """Those that gave a sample."""
        return {*self._use} | {engine for engine, _ in self._counters}

    def tracks(self, engine: str) -> list[Track]:
        """The engine's KV cache with its preemptions, and the queue time of its requests; without what never was."""
        return [track for track in (self._cache(engine), self._queue_time(engine)) if track is not None]

    def _cache(self, engine: str) -> Track | None:
        use = self._use[engine].envelope(self._end_ns) if engine in self._use else None
        most = (use.greatest or 0.0) if use is not None else 0.0
        when, by = self._counters.get((engine, PREEMPTIONS), _Counter()).increases()
        if not most and not len(when):
            return None
        preemptions = f"{by.sum():g}"
        track = Track(engine, CACHE_HEIGHT, "KV cache", notes=[f"max {most:.0%}", f"{preemptions} preempted"])
        track.numbers = [("KV cache in use", "", "", f"{most:.1%}"), ("preemptions", preemptions, "", "")]
        if use is not None and most:
            path = band(use, CACHE_HEIGHT, 1.0, from_zero=not use.binned)
            track.shapes.append(_path("band", path, "KV cache in use", filled=True))
        if len(when):
            if len(when) > MAX_MARKS:
                when = _first_of_bins(when, self._grid)
            marks = "".join(f"M{x_ms(t_ns)} 0v{CACHE_HEIGHT}" for t_ns in when)
            track.shapes.append(_path("stair", marks, "preemption"))
        return track

    def _queue_time(self, engine: str) -> Track | None:
        """Mean queue time of the requests that were scheduled since the sample before, held until the next."""
        import numpy as np

        total, count = (
            self._counters.get((engine, metric), _Counter()) for metric in (QUEUE_TIME_SUM, QUEUE_TIME_COUNT)
        )
        when, requests = count.increases()
        if not len(when):
            return None
        sums = np.concatenate(total.value)[np.searchsorted(np.concatenate(total.t_ns), when, side="right") - 1]
        mean_ms = np.diff(sums, prepend=0.0) / requests * NS_PER_S / NS_PER_MS
        held = Held(self._grid)
        held.add(when, mean_ms)
        envelope = held.envelope(self._end_ns)
        most_ms, overall_ms = envelope.greatest or 0.0, float(sums[-1] / requests.sum()) * NS_PER_S / NS_PER_MS
        if not most_ms:
            return None
        track = Track(engine, QUEUE_TIME_HEIGHT, "queue time", notes=[f"mean {number(overall_ms)} ms"])
        track.numbers = [("queue time, ms", f"{requests.sum():g}", f"{overall_ms:.2f}", f"{most_ms:.2f}")]
        path = band(envelope, QUEUE_TIME_HEIGHT, most_ms)
        track.shapes.append(_path("band" if envelope.binned else "stair", path, "time in the scheduler's queue"))
        return track


def _path(kind: str, path: str, title: str, *, filled: bool = False) -> str:
    colour = GAUGE_COLOURS[title]
    fill = f' fill="{colour}"' if filled or kind == "band" else ""
    return f'<path class="{kind}"{fill} stroke="{colour}" d="{path}"><title>{escape(title)}</title></path>'


def _first_of_bins(t_ns: NDArray[np.int64], grid: Grid) -> NDArray[np.int64]:
    import numpy as np

    _, first = np.unique(t_ns // grid.width_ns, return_index=True)
    return t_ns[first]
