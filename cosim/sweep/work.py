"""One run of a sweep, in the process of a worker."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import platform
import re
import shutil
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from cosim.clock import monotonic_s, wall_time_iso
from cosim.entry_store import user_cache
from cosim.kept_children import KeptChildren
from cosim.requirements import MissingExtraError
from cosim.results.store import FAILURE, ResultsError, write_atomic
from cosim.results.terminal import Progress
from cosim.run import SCHEMA_VERSION, RunFailedError, RunOptions, execute
from cosim.scenario.errors import ScenarioError
from cosim.scenario.load import Loaded, load_resolved
from cosim.signals import TerminatedError
from cosim.sweep.base import Outcome, RunTask

LOCKS = "hardware"


def carry_out(
    sweep_directory: Path, task: RunTask, kept: KeptChildren, begun: Callable[[], None] = lambda: None
) -> Outcome:
    """Carry out a run into its directory and say how it ended; `begun` is called when it has the hardware to itself.

    Raises KeyboardInterrupt and TerminatedError only; the directory then says that the run was interrupted.
    """
    started_s = monotonic_s()
    directory = sweep_directory / task.directory

    def failed(text: str) -> Outcome:
        if not (directory / FAILURE).is_file():
            write_failure(directory, text)
        return Outcome(task, "failed", None, text, monotonic_s() - started_s)

    try:
        with executing_alone(task.executed_on):
            begun()
            started_s = monotonic_s()
            if directory.exists():  # An earlier try, perhaps killed while it was being removed.
                shutil.rmtree(directory)
            options = RunOptions(directory, force=False, command_line=tuple(sys.argv), kept=kept)
            summary = execute(load_task(task), options, Progress("none", 0))
    except (RunFailedError, ScenarioError, MissingExtraError, ResultsError, OSError) as error:
        return failed(str(error) or type(error).__name__)
    except (KeyboardInterrupt, TerminatedError):
        raise
    except Exception as error:
        traceback.print_exc()
        return failed(f"{type(error).__name__}: {error}; please report this as a bug")
    return Outcome(task, "done", summary["verdict"], None, monotonic_s() - started_s)


def load_task(task: RunTask) -> Loaded:
    """The scenario of a run."""
    return load_resolved({**json.loads(task.scenario_json), "seed": task.seed}, f"{task.point.slug}, run {task.number}")


def write_failure(directory: Path, text: str) -> None:
    """Leave failure.json for a run that could not do so itself, as far as the disk allows."""
    content = {"schema_version": SCHEMA_VERSION, "status": "failed", "error": "SweepError", "text": text}
    content |= {"peer": None, "virtual_ns": None, "at": wall_time_iso()}
    with contextlib.suppress(OSError):
        directory.mkdir(parents=True, exist_ok=True)
        write_atomic(directory / FAILURE, (json.dumps(content, indent=1) + "\n").encode())


@contextlib.contextmanager
def executing_alone(hardware: tuple[str, ...]) -> Iterator[None]:
    """Wait until no other sweep of this user executes steps on a piece of hardware, and keep others from it.

    All hardware of this machine counts as one, since engines on each of them take CPU time of the same machine.
    """
    names = {re.sub(r"[^A-Za-z0-9.-]", "_", name) if "://" in name else platform.node() for name in hardware}
    with contextlib.ExitStack() as held:
        for name in sorted(names):
            path = user_cache() / LOCKS / f"{name}.lock"
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
            held.callback(os.close, handle)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
