"""How far a sweep is, on the terminal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TextIO

from cosim.results.display import Display, Mode


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
    """Shows runs done, failed and INVALID, points per second and the time left."""

    def __init__(self, mode: Mode, tally: Tally, stream: TextIO | None = None) -> None:
        self._display = Display(mode, stream)
        self._tally = tally

    def update(self) -> None:
        """Show the tally if the last display is old enough."""
        wall_s = self._display.due_s()
        if wall_s is not None:
            self._display.show(1 - self._tally.left / max(self._tally.total, 1), self.line(wall_s))

    def say(self, text: str) -> None:
        """A line that stays, also where no progress is shown."""
        self._display.say(text)

    def close(self) -> None:
        """Take the display away; a second call does nothing."""
        self._display.close()

    def line(self, wall_s: float) -> str:
        """The tally as text, `wall_s` after the start."""
        tally = self._tally
        ended = tally.done + tally.failed
        text = f"{tally.kept + tally.done} of {tally.total} runs done, {tally.failed} failed, {tally.invalid} INVALID"
        if not ended or wall_s <= 0:
            return text
        rate = ended / wall_s
        return f"{text}; {rate / tally.repeats:.2f} points/s, about {_duration(tally.left / rate)} left"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
