"""The time line: requests, steps, queues, radio, links of a run on one axis, as inline SVG that the page zooms."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from html import escape

from cosim.clock import NS_PER_S
from cosim.results.charts import shorten, text, ticks
from cosim.results.engine_gauges import GAUGE_COLOURS, GAUGES, EngineGauges
from cosim.results.engine_tracks import QUEUES, STEP_COLOURS, engine_tracks, queue_series
from cosim.results.link_tracks import LINK_COLOURS, METRICS, LinkSeries
from cosim.results.population import Population
from cosim.results.radio_series import METRICS as RADIO_METRICS
from cosim.results.radio_series import RadioSeries
from cosim.results.radio_tracks import RADIO_COLOURS, radio_tracks
from cosim.results.records import StepsLine
from cosim.results.series import UNIT_NS, Grid, Held
from cosim.results.store import Samples
from cosim.results.tracks import OUTCOME_COLOURS, Track, request_tracks, x_ms

WIDTH = 1160
LEFT = 170
RIGHT = 112
HEADING = 20
GAP = 7
LABEL_LETTERS = 24

SAMPLED = (*QUEUES, *GAUGES, *METRICS, *RADIO_METRICS)
KEYS = {
    "requests": OUTCOME_COLOURS,
    "engines": {**STEP_COLOURS, **dict(QUEUES.values()), **GAUGE_COLOURS},
    "radio": RADIO_COLOURS,
    "links": LINK_COLOURS,
}
HEADINGS = {
    "requests": "Requests, from scheduled time to end",
    "engines": "Engines: steps, how many requests run and wait, KV cache and queue time",
    "radio": "Radio in windows of 0.1 s, by UE",
    "links": "Links: rate in windows of 0.1 s",
}


@dataclass(frozen=True, slots=True)
class Timeline:
    """The drawing, what was left out or put together, its numbers as a table, its colours by group.

    A row of `numbers`: track, what, how many, mean, greatest.
    """

    svg: str
    notes: list[str]
    numbers: list[tuple[str, str, str, str, str]] = field(default_factory=list)
    keys: dict[str, dict[str, str]] = field(default_factory=dict)


def timeline(
    population: Population,
    steps: Iterable[StepsLine],
    samples: Iterable[Samples],
    engines: list[str],
    end_ns: int,
    events: Iterable[tuple[int, str]] = (),
    kpi_interval_ns: int = UNIT_NS,
) -> Timeline:
    """Draw a whole run, from the epoch to `end_ns`; engines in this order, others after them.

    `events` are moments at which the scenario changed a value: time in ns, what changed. `kpi_interval_ns`: the windows
    of radio samples.
    """
    if end_ns <= 0 or not len(population):
        return Timeline("", ["No request ended."])
    grid = Grid.over(end_ns)
    links = LinkSeries(end_ns)
    radio = RadioSeries(end_ns, population.clients, kpi_interval_ns)
    queues: dict[str, dict[str, Held]] = {}
    gauges = EngineGauges(grid, end_ns)
    for sample in samples:
        links.add(sample)
        radio.add(sample)
        queue_series(queues, sample, grid)
        gauges.add(sample)
    groups: dict[str, list[Track]] = {}
    notes: list[str] = []
    for name, (tracks, remarks) in {
        "requests": request_tracks(population, grid),
        "engines": engine_tracks(steps, queues, gauges, engines, grid, end_ns),
        "radio": radio_tracks(radio, population, grid, end_ns),
        "links": links.tracks(grid),
    }.items():
        notes += remarks
        if tracks:
            groups[name] = tracks
    svg = _draw(groups, end_ns, list(events))
    numbers = [(track.name, *row) for tracks in groups.values() for track in tracks for row in track.numbers]
    return Timeline(svg, notes, numbers, {name: KEYS[name] for name in groups})


def _draw(groups: dict[str, list[Track]], end_ns: int, events: list[tuple[int, str]]) -> str:
    labels: list[str] = []
    shapes: list[str] = []
    y = 2
    for name, tracks in groups.items():
        labels.append(f'<text class="heading" x="0" y="{y + 13}">{escape(HEADINGS[name])}</text>')
        y += HEADING
        for track in tracks:
            labels += _labels(track, y)
            shapes.append(f'<g transform="translate(0 {y})">{"".join(track.shapes)}</g>')
            usual = GAP if track.height > 12 or track is tracks[-1] else 3
            y += track.height + (usual if track.gap is None else track.gap)
        y += GAP
    width, end_ms = WIDTH - LEFT - RIGHT, x_ms(end_ns)
    axis = "".join(
        f'<line class="grid" x1="{x:.1f}" y1="0" x2="{x:.1f}" y2="{y}"/>'
        f'<text class="tick" x="{x:.1f}" y="{y + 16}" text-anchor="middle">{tick:g}</text>'
        for tick in ticks(0, end_ns / NS_PER_S, 10)
        for x in [LEFT + tick * NS_PER_S / end_ns * width]
    )
    marks = "".join(
        f'<path class="event" d="M{x_ms(at_ns)} 0V{y}"><title>{at_ns / NS_PER_S:g} s: {escape(what)}</title></path>'
        for at_ns, what in events
        if at_ns <= end_ns
    )
    return (
        f'<svg class="chart timeline" viewBox="0 0 {WIDTH} {y + 34}" width="{WIDTH}" height="{y + 34}" role="img" '
        'aria-label="Requests, steps, queues, radio and links over virtual time">'
        f'<g class="axis">{axis}</g>'
        f'<text class="tick" x="{WIDTH - RIGHT}" y="{y + 31}" text-anchor="end">virtual time, s</text>'
        + "".join(labels)
        + f'<svg class="plot" x="{LEFT}" y="0" width="{width}" height="{y}" viewBox="0 0 {end_ms} {y}" '
        f'preserveAspectRatio="none"><rect class="catch" x="0" y="0" width="{end_ms}" height="{y}"/>'
        + marks
        + "".join(shapes)
        + "</svg></svg>"
    )


def _labels(track: Track, y: float) -> list[str]:
    middle = y + track.height / 2
    words = track.label or track.name
    kind = "tick" if track.label else "label"
    out = [text(LEFT - 8, middle + 4, shorten(words, LABEL_LETTERS), kind, "end", words)]
    # Two lines fit beside all but the lowest tracks; a third one is in the table of numbers.
    notes = track.notes[: max(track.height // 12, 1)]
    top = middle + 4 - 6 * (len(notes) - 1)
    x = WIDTH - RIGHT + 8
    return out + [f'<text class="tick" x="{x}" y="{top + 12 * k:.1f}">{escape(n)}</text>' for k, n in enumerate(notes)]
