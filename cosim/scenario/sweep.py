"""The `sweep` section: which values of which keys are combined, and how often each point is run."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from cosim.scenario.section import Section, problem
from cosim.scenario.units import PositiveDuration

Values = Annotated[list[Any], Field(min_length=1)]
_NUMBER = re.compile(r"\s*([+-]?[0-9]+(?:\.[0-9]*)?)\s*([^0-9\s]*)\s*", re.ASCII)


class _Sweep(Section):
    repeats: int = Field(
        5, ge=1, le=1000, description="Runs of each point; run k has the seed `seed` + k at every point."
    )
    time_limit: PositiveDuration | None = Field(None, description="Wall-clock time after which a run is given up.")


class GridSweep(_Sweep):
    """Every combination of the values of several keys."""

    kind: Literal["grid"]
    parameters: dict[str, Values] = Field(min_length=1, description="By dotted path from the root: its values.")


class ZipSweep(_Sweep):
    """The first values of all keys, then the second, and so on."""

    kind: Literal["zip"]
    parameters: dict[str, Values] = Field(min_length=1, description="By dotted path: its values, equally many each.")

    @model_validator(mode="after")
    def _equally_many(self) -> ZipSweep:
        lengths = {key: len(values) for key, values in self.parameters.items()}
        first = next(iter(lengths))
        for key, length in lengths.items():
            if length != lengths[first]:
                raise problem(("parameters", key), f"has {length} values", f"{lengths[first]}, as many as {first}")
        return self


class ListSweep(_Sweep):
    """Points one by one."""

    kind: Literal["list"]
    points: list[dict[str, Any]] = Field(min_length=1, description="Each a mapping of dotted paths to values.")


class Between(Section):
    """A value drawn between two, which have the same unit."""

    low: str | int | float
    high: str | int | float
    scale: Literal["linear", "log"] = "linear"

    @model_validator(mode="after")
    def _a_range(self) -> Between:
        for key, value in (("low", self.low), ("high", self.high)):
            if _NUMBER.fullmatch(str(value)) is None:
                raise problem((key,), f"{value!r} is no number", 'a number with its unit, such as "20ms", or without')
        (low, low_unit), (high, high_unit) = self.ends()
        if low_unit != high_unit or isinstance(self.low, str) != isinstance(self.high, str):
            raise problem(("high",), f"{self.high!r} has another unit than low", f"the unit of {self.low!r}")
        if low >= high:
            raise problem(("high",), f"{self.high!r} is not above low", f"more than {self.low!r}")
        if self.scale == "log" and low <= 0:
            raise problem(("low",), f"{self.low!r} has no logarithm", "more than 0, or scale: linear")
        return self

    def ends(self) -> tuple[tuple[Decimal, str], tuple[Decimal, str]]:
        """Number and unit of both ends."""
        low, high = (_NUMBER.fullmatch(str(value)) for value in (self.low, self.high))
        assert low is not None
        assert high is not None
        return (Decimal(low[1]), low[2]), (Decimal(high[1]), high[2])


class RandomSweep(_Sweep):
    """Points drawn by seed, each key on its own: uniformly from a list or between two values."""

    kind: Literal["random"]
    parameters: dict[str, Values | Between] = Field(
        min_length=1, description="By dotted path: values, or {low, high} with one unit."
    )
    samples: int = Field(ge=1, description="How many points are drawn.")
    seed: int = Field(1, ge=0, le=2**63 - 1, description="Of the draw of the points, not of their runs.")


Sweep = Annotated[GridSweep | ZipSweep | ListSweep | RandomSweep, Field(discriminator="kind")]
