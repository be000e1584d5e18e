"""The base of every part of a scenario, and how a part reports a fault that lies in one of its keys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints
from pydantic_core import PydanticCustomError

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
"""A name: letters, digits, `_` and `-`, so that it can stand in a dotted path, a file name and a metric's label."""

Finding = tuple[tuple[str | int, ...], str, str | Iterable[str]]
"""A fault: keys below the section that finds it, what is wrong, what is allowed."""


class Section(BaseModel):
    """A mapping of a scenario: unknown keys are errors, values do not change after loading.

    Strict: `true` is no 1, and "5" in quotes no number.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=False, strict=True)


def problem(keys: tuple[str | int, ...], what: str, allowed: str | Iterable[str]) -> PydanticCustomError:
    """A fault at a place below the section whose validator raises it."""
    return problems([(keys, what, allowed)])


def problems(found: list[Finding]) -> PydanticCustomError:
    """Several faults, each as `problem` takes it."""
    told = [(list(keys), what, _allowed(allowed)) for keys, what, allowed in found]
    return PydanticCustomError("scenario", "{what}", {"what": "\n".join(what for _, what, _ in told), "found": told})


def out_of_range(section: Section, ranges: Mapping[str, tuple[float, float, str]]) -> list[Finding]:
    """A fault for each value outside its range: the least, the most, and both as the user would write them."""
    written = section.model_dump(mode="json", include=set(ranges))
    values = {key: getattr(section, key) for key in ranges}
    return [
        ((key,), f"{written[key]} is out of range", allowed)
        for key, (least, most, allowed) in ranges.items()
        if values[key] is not None and not least <= values[key] <= most
    ]


def _allowed(allowed: str | Iterable[str]) -> str:
    return allowed if isinstance(allowed, str) else "allowed: " + (", ".join(allowed) or "none is defined")
