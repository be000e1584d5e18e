"""From the name or path in a scenario to a profile that fits an engine."""

from __future__ import annotations

from cosim.bridge.engine_messages import EngineSpec
from cosim.profile.base import Profile
from cosim.profile.errors import ProfileError as ProfileError


def load_profile(name: str, spec: EngineSpec, *, quantization: str | None) -> Profile:
    """The profile of an engine that is about to be started; raises ProfileError."""
    del spec, quantization
    raise ProfileError(f"no profile {name!r}", "none is shipped yet")
