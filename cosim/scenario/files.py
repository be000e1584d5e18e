"""Opening files that a scenario names."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path


def open_regular(path: Path) -> io.BufferedReader:
    """A plain file, open for reading. Raises OSError, and ValueError for a pipe or a device, which might never end."""
    file = open(path, "rb", opener=_without_waiting)  # noqa: SIM115 (the caller closes it)
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise ValueError("it is no regular file")
    return file


def _without_waiting(path: str, flags: int) -> int:
    """Opens a pipe too, which has no writer yet."""
    return os.open(path, flags | os.O_NONBLOCK)
