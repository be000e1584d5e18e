"""What a sweep is made of: points, their runs, and how executors take them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

Status = Literal["done", "failed", "interrupted"]


@dataclass(frozen=True, slots=True)
class Point:
    """A configuration: the value of each swept key, as the user wrote it. `slug` names its directory."""

    index: int
    slug: str
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RunTask:
    """One run of a point, as text so that it can travel to another process or machine.

    `directory` is the run's, relative to the sweep's. Runs of equal `number` have equal seeds: they are paired.
    `scenario_json` is the point's resolved scenario without `sweep`, whose seed the run's replaces; `scenario_hash` is
    `Loaded.hash()` with that seed. `executed_on`: hardware whose steps the run executes, of this machine or the address
    of another; no two runs that execute steps may run at a time.
    """

    index: int
    point: Point
    number: int
    seed: int
    directory: str
    scenario_json: str
    scenario_hash: str
    executed_on: tuple[str, ...]
    time_limit_s: float | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run of a sweep ended. `verdict` is that of its summary, None unless done; `text` says why it failed."""

    task: RunTask
    status: Status
    verdict: str | None
    text: str | None
    wall_s: float


class Executor(Protocol):
    """Carries out runs, in any order, into the directories of a sweep."""

    def execute(self, sweep_directory: Path, tasks: Sequence[RunTask], ended: Callable[[Outcome], bool]) -> None:
        """Carry out every task and report each once, in this process and thread.

        After `ended` has returned False no further task is begun; those under way are carried out and reported. A task
        whose worker died is tried again once, then reported as failed. Raises KeyboardInterrupt, TerminatedError and
        what `ended` raises; runs under way are then interrupted, and nothing is left running in any case.
        """
