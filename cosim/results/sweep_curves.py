"""The charts of a sweep's report against its keys: which points are drawn where, and what is said beneath."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cosim.results.charts import colour_of
from cosim.results.sweep_axes import Axis, axis_of
from cosim.results.sweep_figures import (
    HIT_RATE,
    LATENCIES,
    NO_TIER,
    Figure,
    Measure,
    counts_text,
    interval_text,
    latency_interval_text,
    short_names,
)
from cosim.results.sweep_heat import MAX_COLUMNS, Value, colour_bar, heat_map, pairs
from cosim.results.sweep_panels import (
    MANY_MARKS,
    MAX_PANELS,
    Arrangement,
    Line,
    Mark,
    Panel,
    Scale,
    State,
    arrange,
    share_scale,
    small_multiples,
    time_scale,
)
from cosim.results.sweep_store import Sweep
from cosim.results.sweep_tables import PointRow

MAX_PAIRS, MAX_MAPS = 6, 12
MARKS = (
    "Hollow: some run of the point is INVALID, failed or missing. Cross at the bottom: no run has a figure. Triangle "
    "at the top: no finite value, for in some run more requests than that were not answered. Dashed: an end cannot be "
    "bounded."
)


@dataclass(frozen=True, slots=True)
class Group:
    """Rows of one tier and class by point; `tier` is empty where the tier itself is swept."""

    tier: str
    sla_class: str
    rows: dict[int, PointRow]

    @property
    def title(self) -> str:
        """Tier and class, of which there may be none."""
        return ", ".join(part for part in (self.tier, self.sla_class) if part) or "all requests"


@dataclass(frozen=True, slots=True)
class Points:
    """The points of a sweep on the axes of those keys that vary, and their rows; `ran` have a run that is done.

    Where the tier is swept, `groups` hold all tiers together, for it is a key like any other; `by_tier` never do.
    """

    sweep: Sweep
    axes: dict[str, Axis]
    places: dict[int, dict[str, int]]
    states: dict[int, State]
    ran: frozenset[int]
    groups: list[Group]
    by_tier: list[Group]
    names: dict[str, str]

    @property
    def runs(self) -> int:
        """Of each point."""
        return len(self.sweep.seeds)

    def tiers(self) -> list[Group]:
        """The first class of each tier: what does not depend on the class."""
        found: dict[str, Group] = {}
        for group in self.groups:
            found.setdefault(group.tier, group)
        return list(found.values())

    def label(self, point: int) -> str:
        """The values of the keys that vary."""
        return ", ".join(f"{self.names[key]} {axis.texts[self.places[point][key]]}" for key, axis in self.axes.items())


def all_axes(sweep: Sweep) -> dict[str, Axis]:
    """The axis of every swept key; a point that lacks a key (of a list) has it as in the file."""
    return {key: axis_of(key, (value_of(point.values, key) for point in sweep.points)) for key in sweep.keys}


def value_of(values: Mapping[str, Any], key: str) -> Any:
    """The value of a key at a point, in words where the point leaves it as the file has it."""
    return values.get(key, "as in the file")


def points_of(sweep: Sweep, rows: Sequence[PointRow]) -> Points:
    """Rows put onto axes."""
    axes = {key: axis for key, axis in all_axes(sweep).items() if len(axis.texts) > 1}
    places = {
        point.index: {key: axis.place(value_of(point.values, key)) for key, axis in axes.items()}
        for point in sweep.points
    }
    states: dict[int, State] = {}
    for row in rows:
        state: State = "missing" if row.failed or row.missing else "invalid" if row.invalid else "valid"
        states[row.point.index] = state
    served: dict[int, set[str]] = {}
    for row in rows:
        if row.runs and row.tier is not None:
            served.setdefault(row.point.index, set()).add(row.tier)
    swept = all(len(tiers) == 1 for tiers in served.values()) and len(set().union(*served.values())) > 1
    by_tier = _groups(rows, together=False)
    groups = _groups(rows, together=True) if swept else by_tier
    ran = frozenset(index for group in groups for index in group.rows)
    return Points(sweep, axes, places, states, ran, groups, by_tier, short_names(sweep.keys))


def _groups(rows: Sequence[PointRow], *, together: bool) -> list[Group]:
    """Rows of runs that are done by tier and class, or by class alone."""
    groups: dict[tuple[str, str], Group] = {}
    for row in rows:
        if row.runs and (row.tier is not None or row.n):
            key = ("" if together and row.tier is not None else row.tier or NO_TIER, row.sla_class or "")
            groups.setdefault(key, Group(*key, {})).rows[row.point.index] = row
    return list(groups.values())


def _gives_tier(points: Points, key: str) -> bool:
    """Whether a key's value says which tier serves: no two groups of a class share a value."""
    seen: dict[tuple[str, int], str] = {}
    for group in points.by_tier:
        for index in group.rows:
            if seen.setdefault((group.sla_class, points.places[index][key]), group.tier) != group.tier:
                return False
    return True


