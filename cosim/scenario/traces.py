"""Requests of a trace: which file, which of its columns, which part, and what to do with what does not fit."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from cosim.scenario.group import Group
from cosim.scenario.section import Section, problem
from cosim.scenario.units import Duration

ColumnName = Annotated[str, StringConstraints(min_length=1, max_length=200)]
ArrivalUnit = Literal["s", "ms", "us", "ns", "datetime"]


class TraceColumns(Section):
    """Where a trace of one's own has what; names of columns (CSV) or keys (JSON Lines)."""

    arrival: ColumnName
    unit: ArrivalUnit = Field(description="Of `arrival`; `datetime`: such as 2023-11-16 18:15:46.6805900, UTC.")
    prompt_tokens: ColumnName
    output_tokens: ColumnName
    session: ColumnName | None = Field(None, description="Requests of one session come from one client.")
    turn: ColumnName | None = None
    hash_ids: ColumnName | None = Field(
        None, description="A list with an id for each block of `block_tokens` of the prompt; equal ids, equal tokens."
    )


class Trace(Group):
    """Clients that share the requests of a trace, open loop; the trace's first request is at time `join`."""

    kind: Literal["trace"]
    file: str = Field(min_length=1, description="CSV with a header or JSON Lines, sorted by time; may be gzipped.")
    format: Literal["auto", "azure", "burstgpt", "mooncake"] = Field(
        "auto",
        description="Whose columns it has: Azure LLM inference (TIMESTAMP, ContextTokens, GeneratedTokens), BurstGPT "
        "(Timestamp in s, Request tokens, Response tokens) or Mooncake (timestamp in ms, input_length, output_length, "
        "hash_ids). auto: made out by the columns.",
    )
    columns: TraceColumns | None = Field(None, description="The columns of any other trace.")
    start: Duration = Field(0, description="Time after the trace's first request, in its own time, to begin at.")
    limit: int | None = Field(None, ge=1, description="Requests to take; None: all within the run's duration.")
    speedup: float = Field(1.0, gt=0, le=1e6, description="How much faster than in the trace requests arrive.")
    spread: Literal["round-robin", "session"] | None = Field(
        None,
        description="Which client asks: each in turn, or the client of the request's session, where sessions take "
        "turns. None: by session if the trace has them.",
    )
    block_tokens: int = Field(512, ge=1, le=1_000_000, description="Tokens of a block of `hash_ids`.")
    max_prompt_tokens: int | None = Field(
        None, ge=1, description="The longest prompt, without the chat template; an engine refuses what exceeds it."
    )
    on_too_long: Literal["error", "clip", "drop"] = Field(
        "error", description="What becomes of prompts longer than max_prompt_tokens: clip keeps their beginning."
    )
    on_no_tokens: Literal["error", "drop"] = Field(
        "error", description="What becomes of requests without prompt or output tokens: BurstGPT's failures have none."
    )

    @model_validator(mode="after")
    def _reads_one_way(self) -> Trace:
        if self.columns is not None and self.format != "auto":
            raise problem(("columns",), "given beside format", "one of the two")
        if self.columns is not None and self.columns.session is None and self.spread == "session":
            raise problem(("spread",), "needs sessions", "columns.session, or round-robin")
        if self.join_every:
            raise problem(("join_every",), "has no effect: the trace says when a request is due", "join")
        return self
