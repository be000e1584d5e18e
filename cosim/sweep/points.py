"""From the `sweep` section to its points: which values they combine, and where each was written."""

from __future__ import annotations

import difflib
import itertools
import json
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from cosim.scenario.errors import Problem, ScenarioError
from cosim.scenario.explain import holds_named_sections
from cosim.scenario.load import Loaded
from cosim.scenario.model import Scenario
from cosim.scenario.override import is_path
from cosim.scenario.source import KeyPath, dotted
from cosim.scenario.sweep import Between, GridSweep, ListSweep, RandomSweep, Sweep, ZipSweep
from cosim.sweep.base import Point
from cosim.sweep.slugs import labels, slug

MOST_RUNS = 10_000
MOST_DRAWS_PER_SAMPLE = 1_000
DIGITS_OF_A_DRAW = 4
_FIXED = {
    "seed": "the runs of each point differ by seed already: sweep.repeats",
    "sweep": "the keys of the scenario beside it",
    "schema_version": "a key that changes what is run",
}


@dataclass(frozen=True, slots=True)
class Placed:
    """A point and where each of its values was written, as keys of the file."""

    point: Point
    places: dict[str, KeyPath]


def sweep_of(loaded: Loaded) -> Sweep:
    """The section `sweep`. Raises ScenarioError if there is none."""
    if loaded.scenario.sweep is None:
        what, allowed = "is missing, so there is nothing to sweep", "sweep: {kind: grid, parameters: {a.b: [1, 2]}}"
        raise ScenarioError([Problem(loaded.source.file, None, "sweep", what, allowed)])
    return loaded.scenario.sweep


def count(sweep: Sweep) -> int:
    """How many points a sweep has."""
    match sweep:
        case GridSweep():
            return math.prod(len(values) for values in sweep.parameters.values())
        case ZipSweep():
            return len(next(iter(sweep.parameters.values())))
        case ListSweep():
            return len(sweep.points)
        case RandomSweep():
            return sweep.samples


def swept_keys(sweep: Sweep) -> list[str]:
    """The dotted paths that a sweep changes, in the order of the file."""
    if isinstance(sweep, ListSweep):
        return list(dict.fromkeys(path for values in sweep.points for path in values))
    return list(sweep.parameters)


def placed_points(loaded: Loaded, *, most: int | None = None) -> list[Placed]:
    """The points of a sweep, or its first `most`.

    Raises ScenarioError for a path that cannot be swept, and for points that would share a directory.
    """
    sweep = sweep_of(loaded)
    keys = swept_keys(sweep)
    data = loaded.base().data()
    problems = [problem for path in keys for problem in _path_problems(loaded, sweep, path, keys, data)]
    if problems:
        raise ScenarioError(problems)
    named = labels(keys)
    found: list[Placed] = []
    owners: dict[str, int] = {}
    for index, chosen in enumerate(itertools.islice(_combinations(loaded, sweep), most)):
        point = Point(index, slug(_values(chosen), named), {path: _at(data, path) for path in keys} | _values(chosen))
        other = owners.setdefault(point.slug.casefold(), index)
        if other != index:
            problems.append(_shared_name(loaded, sweep, point, other, chosen))
        found.append(Placed(point, {path: place for path, (_, place) in chosen.items()}))
    if problems:
        raise ScenarioError(problems)
    return found


