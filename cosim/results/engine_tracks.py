"""Tracks of the time line: steps, queues and gauges of each engine."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from html import escape

from cosim.clock import NS_PER_MS, NS_PER_S
from cosim.results.engine_gauges import EngineGauges
from cosim.results.records import StepRecord, StepsLine
from cosim.results.series import Grid, Held
from cosim.results.store import Samples
from cosim.results.tracks import Track, band, stacked, x_ms

MAX_STEPS = 12_000
MAX_ENGINES = 24
STEP_HEIGHT = 16
QUEUE_HEIGHT = 24

STEP_COLOURS = {"step with prefill": "#4a63b0", "step of decodes only": "#9db3e0"}
# Counts of requests, drawn on one scale for each engine; the first is filled.
QUEUES = {
    "num_requests_running": ("running", "#b7bfc8"),
    "num_requests_waiting": ("waiting in the scheduler", "#e0401a"),
    "frontend_queue": ("waiting for the front end", "#a8741a"),
    "egress_queue": ("waiting for the egress", "#2f9e44"),
}


def _integers() -> array[int]:
    return array("q")


@dataclass(slots=True)
class _Steps:
    """An engine's steps: starts and durations by kind while they are few, and in any case ns in each bin by kind.

    `busy_ns` counts what lies before the end of the drawing.
    """

    bins: list[list[int]]
    spans: tuple[array[int], array[int]] = field(default_factory=lambda: (_integers(), _integers()))
    count: int = 0
    total_ns: int = 0
    busy_ns: int = 0
    longest_ns: int = 0


def engine_tracks(
    steps: Iterable[StepsLine],
    queues: dict[str, dict[str, Held]],
    gauges: EngineGauges,
    order: list[str],
    grid: Grid,
    end_ns: int,
) -> tuple[list[Track], list[str]]:
    """Steps, queues and gauges of each engine, in this order, others after it; MAX_ENGINES engines at most.

    Steps are drawn one by one while the run has at most MAX_STEPS, then as the busy share of each bin.
    """
    found, exact = _read(steps, grid, end_ns)
    known = {*found} | {*queues} | gauges.engines
    engines = [name for name in order if name in known]
    engines += sorted(known - set(engines))
    notes = []
    if len(engines) > MAX_ENGINES:
        notes.append(f"The first {MAX_ENGINES} of {len(engines)} engines are drawn.")
    if not exact:
        count = sum(engine.count for engine in found.values())
        notes.append(f"The run has {count} steps, so they are drawn as the busy share of bins of {_width(grid)}.")
    tracks = []
    for name in engines[:MAX_ENGINES]:
        if name in found:
            tracks.append(_step_track(name, found[name], grid, end_ns, exact=exact))
        depths, binned = _queue_track(name, queues.get(name, {}), end_ns)
        tracks += [depths] if depths else []
        tracks += gauges.tracks(name)
        if binned and not any("queue" in note for note in notes):
            notes.append(f"Long series of queue depths are drawn as least to greatest in bins of {_width(grid)}.")
    return tracks, notes


def _width(grid: Grid) -> str:
    return f"{grid.width_ns / NS_PER_S:g} s"


def _read(steps: Iterable[StepsLine], grid: Grid, end_ns: int) -> tuple[dict[str, _Steps], bool]:
    found: dict[str, _Steps] = {}
    count, width_ns, last = 0, grid.width_ns, grid.count - 1
    for line in steps:
        if not isinstance(line, StepRecord):
            continue
        engine = found.get(line.engine)
        if engine is None:
            engine = found[line.engine] = _Steps([[0] * grid.count for _ in STEP_COLOURS])
        kind = 0 if line.signature.prefill_tokens else 1
        start_ns, duration_ns = line.t_start_ns, line.duration_ns
        count += 1
        engine.count += 1
        engine.total_ns += duration_ns
        engine.busy_ns += min(duration_ns, max(end_ns - start_ns, 0))
        engine.longest_ns = max(engine.longest_ns, duration_ns)
        if count <= MAX_STEPS:
            engine.spans[kind].extend((start_ns, duration_ns))
        bins, place = engine.bins[kind], start_ns // width_ns
        while place <= last and duration_ns > 0:
            inside_ns = min(duration_ns, (place + 1) * width_ns - start_ns)
            bins[place] += inside_ns
            start_ns, duration_ns, place = start_ns + inside_ns, duration_ns - inside_ns, place + 1
    return found, count <= MAX_STEPS


def _step_track(name: str, steps: _Steps, grid: Grid, end_ns: int, *, exact: bool) -> Track:
    import numpy as np

    mean_ms = steps.total_ns / steps.count / NS_PER_MS
    numbers = ("steps, ms", str(steps.count), f"{mean_ms:.2f}", f"{steps.longest_ns / NS_PER_MS:.2f}")
    track = Track(name, STEP_HEIGHT, notes=[f"busy {steps.busy_ns / end_ns:.0%}"], numbers=[numbers])
    if exact:
        for spans, (kind, colour) in zip(steps.spans, STEP_COLOURS.items(), strict=True):
            # One path for all: thousands of rectangles would make the page slow.
            path = "".join(
                f"M{x_ms(start)} 0h{x_ms(max(duration, 1000))}v{STEP_HEIGHT}h-{x_ms(max(duration, 1000))}z"
                for start, duration in zip(spans[::2], spans[1::2], strict=True)
            )
            if path:
                track.shapes.append(f'<path fill="{colour}" d="{path}"><title>{escape(kind)}</title></path>')
    else:
        shares = np.array(steps.bins, dtype=np.float64).T / grid.width_ns
        track.shapes += stacked(shares, grid, STEP_HEIGHT, max(1.0, float(shares.sum(axis=1).max())), STEP_COLOURS)
    return track


def _queue_track(name: str, series: dict[str, Held], end_ns: int) -> tuple[Track | None, bool]:
    """Queue depths of an engine; None where there is nothing to draw. Also whether a series was binned."""
    envelopes = {metric: series[metric].envelope(end_ns) for metric in QUEUES if metric in series}
    most = {metric: found.greatest or 0.0 for metric, found in envelopes.items()}
    if not any(most.values()):
        return None, False
    greatest = max(most.values())
    track = Track(name, QUEUE_HEIGHT, "queues")
    for metric, found in envelopes.items():
        title, colour = QUEUES[metric]
        track.numbers.append((f"requests {title}", "", "", f"{most[metric]:g}"))
        if not most[metric]:
            continue
        filled = metric == "num_requests_running"
        path = band(found, QUEUE_HEIGHT, greatest, from_zero=filled and not found.binned)
        kind = "band" if filled or found.binned else "stair"
        fill = f' fill="{colour}"' if kind == "band" else ""
        track.shapes.append(
            f'<path class="{kind}"{fill} stroke="{colour}" d="{path}"><title>{escape(title)}</title></path>'
        )
    running = most.pop("num_requests_running", None)
    track.notes += [f"max {running:g} running"] if running is not None else []
    track.notes += [f"max {max(most.values()):g} waiting"] if most else []
    return track, any(found.binned for found in envelopes.values())


def queue_series(found: dict[str, dict[str, Held]], sample: Samples, grid: Grid) -> None:
    """Add a sample of a queue depth to what was found, by engine and metric; leave any other."""
    if sample.metric not in QUEUES:
        return
    series = found.setdefault(sample.source, {})
    if sample.metric not in series:
        series[sample.metric] = Held(grid)
    series[sample.metric].add(sample.t_ns, sample.value)
