"""A sweep on a Ray cluster with changed tasks: `python -m tests.changed_tasks FILE DIRECTORY ADDRESS`.

Runs of an even number are said to execute steps, which they do not, and the first run goes on for ever but may take a
second. It prints the text of each that failed.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

from cosim.scenario.load import load
from cosim.sweep.base import RunTask
from cosim.sweep.directory import write_sweep
from cosim.sweep.driver import carry_out_sweep, work_of
from cosim.sweep.progress import SweepProgress
from cosim.sweep.ray_cluster import RayExecutor


def changed(task: RunTask) -> RunTask:
    if task.index == 0:
        endless = {**json.loads(task.scenario_json), "duration": "1000000s"}
        return replace(task, scenario_json=json.dumps(endless), time_limit_s=1.0)
    return replace(task, executed_on=("cpu",) if task.number % 2 == 0 else ())


def main(file: Path, directory: Path, address: str) -> None:
    loaded = load(file, environment={})
    work = work_of(loaded, directory, None, runnable=True)
    work.tasks = [changed(task) for task in work.tasks]
    directory.mkdir()
    write_sweep(directory, work.sweep, loaded.resolved_yaml())
    executor, progress = RayExecutor(address, None), SweepProgress("none", work.tally)
    for outcome in carry_out_sweep(work, directory, executor, progress, "continue"):
        print(outcome.task.directory, outcome.text)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
