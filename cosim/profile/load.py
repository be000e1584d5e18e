"""From the name or path in a scenario to a profile that fits an engine."""

from __future__ import annotations

from cosim.bridge.engine_messages import EngineSpec
from cosim.profile.base import Profile


class ProfileError(Exception):
    """A profile that cannot be had or does not fit the engine; `place` is file:line where the fault is in a file."""

    def __init__(self, what: str, allowed: str, place: str | None = None) -> None:
        super().__init__(f"{what}; {allowed}" if place is None else f"{place}: {what}; {allowed}")
        self.what = what
        self.allowed = allowed
        self.place = place


def load_profile(name: str, spec: EngineSpec, *, quantization: str | None) -> Profile:
    """The profile of an engine that is about to be started; raises ProfileError."""
    del spec, quantization
    raise ProfileError(f"no profile {name!r}", "none is shipped yet")
