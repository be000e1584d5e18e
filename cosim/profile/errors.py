"""What is wrong with a profile."""

from __future__ import annotations


class ProfileError(Exception):
    """A profile that cannot be had or does not fit the engine; `place` is file:line where the fault is in a file."""

    def __init__(self, what: str, allowed: str, place: str | None = None) -> None:
        super().__init__(f"{what}; {allowed}" if place is None else f"{place}: {what}; {allowed}")
        self.what = what
        self.allowed = allowed
        self.place = place
