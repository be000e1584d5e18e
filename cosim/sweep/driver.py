"""A sweep from its scenario to its tables: what is left to do, who does it, and how it ended."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cosim.results.store import REPORT, ResultsError
from cosim.results.sweep_report import write_sweep_report
from cosim.results.sweep_store import (
    RUNS_TABLE,
    SCHEMA_VERSION,
    SUMMARY_TABLE,
    SweptPoint,
    run_directory,
)
from cosim.results.sweep_store import Sweep as StoredSweep
from cosim.results.sweep_tables import write_tables
from cosim.scenario.load import Loaded
from cosim.sweep.base import Executor, Outcome, RunTask
from cosim.sweep.compared import Compared, check_files, compared
from cosim.sweep.directory import refuse_change, run_state
from cosim.sweep.points import Placed, placed_points, sweep_of, swept_keys
from cosim.sweep.progress import SweepProgress, Tally
from cosim.sweep.shard import Shard
from cosim.sweep.tasks import Warnings, resolved_points, tasks_of

OnFailure = Literal["finish", "continue", "interrupt"]
MADE = (RUNS_TABLE, SUMMARY_TABLE, REPORT)


class SweepFailedError(Exception):
    """A sweep could not go on; what was recorded is in its directory, and --resume goes on."""


@dataclass(slots=True)
class Work:
    """What a sweep is to do: the content of its sweep.json, the runs that are left, which again and why, the tally."""

    sweep: StoredSweep
    tasks: list[RunTask]
    again: list[tuple[RunTask, str]]
    tally: Tally
    warnings: list[str]


def work_of(
    loaded: Loaded, directory: Path, earlier: StoredSweep | None, *, runnable: bool, shard: Shard | None = None
) -> Work:
    """What is to do for a sweep in a directory; `earlier` is what the directory holds of it, `shard` None all of it.

    Raises ScenarioError for points that cannot be run, ResultsError if `earlier` is of another scenario or shard.
    """
    points = placed_points(loaded)
    if shard is not None:
        shard.check_holds_any(len(points))
    now = compared(loaded)
    if earlier is None:
        return _new(loaded, points, shard, now, runnable=runnable)
    check_files(directory, earlier, now)
    if earlier.scenario_hash != now.scenario_hash:
        raise refuse_change(directory, loaded.resolved_yaml())
    if shard is not None and str(shard) != earlier.shard:
        held = "the whole sweep" if earlier.shard is None else f"shard {earlier.shard}"
        raise ResultsError(f"{directory} holds {held}, not shard {shard}; choose another directory with -o")
    return _rest(loaded, points, directory, earlier, runnable=runnable)


def _new(loaded: Loaded, points: list[Placed], shard: Shard | None, now: Compared, *, runnable: bool) -> Work:
    """Every point is checked by every shard, and whether runs are paired is asked of all."""
    tasks: list[RunTask] = []
    swept: list[SweptPoint] = []
    warnings = Warnings()
    paired = True
    for placed, resolved in resolved_points(loaded, points, runnable=runnable):
        warnings.add(resolved)
        runs = tasks_of(loaded, placed, resolved)
        paired = paired and not any(run.executed_on for run in runs)
        point = placed.point
        if shard is None or shard.holds(point.index):
            tasks += runs
            swept.append(SweptPoint(point.index, point.slug, point.values, [run.scenario_hash for run in runs]))
    section = sweep_of(loaded)
    sweep = StoredSweep(
        schema_version=SCHEMA_VERSION,
        name=loaded.scenario.name,
        keys=swept_keys(section),
        seeds=[loaded.scenario.seed + number for number in range(section.repeats)],
        paired=paired,
        shard=None if shard is None else str(shard),
        scenario_hash=now.scenario_hash,
        points=swept,
        files=now.files,
    )
    return Work(sweep, tasks, [], Tally(len(tasks), section.repeats), warnings.texts())


def _rest(loaded: Loaded, points: list[Placed], directory: Path, sweep: StoredSweep, *, runnable: bool) -> Work:
    """Only points with a run to carry out are resolved, so that a sweep that is complete is known so at once."""
    reasons: dict[tuple[int, int], str | None] = {}
    tally = Tally(sum(len(point.scenario_hashes) for point in sweep.points), len(sweep.seeds))
    for point in sweep.points:
        for number, scenario_hash in enumerate(point.scenario_hashes):
            state = run_state(run_directory(directory, point.slug, number), scenario_hash)
            if state.verdict is None:
                reasons[point.index, number] = state.why
            else:
                tally.kept += 1
                tally.invalid += state.verdict != "VALID"
    open_points = {index for index, _ in reasons}
    stored = {point.index: point for point in sweep.points}
    tasks: list[RunTask] = []
    warnings = Warnings()
    left = [placed for placed in points if placed.point.index in open_points]
    for placed, resolved in resolved_points(loaded, left, runnable=runnable):
        warnings.add(resolved)
        runs = tasks_of(loaded, placed, resolved)
        if [run.scenario_hash for run in runs] != stored[placed.point.index].scenario_hashes:
            what = f"the point {placed.point.slug} is another than in {directory}"
            cause = "a file that it names lies elsewhere now, or cosim is another version"
            raise ResultsError(f"{what}: {cause}; go on as it was begun, or choose another directory with -o")
        tasks += [run for run in runs if (placed.point.index, run.number) in reasons]
    again = [(task, why) for task in tasks if (why := reasons[task.point.index, task.number]) is not None]
    return Work(sweep, tasks, again, tally, warnings.texts())


def carry_out_sweep(
    work: Work, directory: Path, executor: Executor, progress: SweepProgress, on_failure: OnFailure
) -> list[Outcome]:
    """Carry out what is left; returns the runs that failed.

    Raises SweepFailedError if the disk takes no more, KeyboardInterrupt and TerminatedError. Nothing is left running.
    """
    failed: list[Outcome] = []

    def ended(outcome: Outcome) -> bool:
        tally = work.tally
        if outcome.status == "done":
            tally.done += 1
            tally.invalid += outcome.verdict != "VALID"
        else:
            tally.failed += 1
            failed.append(outcome)
            progress.say(f"{outcome.task.directory} failed: {outcome.text}")
        progress.update()
        if outcome.text is not None and os.strerror(errno.ENOSPC) in outcome.text:
            raise SweepFailedError(_full(directory))  # Every other run would fail too.
        if outcome.status != "done" and on_failure == "interrupt":
            raise _StopError
        return outcome.status == "done" or on_failure == "continue"

    try:
        executor.execute(directory, work.tasks, ended)
    except _StopError:
        pass
    finally:
        progress.close()
    return failed


def make_tables(directory: Path, points: Iterable[SweptPoint], *, changed: bool, say: Callable[[str], None]) -> None:
    """Make the tables and the report, unless nothing changed and those that are there are the latest."""
    if not changed and _up_to_date(directory, points):
        return
    try:
        write_tables(directory)
        say(f"report: {write_sweep_report(directory)}")
    except OSError as error:
        full = error.errno == errno.ENOSPC
        raise SweepFailedError(_full(directory) if full else f"{error.filename}: {error.strerror}") from error


def _up_to_date(directory: Path, points: Iterable[SweptPoint]) -> bool:
    """Whether the tables are there and no run's summary is younger."""
    try:
        oldest_ns = min((directory / name).stat().st_mtime_ns for name in MADE)
        return all(
            (run_directory(directory, point.slug, number) / "summary.json").stat().st_mtime_ns <= oldest_ns
            for point in points
            for number in range(len(point.scenario_hashes))
        )
    except OSError:
        return False


def _full(directory: Path) -> str:
    return f"the disk of {directory} is full: free some of it, then go on with --resume"


class _StopError(Exception):
    """A run failed and no other shall go on."""
