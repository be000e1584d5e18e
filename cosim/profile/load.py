"""From the name or path in a scenario to a profile that fits an engine."""

from __future__ import annotations

from pathlib import Path

from cosim.bridge.engine_messages import EngineSpec
from cosim.environment import versions
from cosim.profile.base import Profile
from cosim.profile.errors import ProfileError as ProfileError
from cosim.profile.errors import raise_all
from cosim.profile.recorded import RecordedProfile
from cosim.profile.recorded_file import read_recorded
from cosim.profile.recorded_fit import misfits, stand_in
from cosim.profile.roofline import load_roofline

RECORDED_SUFFIX = ".jsonl"


def load_profile(name: str, spec: EngineSpec, *, quantization: str | None) -> Profile:
    """The profile of an engine that is about to be started: a recorded file, or else a roofline.

    Raises ProfileError with every fault found.
    """
    if name.endswith(RECORDED_SUFFIX):
        return _recorded(Path(name), spec, quantization)
    return load_roofline(name, spec, quantization)


def _recorded(path: Path, spec: EngineSpec, quantization: str | None) -> RecordedProfile:
    recorded = read_recorded(path)
    found = misfits(recorded.header, spec, quantization=quantization, vllm=versions()["vllm"])
    raise_all([ProfileError(what, allowed, f"{path}:1") for what, allowed in found])
    return RecordedProfile(recorded, stand_in(recorded.header, spec))
