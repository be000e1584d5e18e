"""A worker of a sweep on this machine: `python -m cosim.sweep.worker FD PARENT_PID SWEEP_DIRECTORY COMMAND...`.

It carries out one run after another, as they come over the socket FD, and ends when that is closed, at SIGTERM, and
with its parent, however that ends.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

from cosim.bridge.peer import die_with_parent
from cosim.kept_children import KeptChildren
from cosim.signals import TerminatedError, first_signal_raises, unbroken, uninterrupted
from cosim.sweep.base import Outcome
from cosim.sweep.work import carry_out

# What every run imports at its end, of which a library in C fails oddly where a signal breaks into its import.
PRELOADED = ("cosim.results.summary", "cosim.results.report", "scipy.stats")
BEGUN: Literal["begun"] = "begun"


def work(connection: Connection[Any, Any], sweep_directory: Path) -> None:
    """Carry out what comes, and say when each run begins and how it ended."""

    def tell(what: Outcome | Literal["begun"]) -> None:
        with unbroken:
            connection.send(what)

    kept = KeptChildren()
    try:
        while True:
            tell(carry_out(sweep_directory, connection.recv(), kept, lambda: tell(BEGUN)))
    finally:
        with uninterrupted():
            kept.close()


def main() -> None:
    """Entry point of the process."""
    handle, parent, directory, *command = sys.argv[1:]
    sys.argv = command
    for module in PRELOADED:
        importlib.import_module(module)
    with first_signal_raises(), contextlib.suppress(EOFError, ConnectionError, KeyboardInterrupt, TerminatedError):
        die_with_parent(int(parent))
        work(Connection(int(handle)), Path(directory))


if __name__ == "__main__":
    main()
