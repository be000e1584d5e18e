"""The lines of requests.jsonl and steps.jsonl; field order is the order in the files."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from cosim.bridge.engine_messages import Conditions, Signature
from cosim.inference.base import StepSource

Status = Literal["ok", "error", "timeout", "cancelled", "rejected"]
# Differences of two must fit 64 bits too.
WallTime = Annotated[int, msgspec.Meta(ge=-(2**62), le=2**62)]
ConnectionUse = Literal["new", "reused", "none"]


class RequestRecord(msgspec.Struct, frozen=True):
    """One request. Times are ns since the epoch; a time or duration that does not exist is None.

    `warmup` requests are served but not counted.
    """

    request_id: str
    client: str
    session: str | None
    turn: int | None
    tier: str | None
    engine: str | None
    model: str | None
    status: Status
    error: str | None
    warmup: bool
    attempts: int
    t_scheduled_ns: int
    t_sent_ns: int
    t_first_token_ns: int | None
    t_end_ns: int
    ttft_ns: int | None
    e2el_ns: int
    e2el_scheduled_ns: int
    tpot_ns: int | None
    chunk_times_ns: list[int]
    prompt_tokens: int | None
    output_tokens: int
    cached_tokens: int | None
    bytes_up: int
    bytes_down: int
    connection: ConnectionUse
    parts: dict[str, int]
    redirected_from: str | None = None
    energy_j: float | None = None
    cost: float | None = None
    quality: float | None = None


class PromptRecord(msgspec.Struct, frozen=True, tag_field="kind", tag="prompt"):
    """The size of a request on the wire: an encoded image's size follows from its encoder, not from the seed."""

    request_id: str
    wire_bytes: int


class FrontendRecord(msgspec.Struct, frozen=True, tag_field="kind", tag="frontend"):
    """One request in an engine's front end; `refused` is the text of a 4xx answer.

    `recorded_source`: of a replayed duration, here and below, what it was when it was recorded.
    """

    engine: str
    request_id: str
    t_start_ns: int
    duration_ns: int
    source: StepSource
    wall_start_ns: WallTime | None
    wall_end_ns: WallTime | None
    prompt_tokens: int
    encoder_tokens: int
    images: int
    refused: str | None = None
    conditions: Conditions | None = None
    recorded_source: StepSource | None = None


class StepRecord(msgspec.Struct, frozen=True, tag_field="kind", tag="step"):
    """One engine step. `tokens`: request_id -> (count, wire bytes, finish_reason). `scheduled`: tokens in the batch.

    `in_flight`: a further batch was fixed when this one started (asynchronous scheduling).
    """

    engine: str
    index: int
    t_start_ns: int
    duration_ns: int
    source: StepSource
    wall_start_ns: WallTime | None
    wall_end_ns: WallTime | None
    signature: Signature
    tokens: dict[str, tuple[int, int, str | None]]
    scheduled: dict[str, int]
    cached_tokens: dict[str, int]
    conditions: Conditions | None = None
    in_flight: bool = False
    recorded_source: StepSource | None = None


class EgressRecord(msgspec.Struct, frozen=True, tag_field="kind", tag="egress"):
    """Output processing and SSE encoding of one step's tokens, per request."""

    engine: str
    index: int
    durations_ns: dict[str, int]
    source: StepSource = "executed"
    recorded_source: StepSource | None = None


StepsLine = PromptRecord | FrontendRecord | StepRecord | EgressRecord
