"""`cosim sweep`: every run of every point, now or from where an earlier sweep was left."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cosim.results.display import choose_mode
from cosim.results.locked_directory import locked_directory
from cosim.results.store import REPORT
from cosim.scenario.errors import Problem, ScenarioError
from cosim.scenario.load import Loaded
from cosim.sweep.base import Executor, Outcome
from cosim.sweep.closing import closing_lines
from cosim.sweep.directory import earlier_sweep, empty, write_sweep
from cosim.sweep.driver import MADE, OnFailure, SweepFailedError, Work, carry_out_sweep, make_tables, work_of
from cosim.sweep.local import LocalExecutor
from cosim.sweep.points import MOST_RUNS, count, placed_points, sweep_of
from cosim.sweep.progress import SweepProgress
from cosim.sweep.shard import Shard
from cosim.sweep.tasks import resolved_points

MOST_LISTED = 40
MOST_CHECKED = 1000


@dataclass(frozen=True, slots=True)
class SweepOptions:
    """What the command line says."""

    directory: Path
    resume: bool
    force: bool
    on_failure: OnFailure
    dry_run: bool
    workers: int | None
    shard: Shard | None
    executor: Literal["local", "ray"]
    ray_address: str | None
    yes: bool
    ui: str
    json: bool


def sweep(loaded: Loaded, options: SweepOptions) -> int:
    """Carry out a sweep; returns the exit status: 0, 3 if a run failed, 4 if one is INVALID.

    Raises ScenarioError and ResultsError before anything is started, SweepFailedError, KeyboardInterrupt and
    TerminatedError.
    """
    if options.resume and options.force:
        raise ScenarioError([Problem("--force", None, "", "given beside --resume", "one of the two")])
    refuse_many(loaded, yes=options.yes)
    if options.dry_run:
        earlier = earlier_sweep(options.directory, resume=options.resume, force=options.force)
        work = work_of(loaded, options.directory, earlier, runnable=False, shard=options.shard)
        _say_work(work, loaded)
        for task in work.tasks:
            print(f"{task.directory}  seed {task.seed}")
        return 0
    executor = _executor(options)
    with locked_directory(options.directory, "sweep"):
        earlier = earlier_sweep(options.directory, resume=options.resume, force=options.force)
        work = work_of(loaded, options.directory, earlier, runnable=True, shard=options.shard)
        _say_work(work, loaded)
        if earlier is None:
            _begin(options.directory, work, loaded)
        return _carry_out(work, options, executor)


def merge(directories: Sequence[Path], out: Path, *, partial: bool) -> int:
    """Make one sweep of shards; returns the exit status as `sweep` does. Raises ResultsError."""
    from cosim.sweep.merge import merge as carry_out

    merged = carry_out(directories, out, partial=partial)
    tally, sweep = merged.tally, merged.sweep
    if len(merged.versions) > 1:
        for version, where in sorted(merged.versions.items()):
            tell(f"warning: runs of cosim {version} in {', '.join(map(str, where))}")
    part = f", shard {sweep.shard}" if sweep.shard else ""
    tell(f"{sweep.name}{part}: {len(sweep.points)} point(s) x {len(sweep.seeds)} run(s) in {out} ({merged.files})")
    tell(f"report: {out / REPORT}")
    tell(f"{tally.done} of {tally.total} runs done, {tally.failed} failed, {tally.invalid} INVALID")
    print("\n".join(closing_lines(out)))
    if tally.done < tally.total:
        tell(f"`cosim sweep SCENARIO --resume -o {out}` carries out the others")
        return 3
    return 4 if tally.invalid else 0


def refuse_many(loaded: Loaded, *, yes: bool) -> None:
    """Raise ScenarioError for a sweep of more runs than anybody starts by mistake."""
    section = sweep_of(loaded)
    runs = count(section) * section.repeats
    if runs > MOST_RUNS and not yes:
        what = f"is of {runs} runs ({count(section)} points x {section.repeats})"
        raise ScenarioError([loaded.problem(("sweep",), what, f"at most {MOST_RUNS}, or pass --yes")])


def sweep_lines(loaded: Loaded) -> list[str]:
    """The points of a sweep for `cosim plan`. Raises ScenarioError for one that cannot be run."""
    section = sweep_of(loaded)
    n = count(section)
    points = placed_points(loaded, most=MOST_CHECKED)
    for _ in resolved_points(loaded, points, runnable=False):
        pass
    head = f"sweep: {n} point(s) x {section.repeats} run(s) = {n * section.repeats}"
    head += "" if len(points) == n else f"; the first {len(points)} points are checked"
    listed = [f"  {placed.point.slug}" for placed in points[:MOST_LISTED]]
    more = [f"  and {n - MOST_LISTED} more"] if n > MOST_LISTED else []
    return [head, *listed, *more]


def _say_work(work: Work, loaded: Loaded) -> None:
    # What is said of the scenario beside its sweep concerns no run; what is said of the environment does.
    of_environment = [warning for warning in loaded.warnings if warning.startswith("environment ")]
    for warning in [*of_environment, *work.warnings[:MOST_LISTED]]:
        tell(f"warning: {warning}")
    for task, why in work.again:
        tell(f"again: {task.directory}: {why}")
    kept = f", {work.tally.kept} of them done before" if work.tally.kept else ""
    points = len(work.sweep.points)
    part = f", shard {work.sweep.shard}" if work.sweep.shard else ""
    tell(f"{work.sweep.name}{part}: {points} point(s) x {len(work.sweep.seeds)} run(s) = {work.tally.total}{kept}")


def _executor(options: SweepOptions) -> Executor:
    if options.executor == "ray":
        from cosim.sweep.ray_cluster import RayExecutor

        return RayExecutor(options.ray_address, options.workers)
    if options.ray_address is not None:
        raise ScenarioError([Problem("--ray-address", None, "", "given without a use", "with --executor ray")])
    return LocalExecutor(options.workers or len(os.sched_getaffinity(0)))


def _begin(directory: Path, work: Work, loaded: Loaded) -> None:
    """Leave on disk what is swept, before the first run."""
    try:
        empty(directory)
        write_sweep(directory, work.sweep, loaded.resolved_yaml())
    except OSError as error:
        what = f"{directory} cannot be written: {error.strerror} ({error.filename})"
        raise SweepFailedError(f"{what}; mend that, or choose another directory with -o") from error


def _carry_out(work: Work, options: SweepOptions, executor: Executor) -> int:
    tally = work.tally
    progress = SweepProgress(choose_mode(options.ui), tally)
    try:
        failed = carry_out_sweep(work, options.directory, executor, progress, options.on_failure)
    except BaseException:
        done = f"{tally.kept + tally.done} of {tally.total} runs are done in {options.directory}"
        tell(f"{done}; the same command with --resume goes on")
        raise
    make_tables(options.directory, work.sweep.points, changed=bool(work.tasks), say=tell)
    if tally.left:
        tell(
            f"stopped at the first failed run with {tally.left} left: --resume goes on, --continue-on-error passes over"
        )
    tell(progress.line(0.0))
    if work.sweep.shard:
        tell(f"this is shard {work.sweep.shard}: `cosim sweep merge DIR... -o DIR` makes one sweep of all")
    if options.json:
        print(json.dumps(_as_json(work, failed, options.directory), indent=1, ensure_ascii=False))
    else:
        print("\n".join(closing_lines(options.directory)))
    return 3 if failed or tally.left else 4 if tally.invalid else 0


def tell(text: str) -> None:
    """A line on stderr, if somebody reads it."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr)


def _as_json(work: Work, failed: Sequence[Outcome], directory: Path) -> dict[str, Any]:
    tally = work.tally
    return {
        "directory": str(directory),
        "name": work.sweep.name,
        "points": len(work.sweep.points),
        "paired": work.sweep.paired,
        "shard": work.sweep.shard,
        "runs": {
            "total": tally.total,
            "done": tally.kept + tally.done,
            "done_before": tally.kept,
            "invalid": tally.invalid,
            "failed": tally.failed,
            "left": tally.left,
        },
        "failed": [{"directory": outcome.task.directory, "text": outcome.text} for outcome in failed],
        "tables": [str(directory / name) for name in MADE if (directory / name).exists()],
    }
