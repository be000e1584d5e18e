"""A shard: the part of a sweep's points that one machine runs."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cosim.scenario.errors import Problem, ScenarioError

_ALLOWED = "i/n with i from 1 to n, such as 2/3; several of them as 1,3/4"
_FORM = re.compile(r"(\d{1,6}(?:,\d{1,6})*)/(\d{1,6})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Shard:
    """Some of the `of` parts of a sweep, counted from 1; point k is in part k modulo `of` + 1 with all its runs.

    Neighbours in a grid differ in the key that varies fastest, so that every part gets its share of slow and fast ones.
    """

    parts: tuple[int, ...]
    of: int

    def __str__(self) -> str:
        return f"{','.join(map(str, self.parts))}/{self.of}"

    @property
    def is_whole(self) -> bool:
        """Whether no point is left out."""
        return len(self.parts) == self.of

    def holds(self, index: int) -> bool:
        """Whether the point of this index is run here."""
        return index % self.of + 1 in self.parts

    def check_holds_any(self, points: int) -> None:
        """Raise ScenarioError if none of a sweep's points is run here."""
        if self.parts[0] > points:
            what = f"{self} holds none of this sweep's {points} point(s)"
            raise ScenarioError([Problem("--shard", None, "", what, f"allowed: at most {points} shards")])


def parse_shard(text: str, origin: str = "--shard") -> Shard:
    """Read "i/n". Raises ScenarioError, which names `origin`."""
    form = _FORM.fullmatch(text.strip())
    if form is None:
        raise ScenarioError([Problem(origin, None, "", f"{text!r} is no shard", f"allowed: {_ALLOWED}")])
    of = int(form[2])
    parts = sorted(set(map(int, form[1].split(","))))
    for part in parts:
        if not 1 <= part <= of:
            what = f"{text!r}: there is no shard {part} of {of}"
            raise ScenarioError([Problem(origin, None, "", what, f"allowed: {_ALLOWED}")])
    return Shard(tuple(parts), of)
