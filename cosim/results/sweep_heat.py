"""Heat maps: hit rate against two swept keys by colour, with the figure in each cell."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from cosim.results.charts import LETTER_WIDTH, TICK_LETTER_WIDTH, ink, open_svg, shorten, small, text
from cosim.results.sweep_axes import Axis
from cosim.results.sweep_panels import Scale, State, spread

# More columns or rows have no room for their figures; numbers are then put into bins.
MAX_COLUMNS, MAX_ROWS, BINS = 26, 40, 12
# Cells and the room for labels, px.
CELL_WIDTH, WIDEST_CELL, CELL_HEIGHT = 38, 84, 22
ROW_LETTERS, TOP = 14, 24
# What a map of few columns takes so that the names of its keys can be read, px.
LEAST_WIDTH = 260
# Anchors of cividis (Nunez, Anderton, Renslow 2018, PLoS ONE 13:e0199239): lightness grows evenly, also for those who
# do not tell red from green.
CIVIDIS = (
    *("#00204d", "#00306f", "#2a406c", "#48526b", "#5e626e", "#727274", "#878479"),
    *("#9e9677", "#b6a971", "#d0be67", "#ead357", "#ffea46"),
)


@dataclass(frozen=True, slots=True)
class Value:
    """A point's hit rate, None without one."""

    point: int
    rate: float | None
    state: State


@dataclass(frozen=True, slots=True)
class Bin:
    """Values of an axis that share a column or a row."""

    label: str
    places: frozenset[int]


def bins(axis: Axis, most: int) -> list[Bin]:
    """The columns or rows of an axis: a value each, or BINS equally wide ones where there are more numbers than `most`.

    Of more categories than that, `most` are shown.
    """
    if len(axis.texts) <= most:
        return [Bin(label, frozenset([place])) for place, label in enumerate(_labels(axis))]
    if not axis.numbers:
        return [Bin(axis.texts[place], frozenset([place])) for place in spread(range(len(axis.texts)), most)]
    found: dict[int, list[int]] = {}
    for place, position in enumerate(axis.positions):
        found.setdefault(min(int(position * BINS), BINS - 1), []).append(place)
    return [
        Bin(_range(axis.numbers[places[0]], axis.numbers[places[-1]]), frozenset(places)) for places in found.values()
    ]


def pairs(axes: Mapping[str, Axis], most: int) -> list[tuple[str, str]]:
    """The first pairs of keys, in the user's order."""
    return list(itertools.islice(itertools.combinations(axes, 2), most))


def heat_map(
    title: str, x: Axis, y: Axis, places: Mapping[int, tuple[int, int]], values: Sequence[Value], scale: Scale
) -> str:
    """One map as SVG; `places` are each point's on the two axes. A cell of several points has their mean."""
    columns, rows = bins(x, MAX_COLUMNS), bins(y, MAX_ROWS)
    cells: dict[tuple[int, int], list[Value]] = {}
    column_of = {place: number for number, found in enumerate(columns) for place in found.places}
    row_of = {place: number for number, found in enumerate(rows) for place in found.places}
    for value in values:
        x_place, y_place = places[value.point]
        if x_place in column_of and y_place in row_of:
            cells.setdefault((column_of[x_place], row_of[y_place]), []).append(value)
    letters = max(len(found.label) for found in columns)
    width = min(max(CELL_WIDTH, TICK_LETTER_WIDTH * letters + 8), WIDEST_CELL if len(columns) <= 12 else CELL_WIDTH)
    labels = TICK_LETTER_WIDTH * min(max(len(found.label) for found in rows), ROW_LETTERS) + 14
    longest = max(TICK_LETTER_WIDTH * (max(len(x.name), len(y.name)) + 2), LETTER_WIDTH * len(title))
    across = max(labels + width * len(columns), min(longest, LEAST_WIDTH))
    total = across + 8
    top = TOP + 16
    bottom = top + CELL_HEIGHT * len(rows)
    out = [open_svg("heat", bottom + 40, f"Hit rate of {title} against {x.key} and {y.key}", total)]
    out.append(text(0, 13, shorten(title, int(total / LETTER_WIDTH)), "heading", full=title))
    for y_name, name in ((top - 8, f"\u2193 {y.name}"), (bottom + 32, f"\u2192 {x.name}")):
        out.append(small(0, y_name, name, across))
    for row, found in enumerate(rows):
        y_text = top + (row + 0.5) * CELL_HEIGHT + 4
        out.append(small(labels - 6, y_text, found.label, labels - 12, "end"))
    for column, found in enumerate(columns):
        x_text = labels + (column + 0.5) * width
        out.append(small(x_text, bottom + 15, found.label, width - 4, "middle"))
    for (column, row), inside in sorted(cells.items()):
        out.append(_cell(inside, labels + column * width, top + row * CELL_HEIGHT, width, scale))
    return "".join([*out, "</svg>"])


