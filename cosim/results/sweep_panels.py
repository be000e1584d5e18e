"""Small multiples: a figure against a swept key, one panel for each combination of what else varies."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal, TypeVar

from cosim.results.charts import (
    LETTER_WIDTH,
    TICK_LETTER_WIDTH,
    WIDTH,
    colour_of,
    line,
    open_svg,
    shorten,
    small,
    text,
    ticks,
)
from cosim.results.sweep_axes import Axis
from cosim.results.sweep_figures import Figure

State = Literal["valid", "invalid", "missing"]
"""Of a point's runs: all VALID, some INVALID, or some failed or not there."""

MAX_SERIES, MAX_COMBINATIONS, MAX_PANELS, MAX_COLUMNS = 6, 4, 24, 4
# More marks in a panel than this are dots without a whisker, a tooltip or a link.
MANY_MARKS = 200
# A panel: its widest, its height, and the room round its plot, px.
PANEL_WIDTH, PANEL_HEIGHT = 580, 228
LEFT, RIGHT, TOP, BOTTOM = 54, 14, 38, 46
# Whiskers and marks of the first and the last value stay within the frame.
INNER = 14.0
# Marks of several lines at one value stand side by side, px.
DODGE = 5.0
LOG_LATENCY_FROM = 20.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Mark:
    """A point's figure at a place of the axis, None where no run has one; `state` is that of the point's runs."""

    position: float
    estimate: Figure | None
    point: int
    state: State


@dataclass(frozen=True, slots=True)
class Line:
    """Marks in order of the axis; `place` gives the colour. Those of categories and scattered points are not joined."""

    place: int
    marks: tuple[Mark, ...]
    joined: bool = True


@dataclass(frozen=True, slots=True)
class Panel:
    """What is drawn in one frame, with the two lines of its title."""

    title: str
    subtitle: str
    lines: tuple[Line, ...]
    scale: Scale


@dataclass(frozen=True, slots=True)
class Scale:
    """An upright axis from `low` to `high`."""

    low: float
    high: float
    log: bool
    ticks: tuple[tuple[float, str], ...]

    def share(self, value: float) -> float:
        """Where a value stands, 0 at the bottom and 1 at the top; what is beyond stands at the edge."""
        low, high = self.low, self.high
        if self.log:
            value, low, high = math.log10(max(value, low)), math.log10(low), math.log10(high)
        return min(max((value - low) / (high - low), 0.0), 1.0)


@dataclass(frozen=True, slots=True)
class Frame:
    """Where a panel stands in its drawing, px."""

    x0: float
    y0: float
    width: float

    @property
    def top(self) -> float:
        """Of the plot."""
        return self.y0 + TOP

    @property
    def bottom(self) -> float:
        """Of the plot."""
        return self.y0 + PANEL_HEIGHT - BOTTOM

    @property
    def span(self) -> float:
        """Width on which the values of the axis stand."""
        return self.width - LEFT - RIGHT - 2 * INNER

    def x(self, position: float) -> float:
        """Of a position in [0, 1]."""
        return self.x0 + LEFT + INNER + position * self.span

    def y(self, share: float) -> float:
        """Of a share of the upright axis."""
        return self.bottom - share * (self.bottom - self.top)

    def draw(
        self, title: str, subtitle: str, scale: Scale, x_ticks: Iterable[tuple[float, str, str]], x_title: str
    ) -> list[str]:
        """Titles, grid and ticks."""
        letters = int((self.width - 8) / LETTER_WIDTH)
        left, right = self.x0 + LEFT, self.x0 + self.width - RIGHT
        out = [text(self.x0 + 4, self.y0 + 14, shorten(title, letters), "heading", full=title)]
        if subtitle:
            out.append(small(self.x0 + 4, self.y0 + 28, subtitle, self.width - 8))
        for tick, label in scale.ticks:
            y = self.y(scale.share(tick))
            out += [line(left, y, right, y, "grid"), text(left - 6, y + 4, label, "tick", "end")]
        for position, label, full in x_ticks:
            x = self.x(position)
            out += [
                line(x, self.bottom, x, self.bottom + 4, "grid"),
                text(x, self.bottom + 16, label, "tick", "middle", full, TICK_LETTER_WIDTH),
            ]
        out.append(small((left + right) / 2, self.bottom + 32, x_title, right - left, "middle"))
        return out


