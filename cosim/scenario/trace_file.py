"""Reading a text file that a link's value names: its lines, and its faults at their lines."""

from __future__ import annotations

from decimal import Decimal, DecimalException
from pathlib import Path

from cosim.scenario.errors import MOST_SHOWN, Problem, ScenarioError
from cosim.scenario.files import open_regular

LARGEST_BYTES = 32 * 2**20


class TraceFile:
    """The lines of a file, and what is wrong with it. `key`, `named_at`: which key names it, and where."""

    def __init__(self, path: Path, key: str, named_at: tuple[str, int | None], wanted: str) -> None:
        self.path = path
        self.problems: list[Problem] = []
        self._key = key
        self._named_at = named_at
        self._wanted = wanted

    def text(self) -> str:
        """The whole. Raises ScenarioError at the key that names the file if it cannot be read."""
        try:
            with open_regular(self.path) as file:
                raw = file.read(LARGEST_BYTES + 1)
            if len(raw) > LARGEST_BYTES:
                raise ValueError(f"it has more than {LARGEST_BYTES} bytes")
            return raw.decode("utf-8-sig")
        except (OSError, ValueError) as error:  # ValueError: bytes that are no text, a pipe
            why = error.strerror if isinstance(error, OSError) else str(error)
            what = f"{str(self.path)!r} cannot be read: {why}"
            raise ScenarioError([Problem(*self._named_at, self._key, what, self._wanted)]) from None

    def fault(self, line: int, what: str, allowed: str) -> None:
        """Note what is wrong with a line."""
        self.problems.append(Problem(str(self.path), line, self._key, what, allowed))

    @property
    def is_hopeless(self) -> bool:
        """Whether more faults would not be shown."""
        return len(self.problems) > MOST_SHOWN

    def check(self) -> None:
        """Raise ScenarioError for what was noted."""
        if self.problems:
            raise ScenarioError(self.problems)


def scaled(text: str, scale: int) -> int | None:
    """A decimal number times a scale, rounded to an integer; None for what is no finite number."""
    try:
        number = Decimal(text.strip())
        return round(number * scale) if number.is_finite() and abs(number) < 10**15 else None
    except (DecimalException, OverflowError):
        return None


def is_missing(text: str) -> bool:
    """Whether a cell stands for a sample without an answer: empty, `-`, `*`, `nan`, `timeout`, `lost`."""
    return text.strip().lower() in ("", "-", "*", "nan", "na", "none", "null", "timeout", "lost")
