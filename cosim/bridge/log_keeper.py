"""The process that writes a child's output to its log and keeps the log small: `python -I -S log_keeper.py`.

Standard input is the pipe into which the child writes, standard output the log. Up to HEAD_BYTES + TAIL_BYTES the log
is what the child wrote. Of more, it holds the first HEAD_BYTES, a line that says how many bytes were left out, and
the last TAIL_BYTES.

Why a process and a pipe. A child that writes to its log itself can fill the disk before anybody looks. A thread of
cosim that reads a pipe takes the lines in it along when cosim is killed with -9, and competes with the loop for the
interpreter. This process sleeps in `splice` until the child writes, is no child of the child, and ends when nobody
can write any more, so that it outlives a killed child and a killed cosim by the time that the last lines take.
`splice` takes bytes off the pipe when they are in the file: when the pipe is empty (FIONREAD), all that was written
is in the log. It imports little, so that it starts in some 20 ms.
"""

from __future__ import annotations

import contextlib
import os
import select
from collections import deque

HEAD_BYTES = 16 * 2**20
TAIL_BYTES = 2**20
READ_BYTES = 2**20
QUIET_S = 0.1
# How much a flood writes between two times at which the log gets its tail anew.
SHOW_EVERY_BYTES = 16 * TAIL_BYTES


def keep(source: int, log: int, *, head_bytes: int = HEAD_BYTES, tail_bytes: int = TAIL_BYTES) -> None:
    """Copy what is written to a pipe into a file until its last writer has gone.

    A disk that takes no more loses text; the writer never waits for it and never notices.
    """
    ended = _copy(source, log, head_bytes)
    tail = _Tail(log, tail_bytes)
    while not ended:
        if tail.unshown_bytes and not select.select([source], [], [], QUIET_S)[0]:
            tail.show()
        chunk = os.read(source, READ_BYTES)
        ended = not chunk
        tail.add(chunk)
        if tail.unshown_bytes >= SHOW_EVERY_BYTES or not tail.left_out_bytes:
            tail.show()
    tail.show()


def _copy(source: int, log: int, n_bytes: int) -> bool:
    """Copy up to a number of bytes; whether the writers have gone."""
    direct = True
    while n_bytes > 0:
        if direct:
            try:
                copied = os.splice(source, log, min(n_bytes, READ_BYTES))
            except OSError:  # The disk is full, or its file system knows no splice.
                direct = False
                continue
        else:
            chunk = os.read(source, min(n_bytes, READ_BYTES))
            copied = len(chunk)
            with contextlib.suppress(OSError):
                _write(log, chunk, os.lseek(log, 0, os.SEEK_CUR))
                os.lseek(log, copied, os.SEEK_CUR)
        if not copied:
            return True
        n_bytes -= copied
    return False


class _Tail:
    """The last bytes of what did not fit into the head of a log."""

    def __init__(self, log: int, tail_bytes: int) -> None:
        self.left_out_bytes = 0
        self.unshown_bytes = 0
        self._log = log
        self._start = os.lseek(log, 0, os.SEEK_CUR)
        self._tail_bytes = tail_bytes
        self._chunks: deque[bytes] = deque()
        self._held_bytes = 0

    def add(self, chunk: bytes) -> None:
        """Take a chunk in and let go of what is before the last bytes."""
        self._chunks.append(chunk)
        self._held_bytes += len(chunk)
        self.unshown_bytes += len(chunk)
        while (surplus := self._held_bytes - self._tail_bytes) > 0:
            first = self._chunks.popleft()
            dropped = min(surplus, len(first))
            if dropped < len(first):
                self._chunks.appendleft(first[dropped:])
            self._held_bytes -= dropped
            self.left_out_bytes += dropped

    def show(self) -> None:
        """Write the tail behind the head."""
        if not self.unshown_bytes:
            return
        self.unshown_bytes = 0
        note = f"\n[cosim left out {self.left_out_bytes} bytes here]\n".encode() if self.left_out_bytes else b""
        shown = note + b"".join(self._chunks)
        with contextlib.suppress(OSError):
            _write(self._log, shown, self._start)
            os.ftruncate(self._log, self._start + len(shown))


def _write(log: int, content: bytes, offset: int) -> None:
    while content:
        written = os.pwrite(log, content, offset)
        content, offset = content[written:], offset + written


if __name__ == "__main__":
    keep(0, 1)
