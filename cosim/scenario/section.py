"""The base of every part of a scenario, and how a part reports a fault that lies in one of its keys."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints
from pydantic_core import PydanticCustomError

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
"""A name: letters, digits, `_` and `-`, so that it can stand in a dotted path, a file name and a metric's label."""


class Section(BaseModel):
    """A mapping of a scenario: unknown keys are errors, values do not change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=False)


def problem(keys: tuple[str | int, ...], what: str, allowed: str | Iterable[str]) -> PydanticCustomError:
    """A fault at a place below the section whose validator raises it."""
    text = allowed if isinstance(allowed, str) else "allowed: " + (", ".join(allowed) or "none is defined")
    return PydanticCustomError("scenario", "{what}; {allowed}", {"what": what, "allowed": text, "keys": list(keys)})
