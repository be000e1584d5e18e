"""Errors in what the user wrote, each at its place in the file."""

from __future__ import annotations

from dataclasses import dataclass


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
        key = f" {self.key}:" if self.key else ""
        allowed = f"; {self.allowed}" if self.allowed else ""
        return f"{place}:{key} {self.what}{allowed}"


class ScenarioError(Exception):
    """A scenario that cannot be run; `problems` holds every fault that was found, not only the first."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))
