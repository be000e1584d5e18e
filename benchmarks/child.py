"""Processes that a benchmark measures in: a module of its own, or a command of cosim."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from benchmarks.errors import RigError

ROOT = Path(__file__).parents[1]
LAST_LINES = 30

T = TypeVar("T")


def answer(module: str, request: msgspec.Struct, kind: type[T]) -> T:
    """What a module makes of a request, in a new process: both are JSON, on its standard input and output.

    Raises RigError.
    """
    done = subprocess.run(
        [sys.executable, "-m", module],
        input=msgspec.json.encode(request),
        capture_output=True,
        env=environment(),
        check=False,
    )
    if done.returncode != 0:
        raise RigError(f"the measuring process ended with status {done.returncode}:\n{_end(done.stderr)}")
    return msgspec.json.decode(done.stdout, type=kind)


def cosim(*words: str | Path, statuses: tuple[int, ...] = (0,)) -> subprocess.CompletedProcess[bytes]:
    """Run a command of cosim; raises RigError on an exit status that is none of `statuses`."""
    command: list[Any] = [sys.executable, "-m", "cosim", *words]
    done = subprocess.run(command, capture_output=True, env=environment(), check=False)
    if done.returncode not in statuses:
        raise RigError(f"cosim {words[0]} ended with status {done.returncode}:\n{_end(done.stderr + done.stdout)}")
    return done


def environment() -> dict[str, str]:
    """The environment of a child that imports this tree, wherever it was started."""
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}


def _end(log: bytes) -> str:
    return "\n".join(log.decode(errors="replace").splitlines()[-LAST_LINES:])
