"""What SIGTERM and Ctrl-C do to a command that has something to clean up."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterable, Iterator
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)

Handler = Callable[[int, FrameType | None], Any] | int | None


class TerminatedError(BaseException):
    """SIGTERM."""


class _Unbroken:
    """`with unbroken:` is carried out whole: what a signal raises, it raises at the end of the block."""

    def __init__(self) -> None:
        self._depth = 0
        self._late: BaseException | None = None

    def __enter__(self) -> None:
        self._depth += 1

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._depth -= 1
        if self._late is not None and not self._depth:
            late, self._late = self._late, None
            raise late

    def interrupt(self, stop: BaseException) -> None:
        """Raise now, or at the end of the block that is under way."""
        if not self._depth:
            raise stop
        self._late = stop


unbroken = _Unbroken()


@contextlib.contextmanager
def first_signal_raises() -> Iterator[None]:
    """The first Ctrl-C ends the block with KeyboardInterrupt, the first SIGTERM with TerminatedError.

    Those that follow do nothing, so that they cannot break into the clean-up, which ends within seconds, nor change the
    exit status: after the block they are ignored if one has come, and do what they did before it if none has.
    """
    came = False

    def end(number: int, frame: FrameType | None) -> None:
        nonlocal came
        if not came:
            came = True
            unbroken.interrupt(KeyboardInterrupt() if number == signal.SIGINT else TerminatedError())

    before = [(number, signal.signal(number, end)) for number in SIGNALS]
    try:
        yield
    finally:
        if came:
            _restore((number, signal.SIG_IGN) for number in SIGNALS)  # Python takes functions down before it exits.
        else:
            _restore(before)


@contextlib.contextmanager
def noted() -> Iterator[Callable[[], None]]:
    """Ctrl-C and SIGTERM do nothing until the function given is called, where nothing is half done: it raises them."""
    came: list[int] = []
    before = [(number, signal.signal(number, lambda number, frame: came.append(number))) for number in SIGNALS]

    def heed() -> None:
        if came:
            raise KeyboardInterrupt if came[0] == signal.SIGINT else TerminatedError

    try:
        yield heed
    finally:
        _restore(before)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Finish something short that no Ctrl-C or SIGTERM shall break into."""
    # A function and not SIG_IGN: Python complains of a signal that was caught and finds no handler any more.
    before = [(number, signal.signal(number, lambda number, frame: None)) for number in SIGNALS]
    try:
        yield
    finally:
        _restore(before)


def _restore(handlers: Iterable[tuple[signal.Signals, Handler]]) -> None:
    for number, handler in handlers:
        signal.signal(number, handler)
