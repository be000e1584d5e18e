"""What SIGTERM and Ctrl-C do to a command that has something to clean up."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator


class TerminatedError(BaseException):
    """SIGTERM."""


@contextlib.contextmanager
def sigterm_raises() -> Iterator[None]:
    """SIGTERM ends the block with TerminatedError, as Ctrl-C ends it with KeyboardInterrupt."""

    def terminate(number: int, frame: object) -> None:
        raise TerminatedError

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Clean up without a second Ctrl-C or SIGTERM breaking in."""
    before = [(number, signal.signal(number, signal.SIG_IGN)) for number in (signal.SIGINT, signal.SIGTERM)]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)
