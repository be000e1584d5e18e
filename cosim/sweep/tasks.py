"""From the points of a sweep to its runs: each point's values laid over the file, checked, and made into text."""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from cosim.clock import NS_PER_S
from cosim.engine_plan import engine_plans
from cosim.requirements import check_names, check_runnable
from cosim.results.sweep_store import run_directory
from cosim.scenario.engines import VllmEngine
from cosim.scenario.errors import Problem, ScenarioError
from cosim.scenario.load import Loaded, hash_of, load_source
from cosim.scenario.model import Scenario
from cosim.scenario.override import assign
from cosim.scenario.source import Source
from cosim.sweep.base import RunTask
from cosim.sweep.points import Placed, place_text, sweep_of

MOST_PROBLEM_POINTS = 100
# How warnings of idle parts end that other points may use.
USED_ELSEWHERE = ("no client asks this tier",)
# What the names that `check_names` looks up depend on.
_NAMING = ("tiers", "clients", "placement", "duration", "warmup")


@dataclass(slots=True)
class Warnings:
    """What is said of the points' scenarios, and at how many of them."""

    points: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, loaded: Loaded) -> None:
        """Count those of one point."""
        self.points += 1
        self.counts.update(loaded.warnings)

    def texts(self) -> list[str]:
        """One line for each; where a sweep chooses the tier, each is idle at the points of the others."""
        return [
            text if n == self.points else f"{text} (at {n} of {self.points} points)"
            for text, n in self.counts.items()
            if n == self.points or not text.endswith(USED_ELSEWHERE)
        ]


def resolve(loaded: Loaded, placed: Placed) -> Loaded:
    """A point's scenario: its values laid over the file. Raises ScenarioError, which names the values."""
    data = {key: copy.deepcopy(value) for key, value in loaded.source.data.items() if key != "sweep"}
    source = Source(loaded.source.file, data, dict(loaded.source.places))
    try:
        for path, place in placed.places.items():
            assign(source, path.split("."), copy.deepcopy(placed.point.values[path]), loaded.source.place(place))
        return load_source(source)
    except ScenarioError as error:
        raise ScenarioError([_at_value(problem, loaded, placed) for problem in error.problems]) from None


def resolved_points(loaded: Loaded, points: Iterable[Placed], *, runnable: bool) -> Iterator[tuple[Placed, Loaded]]:
    """Every point with its scenario; `runnable`: also check that this machine has the packages to run it.

    Raises ScenarioError at the end with every fault found, MissingExtraError.
    """
    problems: list[Problem] = []
    faulty = 0
    checked: set[str] = set()
    for placed in points:
        try:
            resolved = resolve(loaded, placed)
            data = resolved.data()
            naming = json.dumps([data[key] for key in _NAMING])
            if naming not in checked:
                checked.add(naming)
                _check(resolved, runnable=runnable)
        except ScenarioError as error:
            problems += error.problems
            faulty += 1
            if faulty == MOST_PROBLEM_POINTS:
                break
            continue
        yield placed, resolved
    if problems:
        raise ScenarioError(list(dict.fromkeys(problems)))


def tasks_of(loaded: Loaded, placed: Placed, resolved: Loaded) -> list[RunTask]:
    """The runs of a point."""
    sweep = sweep_of(loaded)
    data = resolved.data()
    text = json.dumps(data, ensure_ascii=False)
    executed_on = _executed_on(resolved.scenario)
    tasks = []
    for number in range(sweep.repeats):
        seed = data["seed"] = resolved.scenario.seed + number
        tasks.append(
            RunTask(
                index=placed.point.index * sweep.repeats + number,
                point=placed.point,
                number=number,
                seed=seed,
                directory=str(run_directory(Path(), placed.point.slug, number)),
                scenario_json=text,
                scenario_hash=hash_of(data),
                executed_on=executed_on,
                time_limit_s=None if sweep.time_limit is None else sweep.time_limit / NS_PER_S,
            )
        )
    return tasks


def _check(resolved: Loaded, *, runnable: bool) -> None:
    if runnable:
        check_runnable(resolved, replay=False)
    else:
        check_names(resolved)


def _executed_on(scenario: Scenario) -> tuple[str, ...]:
    plans = [plan for plan in engine_plans(scenario) if isinstance(plan.settings, VllmEngine) and plan.executor is None]
    return tuple(sorted({plan.executed_on for plan in plans}))


def _at_value(problem: Problem, loaded: Loaded, placed: Placed) -> Problem:
    """A fault at a swept key is one of the value that was laid there; any other is one of this point."""
    for path, place in placed.places.items():
        related = problem.key == path or problem.key.startswith(f"{path}.") or path.startswith(f"{problem.key}.")
        if related and (problem.origin, problem.line) == loaded.source.place(place):
            rest = problem.key.removeprefix(path) if problem.key.startswith(path) else ""
            return replace(problem, key=place_text(place) + rest)
    return replace(problem, what=f"{problem.what} (at the point {placed.point.slug})")
