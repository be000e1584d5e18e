"""What runs of a sweep are carried out by on a node of a Ray cluster; imported there, so without ray."""

from __future__ import annotations

import platform
import shutil
import sys
from typing import NamedTuple

from cosim import __version__
from cosim.bridge.child import Runtime
from cosim.environment import git_state
from cosim.kept_children import KeptChildren
from cosim.sweep.base import Outcome, RunTask
from cosim.sweep.run_archive import packed
from cosim.sweep.work import carry_out


class Program(NamedTuple):
    """Which cosim a node has, and the node's name for messages."""

    node: str
    version: str
    commit: str | None


def program() -> Program:
    """The cosim of this process."""
    return Program(platform.node(), __version__, git_state()["sha"])


class Worker:
    """An actor with the children that it keeps between runs; `command_line` is that of the sweep."""

    def __init__(self, command_line: list[str]) -> None:
        sys.argv = command_line
        self._kept = KeptChildren()
        # If this process is killed, the next cosim on this machine removes the directory.
        self._runtime = Runtime()

    def program(self) -> Program:
        """The cosim of this node."""
        return program()

    def carry_out(self, task: RunTask) -> tuple[Outcome, bytes | None]:
        """Carry out a run in a directory of this node; how it ended, and its files."""
        folder = self._runtime.directory
        directory = folder / task.directory
        try:
            outcome = carry_out(folder, task, self._kept)
            return outcome, packed(directory) if directory.is_dir() else None
        finally:
            shutil.rmtree(directory, ignore_errors=True)

    def close(self) -> None:
        """End the children."""
        self._kept.close()
        self._runtime.close()
