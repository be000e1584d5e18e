"""Groups of clients: what they ask, when, and when they give up."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from cosim.scenario.arrivals import Arrivals, ClosedLoop
from cosim.scenario.dialogue import Dialogue
from cosim.scenario.group import SizedGroup
from cosim.scenario.section import Section, problem
from cosim.scenario.sharegpt import ShareGpt
from cosim.scenario.traces import Trace
from cosim.scenario.units import Duration, PositiveDuration


class Image(Section):
    """A camera's frame as JPEG."""

    width: int = Field(640, ge=28, le=8192)
    height: int = Field(480, ge=28, le=8192)
    quality: int = Field(80, ge=1, le=95)
    detail: float = Field(0.5, ge=0, le=1, description="How much of the picture is noise: its JPEG size grows with it.")


class Frames(SizedGroup):
    """A camera that asks about each frame."""

    kind: Literal["frames"]
    period: PositiveDuration
    image: Image | None = None
    folder: str | None = Field(None, description="Images (JPEG) to send in order instead of synthetic frames.")
    jitter: Duration = Field(2_000_000, description="Standard deviation of the capture time.")
    drift_ppm: float = Field(50, ge=0, le=1e5, description="Each camera's clock is off by up to this.")
    on_overrun: Literal["overlap", "skip", "queue"] = "overlap"

    @model_validator(mode="after")
    def _one_source(self) -> Frames:
        if self.image is not None and self.folder is not None:
            raise problem(("folder",), "given beside image", "one of the two")
        return self


class Chat(SizedGroup):
    """A user who asks in text; each request stands alone."""

    kind: Literal["chat"]
    arrivals: Arrivals

    @property
    def closed_loop(self) -> bool:
        """Whether a client waits for an answer before it asks again."""
        return isinstance(self.arrivals, ClosedLoop)


ClientGroup = Annotated[Frames | Chat | Dialogue | ShareGpt | Trace, Field(discriminator="kind")]
