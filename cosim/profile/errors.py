"""What is wrong with a profile."""

from __future__ import annotations

from collections.abc import Sequence


class ProfileError(Exception):
    """A profile that cannot be had or does not fit the engine; `place` is file:line where the fault is in a file.

    `others`: further faults that were found with it.
    """

    def __init__(self, what: str, allowed: str, place: str | None = None, others: Sequence[ProfileError] = ()) -> None:
        text = f"{what}; {allowed}" if place is None else f"{place}: {what}; {allowed}"
        super().__init__("\n".join([text, *map(str, others)]))
        self.what = what
        self.allowed = allowed
        self.place = place
        self.others = tuple(others)

    @property
    def faults(self) -> tuple[ProfileError, ...]:
        """Every fault, this one first."""
        return (self, *self.others)


def raise_all(faults: Sequence[ProfileError]) -> None:
    """Raise one error that holds every fault, if there are any."""
    if faults:
        first, *others = faults
        raise ProfileError(first.what, first.allowed, first.place, others)
