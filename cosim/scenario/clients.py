"""Groups of clients: what they ask, when, and when they give up."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from cosim.scenario.section import Name, Section, problem
from cosim.scenario.units import Duration, Frequency, PositiveDuration


class _Group(Section):
    name: Name
    count: int = Field(1, ge=1, le=10_000)
    tier: Name
    prompt_tokens: int = Field(24, ge=1, le=1_000_000, description="Tokens of text in the prompt.")
    output_tokens: int = Field(16, ge=1, le=1_000_000)
    timeout: PositiveDuration = Field(
        30_000_000_000,
        description="The client's whole patience, from sending and over all retries; the request then counts as a "
        "miss and is not tried again.",
    )
    max_retries: int = Field(
        2,
        ge=0,
        le=100,
        description="How often a request is tried again whose connection broke before its answer began, after 0.5 s, "
        "1 s, 2 s up to 8 s, each less up to a quarter at random (openai SDK: DEFAULT_MAX_RETRIES). Error answers "
        "are final: vLLM's are 400.",
    )
    cancel_after: PositiveDuration | None = Field(None, description="The client gives up this long after sending.")
    cancel_after_chunks: int | None = Field(None, ge=1, description="The client gives up at this streamed chunk.")


class Image(Section):
    """A camera's frame as JPEG."""

    width: int = Field(640, ge=28, le=8192)
    height: int = Field(480, ge=28, le=8192)
    quality: int = Field(80, ge=1, le=95)
    detail: float = Field(0.5, ge=0, le=1, description="How much of the picture is noise: its JPEG size grows with it.")


class Frames(_Group):
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


class PoissonArrivals(Section):
    """Open loop: exponential gaps."""

    kind: Literal["poisson"]
    rate: Frequency


class ConstantArrivals(Section):
    """Open loop: equal gaps, from a random phase."""

    kind: Literal["constant"]
    rate: Frequency


class ClosedLoop(Section):
    """The next question follows the answer after a think time."""

    kind: Literal["closed"]
    think_time: Duration = 1_000_000_000
    think: Literal["exponential", "constant"] = "exponential"


class Chat(_Group):
    """A user who asks in text; each request stands alone."""

    kind: Literal["chat"]
    arrivals: Annotated[PoissonArrivals | ConstantArrivals | ClosedLoop, Field(discriminator="kind")]


ClientGroup = Annotated[Frames | Chat, Field(discriminator="kind")]
