"""The near side of a child's log: a pipe for the child to write to, and the process that keeps what it wrote."""

from __future__ import annotations

import array
import contextlib
import fcntl
import os
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

from cosim.bridge import log_keeper
from cosim.clock import monotonic_s, sleep_s

PIPE_BYTES = 2**20
SETTLE_LIMIT_S = 1.0


class KeptLog:
    """A log that stays small whatever is written to it; see `log_keeper`.

    Made before the child, whose output goes to `writer`; `close` comes after the child has ended.
    """

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._reader, self._writer = os.pipe()
        try:
            with contextlib.suppress(OSError):  # More than /proc/sys/fs/pipe-max-size: what there is will do.
                fcntl.fcntl(self._writer, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
            with file.open("wb") as log:
                # A session of its own: Ctrl-C and a stop of the child leave it the last lines to write.
                self._keeper = subprocess.Popen(
                    [sys.executable, "-I", "-S", log_keeper.__file__],
                    stdin=self._reader,
                    stdout=log,
                    stderr=subprocess.DEVNULL,
                    cwd="/",
                    start_new_session=True,
                )
        except BaseException:
            os.close(self._reader)
            os.close(self._writer)
            raise

    @contextlib.contextmanager
    def writer(self) -> Iterator[int]:
        """The descriptor that a child gets for its output; afterwards only the child and its own children have it."""
        try:
            yield self._writer
        finally:
            os.close(self._writer)

    def catch_up(self) -> None:
        """Wait until what the child has written so far is in the file, if it does not write without end."""
        wait_until_logged(self._reader)

    def settle(self) -> None:
        """Wait until all that an ended child wrote is in the file; not for ever, if a process of its own lives on."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._keeper.wait(SETTLE_LIMIT_S)

    def close(self) -> None:
        """End the keeper."""
        self.settle()
        self._keeper.kill()
        self._keeper.wait()
        os.close(self._reader)


def wait_until_logged(descriptor: int) -> None:
    """Wait until what was written to the pipe of a log is in its file; either end of the pipe will do."""
    give_up_s = monotonic_s() + SETTLE_LIMIT_S
    waiting = array.array("i", [1])
    while waiting[0] and monotonic_s() < give_up_s:
        fcntl.ioctl(descriptor, termios.FIONREAD, waiting)
        if waiting[0]:
            sleep_s(0.001)
