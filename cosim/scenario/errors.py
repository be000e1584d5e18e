"""Errors in what the user wrote, each at its place in the file."""

from __future__ import annotations

from dataclasses import dataclass

LONGEST_SHOWN = 400
MOST_SHOWN = 50


def printable(text: str) -> str:
    """A text without line breaks or what a terminal would obey: such characters are written as Python escapes."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


def shown(text: str) -> str:
    """A text as an error shows it: printable, the middle of a very long one left out."""
    half = LONGEST_SHOWN // 2
    return printable(text if len(text) <= LONGEST_SHOWN else f"{text[:half]} ... {text[-half:]}")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong: where (file and 1-based line, or another origin), which key, what, and what is allowed."""

    origin: str
    line: int | None
    key: str
    what: str
    allowed: str | None = None

    def __str__(self) -> str:
        place = self.origin if self.line is None else f"{self.origin}:{self.line}"
        key = f" {shown(self.key)}:" if self.key else ""
        allowed = f"; {self.allowed}" if self.allowed else ""
        return f"{place}:{key} {shown(self.what)}{allowed}"


class ScenarioError(Exception):
    """A scenario that cannot be run; `problems` holds every fault that was found, the text the first MOST_SHOWN."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        shown = [str(problem) for problem in problems[:MOST_SHOWN]]
        if len(problems) > MOST_SHOWN:
            shown.append(f"{problems[-1].origin}: and {len(problems) - MOST_SHOWN} more")
        super().__init__("\n".join(shown))
