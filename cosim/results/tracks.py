"""Tracks of the time line: the shapes all are made of, and the requests of each tier."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING

from cosim.clock import NS_PER_MS, NS_PER_S
from cosim.results.population import OK_OUTCOMES, OUTCOMES, Population, column
from cosim.results.series import Envelope, Grid

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_REQUESTS = 3_000
MAX_LANES = 8
LANE = 11
COLUMNS_HEIGHT = 34
BAND_HEIGHT = 30

OUTCOME_COLOURS = dict(
    zip(OUTCOMES, ("#2f9e44", "#d9b310", "#e8771a", "#d6336c", "#a61e2b", "#9c36b5", "#9aa0a6"), strict=True)
)
LATENCY_COLOUR = "#5b6b7b"


@dataclass(slots=True)
class Track:
    """One row of the time line: shapes with x in ms of virtual time and y in px from its top; `notes` at its right.

    `label` stands at its left if it is not the name. `numbers` are its rows in the table below the drawing: what, how
    many, mean, greatest. `gap` to the next track, in px, if it is not the usual one.
    """

    name: str
    height: int
    label: str = ""
    shapes: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    numbers: list[tuple[str, str, str, str]] = field(default_factory=list)
    gap: int | None = None


def x_ms(t_ns: float) -> str:
    """A time as a coordinate: ms to the us."""
    return f"{round(float(t_ns) / NS_PER_MS, 3):.10g}"


def band(envelope: Envelope, height: float, greatest: float, *, from_zero: bool = False) -> str:
    """Path of the area between least (or zero) and greatest; without bins and `from_zero` there is only a line."""
    import numpy as np

    if greatest <= 0:
        return ""
    low = np.zeros_like(envelope.high) if from_zero else envelope.low
    low_px, high_px = (np.round(height - value / greatest * height, 1) for value in (low, envelope.high))
    path: list[str] = []
    for start, end in _runs(~np.isnan(envelope.high)):
        changes = np.flatnonzero(np.diff(high_px[start:end], prepend=np.nan) != 0) + start
        path.append(_stairs(envelope.edges_ns, high_px, changes, end))
        if from_zero or envelope.binned:
            back = np.flatnonzero(np.diff(low_px[start:end], prepend=np.nan) != 0) + start
            path.append(_stairs_back(envelope.edges_ns, low_px, back, end) + "z")
    return "".join(path)


def line_of(envelope: Envelope, values: NDArray[np.float64] | None, height: float, greatest: float) -> str:
    """Path of values over an envelope's time; empty where they are not known."""
    import numpy as np

    if values is None or greatest <= 0:
        return ""
    px = np.round(height - values / greatest * height, 1)
    return "".join(
        _stairs(envelope.edges_ns, px, np.flatnonzero(np.diff(px[start:end], prepend=np.nan) != 0) + start, end)
        for start, end in _runs(~np.isnan(values))
    )


