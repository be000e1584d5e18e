"""A directory that one run or one sweep at a time writes into."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from cosim.results.store import ResultsError


@contextlib.contextmanager
def locked_directory(directory: Path, writer: str) -> Iterator[None]:
    """Make a directory where there is none and hold it; `writer` is `run` or `sweep`, whichever else holds it.

    Raises ResultsError if it cannot be had.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise ResultsError(f"{directory}: {error.strerror}; choose a directory that can be written with -o") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            what = f"another {writer} is writing into {directory}"
            raise ResultsError(f"{what}; wait until it ends, or choose another directory with -o") from error
        yield
    finally:
        os.close(handle)
