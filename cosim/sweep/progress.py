"""How far a sweep is, on the terminal."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from cosim.clock import monotonic_s
from cosim.results.terminal import PLAIN_INTERVAL_S, RICH_INTERVAL_S, Mode

if TYPE_CHECKING:
    from rich.live import Live


@dataclass(slots=True)
class Tally:
    """Runs of a sweep by how they ended; `kept` are those that were done before."""

    total: int
    repeats: int
    kept: int = 0
    done: int = 0
    invalid: int = 0
    failed: int = 0

    @property
    def left(self) -> int:
        """Runs that have not ended."""
        return self.total - self.kept - self.done - self.failed


class SweepProgress:
    """Shows runs done, failed and INVALID, points per second and the time left; on stderr unless told otherwise."""

    def __init__(self, mode: Mode, tally: Tally, stream: TextIO | None = None) -> None:
        self._mode: Mode = mode
        self._tally = tally
        self._stream = stream or sys.stderr
        self._interval_s = RICH_INTERVAL_S if mode == "rich" else PLAIN_INTERVAL_S
        self._started_s = self._shown_s = monotonic_s()
        self._live: Live | None = None
        if mode == "rich":
            from rich.console import Console
            from rich.live import Live

            # No refresh thread: a display drawn beside a measured step would take part in the measurement.
            self._live = Live(console=Console(file=self._stream), auto_refresh=False, transient=True)
            with self._unless_broken():
                self._live.start()

    def update(self) -> None:
        """Show the tally if the last display is old enough."""
        now_s = monotonic_s()
        if self._mode == "none" or now_s - self._shown_s < self._interval_s:
            return
        self._shown_s = now_s
        with self._unless_broken():
            self._show(now_s - self._started_s)

    def say(self, text: str) -> None:
        """A line that stays, also where no progress is shown."""
        with self._unless_broken():
            if self._live is not None:
                self._live.console.print(text, markup=False, highlight=False, soft_wrap=True)
            else:
                self._stream.write(text + "\n")
                self._stream.flush()

    def close(self) -> None:
        """Take the display away; a second call does nothing."""
        if self._live is not None:
            with self._unless_broken():
                self._live.stop()
            self._live = None

    def _show(self, wall_s: float) -> None:
        text = self.line(wall_s)
        if self._live is None:
            self._stream.write(text + "\n")
            self._stream.flush()
            return
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.text import Text

        bar = ProgressBar(total=max(self._tally.total, 1), completed=self._tally.total - self._tally.left, width=60)
        self._live.update(Group(bar, Text(text)), refresh=True)

    def line(self, wall_s: float) -> str:
        """The tally as text, `wall_s` after the start."""
        tally = self._tally
        ended = tally.done + tally.failed
        text = f"{tally.kept + tally.done} of {tally.total} runs done, {tally.failed} failed, {tally.invalid} INVALID"
        if not ended or wall_s <= 0:
            return text
        rate = ended / wall_s
        return f"{text}; {rate / tally.repeats:.2f} points/s, about {_duration(tally.left / rate)} left"

    @contextlib.contextmanager
    def _unless_broken(self) -> Iterator[None]:
        """A sweep goes on when nobody can read how far it is."""
        try:
            yield
        except OSError:
            self._mode = "none"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