def _runs(there: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Stretches in which something is there: first place, place after the last."""
    import numpy as np

    changes = np.flatnonzero(np.diff(np.concatenate([[False], there, [False]]).astype(np.int8)))
    return list(zip(changes[::2].tolist(), changes[1::2].tolist(), strict=True))


def _stairs(edges_ns: NDArray[np.int64], px: NDArray[np.float64], changes: NDArray[np.intp], end: int) -> str:
    first, *rest = changes.tolist()
    steps = "".join(f"H{x_ms(edges_ns[k])}V{px[k]:g}" for k in rest)
    return f"M{x_ms(edges_ns[first])} {px[first]:g}{steps}H{x_ms(edges_ns[end])}"


def _stairs_back(edges_ns: NDArray[np.int64], px: NDArray[np.float64], changes: NDArray[np.intp], end: int) -> str:
    return "".join(f"V{px[k]:g}H{x_ms(edges_ns[k])}" for k in reversed(changes.tolist()))


def request_tracks(population: Population, grid: Grid) -> tuple[list[Track], list[str]]:
    """Requests from scheduled time to end, per tier; past MAX_REQUESTS how many of them and how slow, in bins."""
    tracks: list[Track] = []
    if len(population) > MAX_REQUESTS:
        for tier in range(len(population.tiers)):
            tracks += _binned(population, tier, grid)
        note = (
            f"The run has {len(population)} requests, so they are drawn in bins of {grid.width_ns / NS_PER_S:g} s by "
            "scheduled time: how many, by outcome, and below the least, median and greatest e2el from the scheduled "
            "time of the ok ones of each bin."
        )
        return tracks, [note]
    crowded = []
    for place, name in enumerate(population.tiers):
        track, fits = _bars(population, place)
        tracks.append(track)
        if not fits:
            crowded.append(f"More than {MAX_LANES} requests of {name} overlap; the last lane holds the rest.")
    return tracks, crowded


def _bars(population: Population, tier: int) -> tuple[Track, bool]:
    places = [place for place in range(len(population)) if population.tier[place] == tier]
    places.sort(key=lambda place: (population.scheduled_ns[place], population.request_id[place]))
    free_ns: list[int] = []
    shapes: dict[str, list[str]] = {kind: [] for kind in OUTCOMES}
    fits = True
    for place in places:
        start_ns, end_ns = population.scheduled_ns[place], population.end_ns[place]
        lane = next((k for k, free in enumerate(free_ns) if free <= start_ns), len(free_ns))
        if lane >= MAX_LANES:
            lane, fits = MAX_LANES - 1, False
        if lane == len(free_ns):
            free_ns.append(0)
        free_ns[lane] = max(free_ns[lane], end_ns)
        kind = OUTCOMES[population.outcome[place]]
        warmup = bool(population.warmup[place])
        title = (
            f"{population.request_id[place]} {population.status_of(place)}, scheduled {start_ns / NS_PER_S:.3f} s, "
            f"{(end_ns - start_ns) / NS_PER_MS:.1f} ms, {kind}" + (", warm-up" if warmup else "")
        )
        fade = ' opacity="0.45"' if warmup else ""
        shapes[kind].append(
            f'<rect x="{x_ms(start_ns)}" y="{lane * LANE}" width="{x_ms(max(end_ns - start_ns, 1000))}" '
            f'height="{LANE - 2}"{fade}><title>{escape(title)}</title></rect>'
        )
    groups = [f'<g fill="{OUTCOME_COLOURS[kind]}">{"".join(drawn)}</g>' for kind, drawn in shapes.items() if drawn]
    numbers = ("requests", str(len(places)), "", "")
    name = population.tiers[tier]
    return Track(name, max(len(free_ns), 1) * LANE, "", groups, [f"{len(places)} requests"], [numbers]), fits


def _binned(population: Population, tier: int, grid: Grid) -> list[Track]:
    import numpy as np

    mine = column(population.tier) == tier
    bins = np.minimum(column(population.scheduled_ns)[mine] // grid.width_ns, grid.count - 1)
    kinds = column(population.outcome)[mine]
    ms = population.e2el_scheduled_ns()[mine] / NS_PER_MS
    counts = np.bincount(bins * len(OUTCOMES) + kinds, minlength=grid.count * len(OUTCOMES))
    counts = counts.reshape(grid.count, len(OUTCOMES)).astype(np.int64)
    most = int(counts.sum(axis=1).max(initial=0))
    name = population.tiers[tier]
    if not most:
        return [Track(name, LANE, notes=["no request"], numbers=[("requests", "0", "", "")])]
    shapes = stacked(counts, grid, COLUMNS_HEIGHT, most, dict(zip(OUTCOMES, OUTCOME_COLOURS.values(), strict=True)))
    numbers = ("requests a bin", str(len(ms)), f"{len(ms) / grid.count:.2f}", str(most))
    first = Track(name, COLUMNS_HEIGHT, "", shapes, [f"max {most} a bin"], [numbers])
    ok = kinds < OK_OUTCOMES
    if not ok.any():
        return [first]
    order = np.lexsort((ms[ok], bins[ok]))
    ms, bins = ms[ok][order], bins[ok][order]
    used, starts = np.unique(bins, return_index=True)
    lengths = np.diff([*starts, len(bins)])
    low, middle, high = (np.full(grid.count, np.nan) for _ in range(3))
    low[used], middle[used], high[used] = ms[starts], ms[starts + lengths // 2], ms[starts + lengths - 1]
    envelope = Envelope(grid.edges_ns, low, high, middle, binned=True)
    greatest = float(ms.max())
    drawn = [
        f'<path class="band" fill="{LATENCY_COLOUR}" stroke="{LATENCY_COLOUR}" '
        f'd="{band(envelope, BAND_HEIGHT, greatest)}">'
        f"<title>{escape(name)} e2el of ok requests: least to greatest</title></path>",
        f'<path class="stair" stroke="{LATENCY_COLOUR}" d="{line_of(envelope, middle, BAND_HEIGHT, greatest)}"/>',
    ]
    numbers = ("e2el from the scheduled time of ok requests, ms", str(len(ms)), f"{ms.mean():.1f}", f"{greatest:.1f}")
    return [first, Track(name, BAND_HEIGHT, "e2el", drawn, [f"max {greatest:.0f} ms"], [numbers])]


def stacked(
    counts: NDArray[np.float64] | NDArray[np.int64], grid: Grid, height: float, greatest: float, colours: dict[str, str]
) -> list[str]:
    """Columns of each bin, one kind on top of the other: `counts[bin, kind]`, a colour for each kind."""
    import numpy as np

    tops = np.cumsum(counts, axis=1) / greatest * height
    width = x_ms(grid.width_ns)
    shapes = []
    for kind, (name, colour) in enumerate(colours.items()):
        used = np.flatnonzero(counts[:, kind])
        path = "".join(
            f"M{x_ms(k * grid.width_ns)} {height - tops[k, kind]:.1f}h{width}v{counts[k, kind] / greatest * height:.1f}"
            f"h-{width}z"
            for k in used.tolist()
        )
        if path:
            shapes.append(f'<path fill="{colour}" d="{path}"><title>{escape(name)}</title></path>')
    return shapes
