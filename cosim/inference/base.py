"""An engine as the conductor sees it: a front end, a scheduler that steps, an egress."""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

from cosim.bridge.engine_messages import Conditions, Signature, Tokens

__all__ = [
    "Conditions",
    "Engine",
    "EngineRefusal",
    "Prompt",
    "RenderResult",
    "Signature",
    "StepResult",
    "StepSource",
    "Tokens",
]

StepSource = Literal["executed", "replayed", "interpolated", "extrapolated", "predicted"]


class EngineRefusal(Exception):
    """The server would answer this request with an error; `duration_ns` is the time it took to say so."""

    def __init__(
        self, text: str, duration_ns: int, source: StepSource, recorded_source: StepSource | None = None
    ) -> None:
        super().__init__(text)
        self.duration_ns = duration_ns
        self.source = source
        self.recorded_source = recorded_source


class Prompt(Protocol):
    """What an engine needs to know of a request; `body` is the JSON of POST /v1/chat/completions."""

    @property
    def request_id(self) -> str:
        """Unique in the run."""

    @property
    def output_tokens(self) -> int:
        """Tokens that the answer will have."""

    @property
    def prompt_tokens(self) -> int:
        """Tokens of text that were asked for; what the model's tokenizer makes of them is in RenderResult."""

    def body(self) -> bytes:
        """The request's JSON; made when asked for, since a replay does not need it."""


class RenderResult(msgspec.Struct, frozen=True):
    """Front end of one request. Durations are after `time_scale`; `wall_*_ns` None where nothing was executed.

    `recorded_source`: of a replayed duration, what it was when it was recorded.
    """

    duration_ns: int
    source: StepSource
    prompt_tokens: int
    encoder_tokens: int
    images: int
    wall_start_ns: int | None
    wall_end_ns: int | None
    conditions: Conditions | None = None
    recorded_source: StepSource | None = None


class StepResult(msgspec.Struct, frozen=True):
    """One step. Durations (`duration_ns`, `Tokens.egress_ns`) are after `time_scale`.

    `in_flight`: a further batch was fixed when this one started; it is executed next, whatever ends before.
    `egress_source` is of all the step's `egress_ns`; `recorded_*`: of replayed durations, what they were when recorded.
    """

    duration_ns: int
    source: StepSource
    egress_source: StepSource
    signature: Signature
    scheduled: dict[str, int]
    tokens: dict[str, Tokens]
    gauges: dict[str, float]
    wall_start_ns: int | None
    wall_end_ns: int | None
    conditions: Conditions | None = None
    in_flight: bool = False
    recorded_source: StepSource | None = None
    recorded_egress_source: StepSource | None = None


class Engine(Protocol):
    """One inference server instance."""

    name: str
    model: str

    def render(self, prompt: Prompt) -> RenderResult:
        """Run the front end. Raises EngineRefusal for what the server would refuse."""

    def submit(self, request_id: str) -> None:
        """Give a rendered request to the scheduler; it is seen by the next step."""

    def abort(self, request_id: str) -> None:
        """Take a request out, rendered or scheduled; it is not in the next step."""

    def step(self, at_ns: int) -> StepResult:
        """Execute one step that starts at a virtual time; requests submitted later are not in it.

        The result carries each request's egress too (output processing and SSE encoding, measured apart).
        """
