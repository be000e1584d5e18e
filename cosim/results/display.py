"""A display of how far something is, on a terminal or in a log; it never stops what it shows."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal, TextIO

from cosim.clock import monotonic_s

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

Mode = Literal["rich", "plain", "none"]

RICH_INTERVAL_S = 0.2
PLAIN_INTERVAL_S = 5.0
BAR_WIDTH = 60


def choose_mode(ui: str, stream: TextIO | None = None) -> Mode:
    """The mode that `--ui` means: `auto` is `rich` on a terminal and `plain` elsewhere."""
    if ui == "none":
        return "none"
    if ui == "auto":
        ui = "rich" if (stream or sys.stderr).isatty() else "plain"
    return "rich" if ui == "rich" else "plain"


class Display:
    """A bar with text (`rich`) or lines of text (`plain`) on stderr unless a stream is given; nothing with `none`."""

    def __init__(self, mode: Mode, stream: TextIO | None = None) -> None:
        self._mode: Mode = mode
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

    def due_s(self) -> float | None:
        """Wall seconds since the start if the last display is RICH_INTERVAL_S or PLAIN_INTERVAL_S old, else None."""
        if self._mode == "none":
            return None
        now_s = monotonic_s()
        if now_s - self._shown_s < self._interval_s:
            return None
        self._shown_s = now_s
        return now_s - self._started_s

    def show(self, share: float, text: str, details: str = "") -> None:
        """Show how much is done, in [0, 1], and what that is; `details` stand in brackets or on a line of their own."""
        with self._unless_broken():
            if self._live is None:
                self._write(f"{text} [{details}]" if details else text)
                return
            from rich.console import Group
            from rich.progress_bar import ProgressBar
            from rich.text import Text

            lines: list[RenderableType] = [ProgressBar(total=1.0, completed=share, width=BAR_WIDTH), Text(text)]
            if details:
                lines.append(Text(details))
            self._live.update(Group(*lines), refresh=True)

    def say(self, text: str) -> None:
        """A line that stays, also where no progress is shown."""
        with self._unless_broken():
            if self._live is not None:
                self._live.console.print(text, markup=False, highlight=False, soft_wrap=True)
            else:
                self._write(text)

    def close(self) -> None:
        """Take the display away; a second call does nothing."""
        if self._live is not None:
            with self._unless_broken():
                self._live.stop()
            self._live = None
        self._mode = "none"

    def _write(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()

    @contextlib.contextmanager
    def _unless_broken(self) -> Iterator[None]:
        """What is shown goes on when nobody can read how far it is."""
        try:
            yield
        except OSError:
            self._mode = "none"