@dataclass(frozen=True, slots=True)
class Arrangement:
    """How the points of a sweep are laid out against key `x`.

    `series`: the key whose values are lines, with those that are drawn; `combinations`: the places of the keys in
    `panels`, those that are drawn of `n_combinations`. `scattered`: hardly two points differ in `x` alone, so the
    others are neither joined nor told apart.
    """

    x: str
    series: str | None
    series_places: tuple[int, ...]
    panels: tuple[str, ...]
    combinations: tuple[tuple[int, ...], ...]
    n_combinations: int
    scattered: bool


def arrange(axes: Mapping[str, Axis], places: Sequence[Mapping[str, int]], x: str, most: int) -> Arrangement:
    """Lay points out against a key; `places` are theirs on each axis, `most` how many combinations may be drawn."""
    others = [key for key in axes if key != x]
    groups = {tuple(point[key] for key in others) for point in places}
    if others and len(groups) > len(places) / 2:
        return Arrangement(x, None, (), (), ((),), 1, scattered=True)
    fitting = [key for key in others if len(axes[key].texts) <= MAX_SERIES]
    series = next(iter(fitting or others), None)
    panels = tuple(key for key in others if key != series)
    combinations = sorted({tuple(point[key] for key in panels) for point in places})
    series_places = spread(range(len(axes[series].texts)), MAX_SERIES) if series else ()
    chosen = spread(combinations, max(min(most, MAX_COMBINATIONS), 1))
    return Arrangement(x, series, tuple(series_places), panels, tuple(chosen), len(combinations), scattered=False)


