"""The `sweep` section: which values of which keys are combined, and how often each point is run."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from cosim.scenario.section import Section, problem
from cosim.scenario.units import PositiveDuration


class _Sweep(Section):
    repeats: int = Field(
        5, ge=1, le=1000, description="Runs of each point; run k has the seed `seed` + k at every point."
    )
    time_limit: PositiveDuration | None = Field(None, description="Wall-clock time after which a run is given up.")


class GridSweep(_Sweep):
    """Every combination of the values of several keys."""

    kind: Literal["grid"] = "grid"
    parameters: dict[str, list[Any]] = Field(min_length=1, description="By dotted path from the root: its values.")


class ZipSweep(_Sweep):
    """The first values of all keys, then the second, and so on."""

    kind: Literal["zip"]
    parameters: dict[str, list[Any]] = Field(min_length=1, description="By dotted path: its values, equally many each.")

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

    low: Any
    high: Any
    scale: Literal["linear", "log"] = "linear"


class RandomSweep(_Sweep):
    """Points drawn by seed, each key on its own: uniformly from a list or between two values."""

    kind: Literal["random"]
    parameters: dict[str, list[Any] | Between] = Field(min_length=1)
    samples: int = Field(ge=1, description="How many points are drawn.")
    seed: int = Field(1, ge=0, le=2**63 - 1, description="Of the draw of the points, not of their runs.")


Sweep = Annotated[GridSweep | ZipSweep | ListSweep | RandomSweep, Field(discriminator="kind")]
