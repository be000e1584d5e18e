"""What readers of manifest.json rely on; a key that is missing is as good as null, other keys are not looked at."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from cosim.bridge.messages import ConnectionBytes

Count = Annotated[int, msgspec.Meta(ge=0, le=2**62)]
Positive = Annotated[int, msgspec.Meta(ge=1, le=2**62)]


class MachineUse(msgspec.Struct):
    """Times in ns over all CPUs, as `cosim.machine_use` reads them."""

    cpus: Positive
    wall_ns: Positive
    busy_ns: Count
    own_ns: Count
    stolen_ns: Count


class Tier(msgspec.Struct):
    """A tier of `objectives`."""

    hardware: str | None = None
    repeats: str | None = None
    engines: list[str] | None = None


class Validity(msgspec.Struct):
    """The limits of the scenario's `validity`."""

    min_requests: int | None = None
    max_error_share: float | None = None
    max_cpu_wait_share: float | None = None
    max_other_load: float | None = None
    max_step_drift: float | None = None
    allow_extrapolated: list[str] | None = None


class Objectives(msgspec.Struct):
    """What results are judged by."""

    sla: dict[str, int] | None = None
    validity: Validity | None = None
    tiers: dict[str, Tier] | None = None
    loop: dict[str, str] | None = None


class Invariants(msgspec.Struct):
    """How often each invariant was checked, and what was found."""

    checked: dict[str, int] | None = None
    broken: list[str] | None = None


class Figure(msgspec.Struct):
    """A value of a link in words, and what it rests on (see `cosim.path_basis`)."""

    key: str
    value: str
    kind: str
    source: str | None
    date: str | None
    percentile: str | None
    why: str | None


class Link(msgspec.Struct):
    """What the values of a link rest on."""

    preset: str | None
    figures: list[Figure]


class Manifest(msgspec.Struct):
    """The whole."""

    objectives: Objectives | None = None
    paths: dict[str, Link] | None = None
    machine_use: MachineUse | None = None
    recorded_disturbances: list[str] | None = None
    invariants: Invariants | None = None
    connections: list[ConnectionBytes] | None = None
    links: list[dict[str, Any]] | None = None


def mapping(value: object) -> dict[str, Any]:
    """A part of a manifest that is an object; empty if it is missing."""
    return value if isinstance(value, dict) else {}


def damage(content: dict[str, Any]) -> str | None:
    """The first thing in a manifest that no run writes, as `key: what`; None if there is none."""
    try:
        msgspec.convert(content, Manifest)
    except msgspec.ValidationError as error:
        what, _, where = str(error).partition(" - at `$")
        return f"{where.strip('.`')}: {what}"
    return None