def colour(share: float) -> str:
    """Colour of a place on the scale, 0 to 1."""
    at = min(max(share, 0.0), 1.0) * (len(CIVIDIS) - 1)
    low = min(int(at), len(CIVIDIS) - 2)
    mixed = (
        round(int(CIVIDIS[low][k : k + 2], 16) * (low + 1 - at) + int(CIVIDIS[low + 1][k : k + 2], 16) * (at - low))
        for k in (1, 3, 5)
    )
    return "#" + "".join(f"{part:02x}" for part in mixed)


def colour_bar(scale: Scale) -> str:
    """The scale of the maps as a bar with its ends."""
    steps, width = 24, 240
    out = [open_svg("bar", 32, "Colours of the hit rate", width + 60)]
    for step in range(steps):
        fill = colour((step + 0.5) / steps)
        x, step_width = 20 + step * width / steps, width / steps + 0.3
        out.append(f'<rect x="{x:.1f}" y="0" width="{step_width:.1f}" height="12" fill="{fill}"/>')
    for tick, label in scale.ticks:
        out.append(text(20 + scale.share(tick) * width, 26, label, "tick", "middle"))
    return "".join([*out, "</svg>"])


def _cell(inside: Sequence[Value], x: float, y: float, width: float, scale: Scale) -> str:
    rates = [value.rate for value in inside if value.rate is not None]
    odd = any(value.state != "valid" for value in inside)
    single = f' data-p="{inside[0].point}"' if len(inside) == 1 else ""
    box = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{CELL_HEIGHT}"'
    if not rates:
        words = f'<text class="none" x="{x + width / 2:.1f}" y="{y + 15:.1f}" text-anchor="middle">none</text>'
        return f'<rect class="empty"{single} {box}/>{words}'
    mean = math.fsum(rates) / len(rates)
    fill = colour(scale.share(mean))
    title = ""
    if len(inside) > 1:
        without = len(inside) - len(rates)
        said = f"mean of {len(rates)} points, {min(rates):.1%} to {max(rates):.1%}"
        title = f"<title>{escape(said + (f', {without} without a figure' if without else ''))}</title>"
    mark = "!" if odd else ""
    return (
        f'<rect class="cell"{single} {box} fill="{fill}">{title}</rect><text class="inside" x="{x + width / 2:.1f}" '
        f'y="{y + 15:.1f}" text-anchor="middle" fill="{ink(fill)}">{100 * mean:.{0 if mean == 1 else 1}f}{mark}</text>'
    )


def _labels(axis: Axis) -> list[str]:
    return [f"{number:g}" for number in axis.numbers] or list(axis.texts)


def _range(low: float, high: float) -> str:
    ends = [f"{end:.0f}" if abs(end) >= 10 else f"{end:.2g}" for end in (low, high)]
    return ends[0] if low == high else "\u2013".join(ends)
