"""The invariants of DESIGN section 2, counted as they are checked; a broken one makes the run INVALID."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

MOST_SHOWN = 20


class Invariants:
    """How often each invariant was checked, and the first cases in which one did not hold."""

    def __init__(self) -> None:
        self.checked: Counter[str] = Counter()
        self.broken: list[str] = []

    def check(self, name: str, holds: bool, case: Callable[[], str]) -> None:
        """Count one check; `case` describes it and is called only if it failed."""
        self.checked[name] += 1
        if not holds and len(self.broken) < MOST_SHOWN:
            self.broken.append(f"{name}: {case()}")
