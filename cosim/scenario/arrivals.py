"""When clients ask: open loop at a rate, or closed loop after a think time."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, model_validator

from cosim.scenario.section import Section, problem
from cosim.scenario.units import Duration, Frequency

ThinkLaw = Literal["exponential", "constant"]


class RateChange(Section):
    """A rate that holds from a time on."""

    at: Duration = Field(description="From the epoch, warm-up included.")
    rate: Frequency


class _OpenLoop(Section):
    rate: Frequency = Field(
        description="Of each client, so a group asks `count` times as often; with count: 1 as vllm bench's "
        "--request-rate."
    )
    rate_changes: list[RateChange] = Field(
        default_factory=list, description="Other rates from times on, such as [{at: 20s, rate: 10/s}]."
    )

    @model_validator(mode="after")
    def _in_order(self) -> _OpenLoop:
        for index, (before, after) in enumerate(pairwise(self.rate_changes)):
            if after.at <= before.at:
                raise problem(("rate_changes", index + 1, "at"), "is not after the change before it", "rising times")
        return self


class PoissonArrivals(_OpenLoop):
    """Open loop: exponential gaps."""

    kind: Literal["poisson"]


class GammaArrivals(_OpenLoop):
    """Open loop: gaps from a gamma distribution, as `vllm bench serve --burstiness` draws them."""

    kind: Literal["gamma"]
    burstiness: float = Field(
        ge=0.01,
        le=1e6,
        description="The distribution's shape: 1 is poisson, less comes in bursts, more comes evenly. The standard "
        "deviation of the gaps is their mean divided by the square root of this.",
    )


class ConstantArrivals(_OpenLoop):
    """Open loop: equal gaps, from a random phase."""

    kind: Literal["constant"]


class ClosedLoop(Section):
    """The next question follows the answer after a think time."""

    kind: Literal["closed"]
    think_time: Duration = 1_000_000_000
    think: ThinkLaw = "exponential"


Arrivals = Annotated[PoissonArrivals | GammaArrivals | ConstantArrivals | ClosedLoop, Field(discriminator="kind")]
