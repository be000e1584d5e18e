"""Clients that hold conversations: sessions of several turns whose context grows."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from cosim.scenario.arrivals import ThinkLaw
from cosim.scenario.group import Group, SizedGroup
from cosim.scenario.section import Name, Section, problem
from cosim.scenario.units import Duration

MOST_TURNS = 10_000


class Move(Section):
    """Where a session goes on."""

    turn: int = Field(
        ge=2, le=MOST_TURNS, description="The first turn that the other tier serves; a session's are 1, 2, ..."
    )
    tier: Name


class GeometricTurns(Section):
    """Turns of a session: after each the next one follows with the same probability."""

    kind: Literal["geometric"]
    mean: float = Field(ge=1, le=MOST_TURNS)


class UniformTurns(Section):
    """Turns of a session: each number from `min` to `max` equally likely."""

    kind: Literal["uniform"]
    min: int = Field(1, ge=1, le=MOST_TURNS)
    max: int = Field(ge=1, le=MOST_TURNS)

    @model_validator(mode="after")
    def _in_order(self) -> UniformTurns:
        if self.max < self.min:
            raise problem(("max",), f"{self.max} is less than min", f"at least {self.min}")
        return self


def _turns_tag(value: Any) -> str:
    return "drawn" if isinstance(value, (dict, Section)) else "constant"


Turns = Annotated[
    Annotated[int, Field(ge=1, le=MOST_TURNS), Tag("constant")]
    | Annotated[GeometricTurns | UniformTurns, Field(discriminator="kind"), Tag("drawn")],
    Discriminator(_turns_tag),
]


class SessionGroup(Group):
    """A group whose requests belong to sessions.

    Each turn's prompt is the whole conversation so far with the answers as the client received them. A turn that ends
    in an error, a timeout or a rejection ends its session; one that the client cancels goes on with what it has read.
    """

    sessions: int | None = Field(
        None, ge=1, description="Of each client, one after another; None: as many as begin before its end."
    )
    moves: list[Move] = Field(
        default_factory=list,
        description="Other tiers from turns on, such as [{turn: 3, tier: cloud}]; the whole conversation goes there.",
    )

    @model_validator(mode="after")
    def _moves_in_order(self) -> SessionGroup:
        for index, (before, after) in enumerate(pairwise(self.moves)):
            if after.turn <= before.turn:
                raise problem(("moves", index + 1, "turn"), "is not after the move before it", "rising turns")
        return self

    def references(self) -> list[tuple[tuple[str | int, ...], str]]:
        """Keys that name a tier, and which."""
        moves = [(("moves", index, "tier"), move.tier) for index, move in enumerate(self.moves)]
        return [*super().references(), *moves]

    def tier_of(self, turn: int) -> str:
        """Where a turn is served; `turn` counts from 1."""
        return next((move.tier for move in reversed(self.moves) if move.turn <= turn), self.tier)


class Dialogue(SessionGroup, SizedGroup):
    """A user who talks in sessions: each turn `prompt_tokens` of new text, then an answer and a think time."""

    kind: Literal["dialogue"]
    turns: Turns = Field(
        description="Of a session: a number, {kind: geometric, mean: 4} or {kind: uniform, min: 2, max: 8}."
    )
    system_tokens: int = Field(
        0, ge=0, le=1_000_000, description="Tokens of a system prompt that all sessions of the group begin with."
    )
    think_time: Duration = Field(1_000_000_000, description="Between an answer and the next turn.")
    pause: Duration | None = Field(
        None, description="Between a session's end and the next session's first turn; None: as `think_time`."
    )
    think: ThinkLaw = Field("exponential", description="The law of `think_time` and `pause`, which are its mean.")

    @property
    def closed_loop(self) -> bool:
        """Whether a client waits for an answer before it asks again."""
        return True