def spread(items: Sequence[T], most: int) -> list[T]:
    """At most so many items, evenly over all with the first and the last; the middle one if only one may be."""
    if len(items) <= most:
        return list(items)
    if most == 1:
        return [items[len(items) // 2]]
    return [items[round(k * (len(items) - 1) / (most - 1))] for k in range(most)]


def share_scale(estimates: Iterable[Figure | None]) -> Scale:
    """The axis of rates in [0, 1], narrowed to where they and their intervals are."""
    values = [value for found in estimates if found for value in found if value is not None and math.isfinite(value)]
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    room = max((high - low) * 0.08, 0.02)
    low, high = max(low - room, 0.0), min(high + room, 1.0)
    step = _step(low, high)
    low, high = round(math.floor(low / step + 1e-9) * step, 9), min(round(math.ceil(high / step - 1e-9) * step, 9), 1.0)
    digits = max(0, -math.floor(math.log10(step) + 2 + 1e-9))
    return Scale(low, high, False, tuple((tick, f"{tick:.{digits}%}") for tick in ticks(low, high, 5)))


def time_scale(estimates: Iterable[Figure | None]) -> Scale:
    """The axis of latencies in ms: from 0, or a log one where they differ by more than LOG_LATENCY_FROM."""
    values = [value for found in estimates if found for value in found if value is not None and 0 < value < math.inf]
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if low > 0 and high / low > LOG_LATENCY_FROM:
        exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        decades = tuple((10.0**k, f"{10.0**k:g}") for k in exponents)
        return Scale(decades[0][0], decades[-1][0], True, decades)
    step = _step(0.0, high * 1.05)
    high = math.ceil(high * 1.05 / step) * step
    return Scale(0.0, high, False, tuple((tick, f"{tick:g}") for tick in ticks(0.0, high, 5)))


def _step(low: float, high: float) -> float:
    found = ticks(low, high, 5)
    return round(found[1] - found[0], 9) if len(found) > 1 else (high - low) or 1.0


def small_multiples(name: str, label: str, axis: Axis, panels: Sequence[Panel]) -> str:
    """The panels side by side, in rows, as SVG; `label` is what a screen reader says."""
    if not panels:
        return ""
    columns = min(MAX_COLUMNS, len(panels))
    width = min(WIDTH / columns, PANEL_WIDTH)
    rows = math.ceil(len(panels) / columns)
    out = [open_svg(name, rows * PANEL_HEIGHT, label)]
    for number, panel in enumerate(panels):
        row, column = divmod(number, columns)
        out += _panel(panel, axis, column * width, row * PANEL_HEIGHT, width)
    return "".join([*out, "</svg>"])


def _panel(panel: Panel, axis: Axis, x0: float, y0: float, width: float) -> list[str]:
    frame = Frame(x0, y0, width)
    out = frame.draw(panel.title, panel.subtitle, panel.scale, axis.ticks(frame.span), axis.title)
    for number, drawn in enumerate(panel.lines):
        dodge = (number - (len(panel.lines) - 1) / 2) * min(DODGE, 24 / len(panel.lines))
        out += _line(drawn, panel.scale, frame, dodge)
    return out


def _line(drawn: Line, scale: Scale, frame: Frame, dodge: float) -> list[str]:
    colour, dash = colour_of(drawn.place)

    def at(mark: Mark, value: float) -> tuple[float, float]:
        return frame.x(mark.position) + dodge, frame.y(scale.share(value))

    known = [(mark, mark.estimate, mark.estimate.value) for mark in drawn.marks if mark.estimate]
    finite = [(mark, found, value) for mark, found, value in known if value is not None and math.isfinite(value)]
    out = []
    if len(drawn.marks) > MANY_MARKS:
        dots = "".join(
            "M{:.1f} {:.1f}h0".format(*at(mark, value)) for mark, _, value in finite if mark.state == "valid"
        )
        out.append(f'<path class="dots" d="{dots}" stroke="{colour}"/>')
        finite = [
            (mark, found._replace(low=None, high=None), value) for mark, found, value in finite if mark.state != "valid"
        ]
    if drawn.joined and len(finite) > 1:
        path = "M" + "L".join("{:.1f} {:.1f}".format(*at(mark, value)) for mark, _, value in finite)
        style = f' stroke-dasharray="{dash}"' if dash else ""
        out.append(f'<path class="curve thin" d="{path}" stroke="{colour}"{style}/>')
    whiskers, unbounded = "", ""
    for mark, found, _ in finite:
        low, high = found.low, found.high
        if low is None and high is None:
            continue
        x, y_low = at(mark, scale.low if low is None else low)
        _, y_high = at(mark, scale.high if high is None else high)
        piece = f"M{x:.1f} {y_low:.1f}V{y_high:.1f}"
        if low is None or high is None or math.isinf(high):
            unbounded += piece
        else:
            whiskers += piece
    if whiskers:
        out.append(f'<path class="range" d="{whiskers}" stroke="{colour}"/>')
    if unbounded:
        out.append(f'<path class="range open" d="{unbounded}" stroke="{colour}"/>')
    for mark, _, value in finite:
        x, y = at(mark, value)
        kind, fill = ("dot", colour) if mark.state == "valid" else ("dot odd", "none")
        out.append(
            f'<circle class="{kind}" data-p="{mark.point}" cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{fill}" '
            f'stroke="{colour}"/>'
        )
    for mark, _, infinite in known:
        if infinite is not None and math.isinf(infinite):
            x = frame.x(mark.position) + dodge
            out.append(
                f'<path data-p="{mark.point}" d="M{x:.1f} {frame.top - 3:.1f}l-4 7h8z" fill="{colour}">'
                f"<title>{escape('no finite value')}</title></path>"
            )
    for mark in drawn.marks:
        if mark.estimate is None or mark.estimate.value is None:
            x = frame.x(mark.position) + dodge
            out.append(
                f'<path class="none" data-p="{mark.point}" d="M{x - 3:.1f} {frame.bottom - 7:.1f}l6 6m0 -6l-6 6"/>'
            )
    return out
