"""What every group of clients says: who they are, when they come and go, and when they give up."""

from __future__ import annotations

from pydantic import Field, model_validator

from cosim.scenario.section import Name, Section, problem
from cosim.scenario.units import NS_PER_UNIT, Duration, PositiveDuration


class Group(Section):
    """A number of alike clients."""

    name: Name
    count: int = Field(1, ge=1, le=10_000)
    tier: Name
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
    join: Duration = Field(
        0, description="When the first client begins to ask, from the epoch, warm-up included. Its UE is there before."
    )
    join_every: Duration = Field(0, description="How much later than the one before it each further client joins.")
    leave: PositiveDuration | None = Field(
        None,
        description="When all clients of the group stop asking, from the epoch; what was due before is still asked and "
        "answered. None: at the end of the run's duration.",
    )

    @model_validator(mode="after")
    def _joins_before_it_leaves(self) -> Group:
        last_ns = self.joins_at(self.count - 1)
        if self.leave is not None and self.leave <= last_ns:
            what = f"before the last client joins, at {last_ns / NS_PER_UNIT['s']:g} s"
            raise problem(("leave",), what, "a later time, or earlier `join` and `join_every`")
        return self

    def joins_at(self, index: int) -> int:
        """When a client begins to ask, ns since the epoch."""
        return self.join + index * self.join_every

    def references(self) -> list[tuple[tuple[str | int, ...], str]]:
        """Keys that name a tier, and which."""
        return [(("tier",), self.tier)]

    @property
    def tiers(self) -> tuple[str, ...]:
        """Every tier that these clients ask of their own accord."""
        return tuple(dict.fromkeys(name for _, name in self.references()))

    @property
    def closed_loop(self) -> bool:
        """Whether a client waits for an answer before it asks again."""
        return False


class SizedGroup(Group):
    """A group whose requests all have the same lengths."""

    prompt_tokens: int = Field(24, ge=1, le=1_000_000, description="Tokens of text in the prompt.")
    output_tokens: int = Field(16, ge=1, le=1_000_000)