def curve_sections(points: Points) -> list[dict[str, Any]]:
    """For each key that varies the charts of hit rate and latency against it."""
    sections = []
    for number, key in enumerate(points.axes):
        rate_panels = [(group, HIT_RATE) for group in points.groups if group.sla_class]
        time_panels = [(group, measure) for group in points.tiers() for measure in LATENCIES]
        charts = []
        if rate_panels:
            text = f"{counts_text(_rows(points), points.runs)}. Interval: {interval_text(points.runs)}"
            charts.append(_chart(points, key, "SLA hit rate", rate_panels, text, opened=number == 0))
        if time_panels:
            text = (
                "e2el: from the scheduled time, over all counted requests that their client did not cancel, those not "
                f"answered as +inf; ttft: over ok requests. {counts_text(_rows(points), points.runs)}. "
                f"Interval: {latency_interval_text(points.runs)}"
            )
            charts.append(_chart(points, key, "Latency", time_panels, text, opened=number == 0))
        if charts:
            sections.append({"key": key, "charts": charts})
    return sections


def heat_charts(points: Points) -> list[dict[str, Any]]:
    """For pairs of keys the maps of hit rate of each tier and class."""
    charts = []
    for number, (x_key, y_key) in enumerate(pairs(points.axes, MAX_PAIRS)):
        # Tiers are not mixed in a cell, unless one of the two keys tells them apart.
        told = _gives_tier(points, x_key) or _gives_tier(points, y_key)
        groups = [group for group in (points.groups if told else points.by_tier) if group.sla_class]
        if not groups:
            continue
        x, y = points.axes[x_key], points.axes[y_key]
        if len(x.texts) > MAX_COLUMNS >= len(y.texts):
            x, y = y, x
        places = {index: (found[x.key], found[y.key]) for index, found in points.places.items()}
        maps, figures = [], []
        for group in groups[:MAX_MAPS]:
            values = [
                Value(index, HIT_RATE.of(group.rows[index]).value if index in group.rows else None, state)
                for index, state in points.states.items()
                if index in group.rows or index not in points.ran
            ]
            maps.append((group.title, values))
            figures += [Figure(value.rate, None, None) for value in values]
        scale = share_scale(figures)
        others = [
            points.names[key]
            for key in points.axes
            if key not in (x_key, y_key) and (told or not _gives_tier(points, key))
        ]
        caption = f"Hit rate in %, {counts_text(_rows(points), points.runs)}"
        caption += f"; a cell has the mean over its points, which differ in {', '.join(others)}" if others else ""
        caption += ". !: some run in the cell is INVALID, failed or missing; none: no run has a figure."
        caption += " The interval of each figure is in the table of all points."
        if len(groups) > MAX_MAPS:
            caption += f" The first {MAX_MAPS} of {len(groups)} tiers and classes."
        charts.append(
            {
                "title": f"{x.key} and {y.key}",
                "open": number == 0,
                "bar": colour_bar(scale),
                "maps": [heat_map(title, x, y, places, values, scale) for title, values in maps],
                "caption": caption,
            }
        )
    return charts


