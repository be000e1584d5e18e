"""Hit rate against load: which points no other one beats in both."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from cosim.results.charts import WIDTH, colour_of, open_svg, text, ticks
from cosim.results.sweep_panels import MANY_MARKS, MAX_COLUMNS, PANEL_HEIGHT, PANEL_WIDTH, Frame, Scale, State

# Labels of points of the front that would cover one another, px.
LABEL_GAP = 18


@dataclass(frozen=True, slots=True)
class Loaded:
    """A point with its load and its hit rate; `href` leads to its directory."""

    point: int
    load: float
    rate: float
    state: State
    href: str


def front(points: Sequence[Loaded]) -> list[Loaded]:
    """Points than which no other has both at least the load and at least the rate, and more of one; by load."""
    found: list[Loaded] = []
    best = -math.inf
    for point in sorted(points, key=lambda p: (-p.load, -p.rate, p.point)):
        if point.rate > best:
            found.append(point)
            best = point.rate
    return found[::-1]


def pareto(groups: Sequence[tuple[str, Sequence[Loaded]]], load_title: str, scale: Scale) -> str:
    """A panel for each title and its points as SVG; empty without points."""
    groups = [(title, points) for title, points in groups if points]
    if not groups:
        return ""
    loads = [point.load for _, points in groups for point in points]
    low, high = min(loads), max(loads)
    if high == low:
        low, high = 0.0, high * 2 or 1.0
    room = 0.04 * (high - low)
    low, high = max(low - room, 0.0), high + room
    columns = min(MAX_COLUMNS, len(groups))
    width = min(WIDTH / columns, PANEL_WIDTH)
    out = [open_svg("pareto", math.ceil(len(groups) / columns) * PANEL_HEIGHT, f"Hit rate against {load_title}")]
    for number, (title, points) in enumerate(groups):
        row, column = divmod(number, columns)
        frame = Frame(column * width, row * PANEL_HEIGHT, width)
        x_ticks = [((tick - low) / (high - low), f"{tick:g}", f"{tick:g}") for tick in ticks(low, high, 5)]
        out += frame.draw(title, "", scale, x_ticks, load_title)
        out += _points(points, frame, scale, low, high)
    return "".join([*out, "</svg>"])


def _points(points: Sequence[Loaded], frame: Frame, scale: Scale, low: float, high: float) -> list[str]:
    colour, _ = colour_of(0)

    def at(point: Loaded) -> tuple[float, float]:
        return frame.x((point.load - low) / (high - low)), frame.y(scale.share(point.rate))

    best = front(points)
    chosen = {point.point for point in best}
    others = [point for point in points if point.point not in chosen]
    out = []
    if len(others) > MANY_MARKS:
        dots = "".join("M{:.1f} {:.1f}h0".format(*at(point)) for point in others if point.state == "valid")
        out.append(f'<path class="dots pale" d="{dots}"/>')
        others = [point for point in others if point.state != "valid"]
    for point in others:
        x, y = at(point)
        kind = "dot pale" if point.state == "valid" else "dot pale odd"
        out.append(f'<circle class="{kind}" data-p="{point.point}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>')
    # Between two points of the front, what is reached is the rate of the one with more load.
    stairs = "".join(
        "V{1:.1f}H{0:.1f}".format(*at(point)) if number else "M{:.1f} {:.1f}".format(*at(point))
        for number, point in enumerate(best)
    )
    out.append(f'<path class="curve" d="{stairs}" stroke="{colour}"/>')
    free_from = -math.inf
    for point in best:
        x, y = at(point)
        kind, fill = ("dot", colour) if point.state == "valid" else ("dot odd", "none")
        drawn = f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{fill}" stroke="{colour}"/>'
        label = ""
        if x >= free_from:
            label, free_from = text(x, y - 8, f"#{point.point}", "tick", "middle"), x + LABEL_GAP + 4
        title = f"<title>{escape(f'point {point.point}: {point.rate:.1%} at {point.load:.3g}')}</title>"
        out.append(f'<a href="{escape(point.href)}" data-p="{point.point}">{title}{drawn}{label}</a>')
    return out
