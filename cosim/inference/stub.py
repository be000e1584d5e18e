"""The deterministic double of an engine: constant times, first come first served, continuous batching."""

from __future__ import annotations

from dataclasses import dataclass

from cosim import wire
from cosim.bridge.engine_messages import Signature, Tokens
from cosim.inference.base import Prompt, RenderResult, StepResult
from cosim.scenario.engines import StubEngine as Settings


@dataclass(slots=True)
class _Sequence:
    prompt_tokens: int
    output_tokens: int
    generated: int = 0


class StubEngine:
    """An engine without a model: each running request gets one token a step, a new one runs as soon as a seat is free.

    A step with a prefill takes `prefill`, another `decode`; both times `time_scale`.
    """

    def __init__(self, name: str, settings: Settings, *, tls: bool) -> None:
        self.name = name
        self.model = settings.served_name
        self._settings = settings
        self._tls = tls
        self._rendered: dict[str, _Sequence] = {}
        self._waiting: dict[str, _Sequence] = {}
        self._running: dict[str, _Sequence] = {}

    def render(self, prompt: Prompt) -> RenderResult:
        """Take the configured time; the prompt has the tokens that were asked for."""
        self._rendered[prompt.request_id] = _Sequence(prompt.prompt_tokens, prompt.output_tokens)
        return RenderResult(self._scaled(self._settings.frontend), "predicted", prompt.prompt_tokens, 0, 0, None, None)

    def submit(self, request_id: str) -> None:
        """Queue a rendered request."""
        self._waiting[request_id] = self._rendered.pop(request_id)

    def abort(self, request_id: str) -> None:
        """Forget a request."""
        for place in (self._rendered, self._waiting, self._running):
            place.pop(request_id, None)

    def step(self, at_ns: int) -> StepResult:
        """One token for each running request."""
        del at_ns
        free = self._settings.max_num_seqs - len(self._running)
        admitted = list(self._waiting)[:free]
        prefill_tokens = sum(self._waiting[request_id].prompt_tokens for request_id in admitted)
        decodes = len(self._running)
        context_tokens = sum(sequence.prompt_tokens + sequence.generated for sequence in self._running.values())
        scheduled = dict.fromkeys(self._running, 1)
        for request_id in admitted:
            self._running[request_id] = self._waiting.pop(request_id)
            scheduled[request_id] = self._running[request_id].prompt_tokens
        tokens = {request_id: self._token(request_id) for request_id in scheduled}
        # A step takes time whatever the scale: without end at one instant a run would not come to its own end.
        duration_ns = max(1, self._scaled(self._settings.prefill if admitted else self._settings.decode))
        return StepResult(
            duration_ns=duration_ns,
            source="predicted",
            egress_source="predicted",
            signature=Signature(prefill_tokens, decodes, context_tokens, 0, 0),
            scheduled=scheduled,
            tokens=tokens,
            gauges={"num_requests_running": len(self._running), "num_requests_waiting": len(self._waiting)},
            wall_start_ns=None,
            wall_end_ns=None,
        )

    def _token(self, request_id: str) -> Tokens:
        sequence = self._running[request_id]
        sequence.generated += 1
        last = sequence.generated == sequence.output_tokens
        if last:
            del self._running[request_id]
        n_bytes = wire.answer_bytes(self._settings.chunk_bytes, first=sequence.generated == 1, last=last, tls=self._tls)
        return Tokens(1, n_bytes, "length" if last else None, self._scaled(self._settings.egress), 0)

    def _scaled(self, duration_ns: int) -> int:
        return round(duration_ns * self._settings.time_scale)