def _chart(
    points: Points, key: str, title: str, wanted: Sequence[tuple[Group, Measure]], caption: str, *, opened: bool
) -> dict[str, Any]:
    arrangement = arrange(points.axes, list(points.places.values()), key, MAX_PANELS // len(wanted))
    scales = _scales(wanted)
    panels = [
        _panel(points, arrangement, group, measure, scales[measure.unit, measure.title[:4]], combination)
        for combination in arrangement.combinations
        for group, measure in wanted[:MAX_PANELS]
    ]
    legend = []
    if arrangement.series is not None:
        texts = points.axes[arrangement.series].texts
        for number, place in enumerate(arrangement.series_places):
            colour, dash = colour_of(number)
            legend.append({"colour": colour, "dash": dash, "label": texts[place]})
    return {
        "title": title,
        "open": opened,
        "legend_key": points.names.get(arrangement.series or "", ""),
        "legend": legend,
        "svg": small_multiples("curves", f"{title} against {key}", points.axes[key], panels),
        "caption": f"{_left_out(points, arrangement, len(wanted))}{caption} {MARKS}",
    }


def _scales(wanted: Iterable[tuple[Group, Measure]]) -> dict[tuple[str, str], Scale]:
    """One upright axis for each unit and kind of figure, so that panels can be compared."""
    found: dict[tuple[str, str], list[Figure]] = {}
    for group, measure in wanted:
        found.setdefault((measure.unit, measure.title[:4]), []).extend(measure.of(row) for row in group.rows.values())
    make: dict[str, Callable[[Iterable[Figure | None]], Scale]] = {"%": share_scale, "ms": time_scale}
    return {kind: make[kind[0]](figures) for kind, figures in found.items()}


def _panel(
    points: Points,
    arrangement: Arrangement,
    group: Group,
    measure: Measure,
    scale: Scale,
    combination: tuple[int, ...],
) -> Panel:
    axis = points.axes[arrangement.x]
    chosen = dict(zip(arrangement.panels, combination, strict=True))
    series: dict[int | None, list[Mark]] = {}
    for index, place in points.places.items():
        ran = index in points.ran
        if any(place[key] != value for key, value in chosen.items()) or (ran and index not in group.rows):
            continue
        line = None if arrangement.series is None else place[arrangement.series]
        if line is None or line in arrangement.series_places:
            figure = measure.of(group.rows[index]) if ran else None
            mark = Mark(axis.positions[place[arrangement.x]], figure, index, points.states[index])
            series.setdefault(line, []).append(mark)
    lines = []
    for line, marks in sorted(series.items(), key=lambda item: item[0] or 0):
        place_of_line = 0 if line is None else arrangement.series_places.index(line)
        ordered = tuple(sorted(marks, key=lambda mark: (mark.position, mark.point)))
        lines.append(Line(place_of_line, ordered, joined=not arrangement.scattered and axis.kind != "category"))
    subtitle = ", ".join(f"{points.names[key]} {points.axes[key].texts[place]}" for key, place in chosen.items())
    who = group.title if measure is HIT_RATE else group.tier
    title = f"{who}: {measure.title}, {measure.unit}" if who else f"{measure.title}, {measure.unit}"
    return Panel(title, subtitle, tuple(lines), scale)


def _left_out(points: Points, arrangement: Arrangement, wanted: int) -> str:
    """What of the points a chart does not draw."""
    said = []
    if arrangement.scattered:
        said.append("Points that differ in more than this key, each on its own.")
        if len(points.places) > MANY_MARKS:
            said.append("Too many for their intervals, which are in the table.")
    if arrangement.series is not None:
        whole = len(points.axes[arrangement.series].texts)
        if len(arrangement.series_places) < whole:
            shown = len(arrangement.series_places)
            said.append(f"{shown} of {whole} values of {points.names[arrangement.series]} as lines.")
    if len(arrangement.combinations) < arrangement.n_combinations:
        names = " and ".join(points.names[key] for key in arrangement.panels)
        shown = len(arrangement.combinations)
        said.append(f"Panels for {shown} of {arrangement.n_combinations} values of {names}; the table has all points.")
    if wanted > MAX_PANELS:
        said.append(f"The first {MAX_PANELS} of {wanted} panels.")
    return "".join(f"{text} " for text in said)


def _rows(points: Points) -> list[PointRow]:
    return [row for group in points.groups for row in group.rows.values()]