def place_text(place: KeyPath) -> str:
    """Keys below `sweep` as text: `sweep.parameters.a.b[2]`, `sweep.points[0].a.b`."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in place).removeprefix(".")


_Chosen = dict[str, tuple[Any, KeyPath]]


def _values(chosen: _Chosen) -> dict[str, Any]:
    return {path: value for path, (value, _) in chosen.items()}


def _combinations(loaded: Loaded, sweep: Sweep) -> Iterator[_Chosen]:
    match sweep:
        case GridSweep():
            for choice in itertools.product(*(_listed(path, values) for path, values in sweep.parameters.items())):
                yield dict(zip(sweep.parameters, choice, strict=True))
        case ZipSweep():
            for choice in zip(*(_listed(path, values) for path, values in sweep.parameters.items()), strict=True):
                yield dict(zip(sweep.parameters, choice, strict=True))
        case ListSweep():
            for index, values in enumerate(sweep.points):
                yield {path: (value, ("sweep", "points", index, path)) for path, value in values.items()}
        case RandomSweep():
            yield from _drawn(loaded, sweep)


def _listed(path: str, values: list[Any]) -> list[tuple[Any, KeyPath]]:
    return [(value, ("sweep", "parameters", path, index)) for index, value in enumerate(values)]


def _drawn(loaded: Loaded, sweep: RandomSweep) -> Iterator[_Chosen]:
    """Different points; each key has a stream of its own, so that another key leaves its draws as they are."""
    streams = {path: random.Random(f"{sweep.seed} {path}") for path in sweep.parameters}
    seen: set[str] = set()
    for _ in range(sweep.samples * MOST_DRAWS_PER_SAMPLE):
        if len(seen) == sweep.samples:
            return
        chosen = {path: _draw(streams[path], path, values) for path, values in sweep.parameters.items()}
        text = json.dumps(_values(chosen), sort_keys=True)
        if text not in seen:
            seen.add(text)
            yield chosen
    if len(seen) < sweep.samples:
        what = f"only {len(seen)} different points were found"
        raise ScenarioError([loaded.problem(("sweep", "samples"), what, f"at most {len(seen)}, or more values")])


def _draw(stream: random.Random, path: str, values: list[Any] | Between) -> tuple[Any, KeyPath]:
    if isinstance(values, list):
        return _listed(path, values)[stream.randrange(len(values))]
    (low, unit), (high, _) = values.ends()
    place: KeyPath = ("sweep", "parameters", path)
    if isinstance(values.low, int) and isinstance(values.high, int) and values.scale == "linear":
        return stream.randint(values.low, values.high), place
    if values.scale == "log":
        number = math.exp(stream.uniform(math.log(low), math.log(high)))
    else:
        number = stream.uniform(float(low), float(high))
    rounded = min(max(Decimal(f"{number:.{DIGITS_OF_A_DRAW}g}"), low), high)
    if isinstance(values.low, int) and isinstance(values.high, int):
        return round(rounded), place
    return (f"{rounded:f}{unit}" if isinstance(values.low, str) else float(rounded)), place


def _shared_name(loaded: Loaded, sweep: Sweep, point: Point, other: int, chosen: _Chosen) -> Problem:
    """Two points with one slug, told where the later one's last value is written."""
    place = list(chosen.values())[-1][1] if chosen else ("sweep", "points", point.index)
    if isinstance(sweep, ListSweep):
        place = ("sweep", "points", point.index)
    origin, line = loaded.source.place(place)
    what = f"point {point.index} has the same name as point {other}: {point.slug}"
    return Problem(origin, line, place_text(place), what, "values whose texts differ in letters, digits or . _ % + -")


def _path_problems(loaded: Loaded, sweep: Sweep, path: str, keys: list[str], data: dict[str, Any]) -> Iterator[Problem]:
    """Why a path cannot be swept, told where it is first written."""
    place: KeyPath = ("sweep", "parameters", path)
    if isinstance(sweep, ListSweep):
        place = next(("sweep", "points", index, path) for index, values in enumerate(sweep.points) if path in values)
    origin, line = loaded.source.place(place)
    if not is_path(path):
        yield Problem(origin, line, place_text(place), "is no dotted path", "such as network.paths.cloud.delay")
        return
    first = path.partition(".")[0]
    if first in _FIXED:
        yield Problem(origin, line, place_text(place), "cannot be swept", _FIXED[first])
        return
    for other in keys:
        if path.startswith(f"{other}."):
            yield Problem(origin, line, place_text(place), f"lies inside {other}, which is swept too", "one of the two")
    if not _is_there(path, data):
        near = difflib.get_close_matches(path, list(_paths(data, ())), n=3, cutoff=0.5)
        allowed = f"did you mean {' or '.join(near)}?" if near else f"allowed: keys below {', '.join(data)}"
        yield Problem(origin, line, place_text(place), "no such key in this scenario", allowed)


def _is_there(path: str, data: dict[str, Any]) -> bool:
    """Whether a key is in the resolved scenario, or may be in a section of it: that is then for its model to say."""
    *sections, key = _keys(path, data)
    node: Any = data
    for word in sections:
        try:
            node = node[word]
        except (KeyError, IndexError, TypeError):
            return False
    if isinstance(node, list):
        return isinstance(key, int) and key < len(node)
    return isinstance(node, dict) and (key in node or not holds_named_sections(tuple(sections), data, Scenario))


def _keys(path: str, data: Any) -> list[str | int]:
    """The words of a path; those that choose an item of a list as numbers."""
    keys: list[str | int] = []
    for word in path.split("."):
        key = int(word) if isinstance(data, list) and word.isdecimal() else word
        keys.append(key)
        try:
            data = data[key]
        except (KeyError, IndexError, TypeError):
            data = None
    return keys


def _at(data: Any, path: str) -> Any:
    """What the scenario beside its sweep has at a path; None if nothing."""
    for key in _keys(path, data):
        try:
            data = data[key]
        except (KeyError, IndexError, TypeError):
            return None
    return data


def _paths(data: Any, above: KeyPath) -> Iterator[str]:
    """Every dotted path of a scenario."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, child in items:
        yield dotted((*above, key))
        yield from _paths(child, (*above, key))
