"""Tracks of the time line: the radio of each UE and of the cell, below the latency of the UE's own requests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Literal

from cosim.clock import NS_PER_MS, NS_PER_S
from cosim.results.link_tracks import bps, n_bytes
from cosim.results.parts import part_of
from cosim.results.population import OK_OUTCOMES, OUTCOMES, Population, column
from cosim.results.radio_series import BYTES, CELL, DIRECTIONS, DROPPED, QUEUE, SHARE, Direction, RadioSeries
from cosim.results.series import HOLD_WINDOWS, UNIT_NS, Envelope, Grid, Windows
from cosim.results.tracks import LATENCY_COLOUR, Track, band, line_of, x_ms

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_UES = 6
# Where there are more, only the busiest has a track for each thing that is measured.
DETAILED_UES = 2
HEIGHT = 24
NAME_HEIGHT = 13
CLOSE, APART = 4, 9

UPLINK, DOWNLINK = "\u2191 uplink", "\u2193 downlink"
RADIO_COLOURS = {
    UPLINK: "#1b8f89",
    DOWNLINK: "#b15fa4",
    "packets dropped, requests without an answer": "#d6336c",
    "e2el of the UE's requests, by scheduled time": LATENCY_COLOUR,
}
LOST_COLOUR = RADIO_COLOURS["packets dropped, requests without an answer"]
WAYS = dict(zip(DIRECTIONS, (UPLINK, DOWNLINK), strict=True))


@dataclass(frozen=True, slots=True)
class Row:
    """What a track shows of a UE and how: a value as a line, the greatest of a queue as a line, an amount as an area.

    `low` to `high`: its scale, if what it shows lies within. `scale`: of the samples to what `text` says.
    """

    metric: str
    label: str
    text: Callable[[float], str]
    kind: Literal["value", "queue", "amount"] = "value"
    low: float = 0.0
    high: float = 0.0
    detail: bool = False
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class _Curve:
    """A row of one direction over time; `count`: of the windows that have a value."""

    edges_ns: NDArray[np.int64]
    values: NDArray[np.float64]
    least: float
    mean: float
    greatest: float
    count: str = ""


def _one_digit(value: float) -> str:
    return f"{value:.1f}"


def _percent(value: float) -> str:
    return f"{value:.0%}"


ROWS = (
    Row("radio_sinr_db", "SINR, dB", _one_digit),
    Row("radio_mcs_mean", "MCS", _one_digit, high=28),
    Row(QUEUE, "queue", n_bytes, "queue"),
    Row(SHARE, "share of PRBs", _percent, "amount", high=1),
    Row("radio_bler", "BLER", _percent, high=0.2, detail=True),
    Row("radio_harq_rounds_mean", "HARQ transmissions", _one_digit, low=1, high=2, detail=True),
    Row(BYTES, "throughput", bps, "amount", detail=True, scale=8 * NS_PER_S / UNIT_NS),
    Row("radio_sr_wait_ms", "wait for SR, ms", _one_digit, detail=True),
    Row("radio_grant_wait_ms", "wait for grant, ms", _one_digit, detail=True),
)
CELL_ROWS = [row for row in ROWS if row.kind == "amount"]


def radio_tracks(series: RadioSeries, population: Population, grid: Grid, end_ns: int) -> tuple[list[Track], list[str]]:
    """The MAX_UES UEs with clients that had most PRBs, in order of name, then the cell with all its UEs."""
    busiest = series.ues()
    drawn = busiest[:MAX_UES]
    detailed = drawn if len(drawn) <= DETAILED_UES else drawn[:1]
    tracks: list[Track] = []
    for ue in sorted(drawn):
        detail = ue in detailed
        latencies = _latencies(population, ue, grid, end_ns, detail=detail)
        rows = [row for row in ROWS if detail or not row.detail]
        tracks += _group(ue, [*latencies, *_tracks(ue, series.of(ue), rows, grid)])
    cell = _tracks("cell", series.of(CELL), CELL_ROWS, grid)
    tracks += _group("cell", cell) if cell else []
    return tracks, _notes(busiest, detailed, grid) if tracks else []


def _notes(busiest: list[str], detailed: list[str], grid: Grid) -> list[str]:
    notes = []
    if len(busiest) > MAX_UES:
        notes.append(f"Radio is drawn of the {MAX_UES} UEs that had most PRBs, of {len(busiest)} with clients.")
    if 0 < len(detailed) < len(busiest):
        notes.append(
            "BLER, HARQ, throughput, waits and the network's part of e2el are drawn of "
            f"{detailed[0]} alone, which had most."
        )
    hold_s = HOLD_WINDOWS * UNIT_NS / NS_PER_S
    notes.append(
        f"What a window has no value of (SINR, MCS, BLER, HARQ, waits) keeps the one before, for {hold_s:g} s at most."
    )
    if grid.width_ns > UNIT_NS:
        notes.append(
            f"Radio is drawn in bins of {grid.width_ns / NS_PER_S:g} s: the mean of their windows, of queues and "
            "latencies the greatest."
        )
    return notes


def _group(name: str, tracks: list[Track]) -> list[Track]:
    """Tracks close together below a name."""
    for track in tracks:
        track.gap = APART if track is tracks[-1] else CLOSE
    return [Track(name, NAME_HEIGHT, gap=0), *tracks]


def _latencies(population: Population, ue: str, grid: Grid, end_ns: int, *, detail: bool) -> list[Track]:
    """The e2el of a UE's ok requests as columns, the others as marks; with detail also the network's part of e2el."""
    mine = column(population.client) == population.clients.index(ue)
    outcomes, scheduled_ns = column(population.outcome)[mine], column(population.scheduled_ns)[mine]
    ok = outcomes < OK_OUTCOMES
    tracks = []
    if ok.any():
        network_ns = sum(
            column(values)[mine][ok] for name, values in population.parts.items() if part_of(name).stage != "engine"
        )
        latencies = {"e2el": population.e2el_scheduled_ns()[mine][ok], "e2el in the network": network_ns}
        for label, ns in latencies.items() if detail else [*latencies.items()][:1]:
            tracks.append(_columns(ue, label, scheduled_ns[ok], ns / NS_PER_MS, grid, end_ns))
    unanswered = scheduled_ns[~ok & (outcomes != OUTCOMES.index("cancelled"))]
    if len(unanswered):
        track = tracks[0] if tracks else Track(ue, HEIGHT, "e2el")
        track.shapes.append(_marks(unanswered, f"{ue}: requests without an answer"))
        track.notes.append(f"{len(unanswered)} unanswered")
        track.numbers.append(("requests without an answer", str(len(unanswered)), "", ""))
        tracks = [track, *tracks[1:]]
    return tracks


def _columns(
    ue: str, label: str, scheduled_ns: NDArray[np.int64], ms: NDArray[np.float64], grid: Grid, end_ns: int
) -> Track:
    track = Track(ue, HEIGHT, label, notes=[f"max {ms.max():.0f} ms"])
    windows = Windows(end_ns, greatest=True)
    windows.add(scheduled_ns + 1, ms)  # What is scheduled on a boundary belongs to the window that it begins.
    envelope = windows.envelope(grid)
    title = f"{ue}: {label} by scheduled time, {ms.min():.0f} to {ms.max():.0f} ms"
    track.shapes.append(_area(envelope.edges_ns, envelope.high, float(ms.max()) or 1.0, LATENCY_COLOUR, title))
    track.numbers.append((f"{label} of ok requests, ms", str(len(ms)), f"{ms.mean():.1f}", f"{ms.max():.1f}"))
    return track


def _tracks(name: str, ways: dict[str, Direction], rows: list[Row], grid: Grid) -> list[Track]:
    tracks = []
    for row in rows:
        curves = {way: curve for way, series in ways.items() if (curve := _curve(series, row, grid))}
        if row.kind == "queue":
            dropped = {way: series.counted[DROPPED] for way, series in ways.items() if DROPPED in series.counted}
            tracks += [_track(name, row, curves, dropped)] if curves or dropped else []
        elif curves:
            tracks.append(_track(name, row, curves, {}))
    return tracks


def _curve(series: Direction, row: Row, grid: Grid) -> _Curve | None:
    """None where nothing was measured or counted."""
    if row.kind == "value":
        if row.metric not in series.measured:
            return None
        found = series.measured[row.metric]
        known, envelope = found.known(), found.envelope(grid)
        span = (float(known.min()), float(known.mean()), float(known.max()))
        return _Curve(envelope.edges_ns, _means(envelope), *span, str(len(known)))
    counted = series.counted.get(row.metric)
    if counted is None or not counted.total:
        return None
    envelope = counted.envelope(grid, row.scale)
    values = envelope.high if row.kind == "queue" else _means(envelope)
    return _Curve(envelope.edges_ns, values, 0.0, counted.mean * row.scale, float(envelope.high.max()))


def _means(envelope: Envelope) -> NDArray[np.float64]:
    assert envelope.mean is not None  # of windows they are known
    return envelope.mean


def _track(name: str, row: Row, curves: dict[str, _Curve], dropped: dict[str, Windows]) -> Track:
    """One row, both directions on one scale, with marks where packets were dropped."""
    low = min([row.low, *(curve.least for curve in curves.values())])
    high = max([row.high, *(curve.greatest for curve in curves.values())])
    track = Track(name, HEIGHT, row.label)
    for way, curve in curves.items():
        direction, colour = WAYS[way], RADIO_COLOURS[WAYS[way]]
        most = row.text(curve.greatest)
        words = f"{row.text(curve.least)} to {most}" if row.kind == "value" else f"max {most}"
        title = f"{name} {direction} {row.label}: {words}"
        draw = _area if row.kind == "amount" else _line
        track.shapes.append(draw(curve.edges_ns, curve.values - low, (high - low) or 1.0, colour, title))
        track.notes.append(f"{direction[0]} {words}")
        # The mean of the greatest of each window would be no mean of the queue.
        mean = "" if row.kind == "queue" else row.text(curve.mean)
        track.numbers.append((f"{direction}: {row.label}", curve.count, mean, most))
    for way, windows in dropped.items():
        what = f"{WAYS[way]}: packets dropped"
        track.shapes.append(_marks(windows.used, f"{name} {what}"))
        track.numbers.append((what, f"{windows.total:.0f}", "", ""))
    return track


def _area(edges_ns: NDArray[np.int64], values: NDArray[np.float64], greatest: float, colour: str, title: str) -> str:
    path = band(Envelope(edges_ns, values, values, None, binned=False), HEIGHT, greatest, from_zero=True)
    return f'<path class="band" fill="{colour}" stroke="{colour}" d="{path}"><title>{escape(title)}</title></path>'


def _line(edges_ns: NDArray[np.int64], values: NDArray[np.float64], greatest: float, colour: str, title: str) -> str:
    path = line_of(Envelope(edges_ns, values, values, None, binned=False), values, HEIGHT, greatest)
    return f'<path class="stair" stroke="{colour}" d="{path}"><title>{escape(title)}</title></path>'


def _marks(t_ns: NDArray[np.int64], title: str) -> str:
    path = "".join(f"M{x_ms(t)} 0v{HEIGHT}" for t in t_ns.tolist())
    return f'<path class="stair" stroke="{LOST_COLOUR}" d="{path}"><title>{escape(title)}</title></path>'
