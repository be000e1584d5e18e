"""An engine that is charged: vLLM schedules in its host, and each stage takes what a profile says.

Draws are common random numbers (Law, Simulation Modeling and Analysis, 11.2): which quantile of the measured samples a
step takes follows from the seed, the engine, and the batch's first request with the tokens of it scheduled before; of
front end and egress from the request and its chunk. A request that meets the same batches sees the same draws whatever
the network did to it.
"""

from __future__ import annotations

import math
from hashlib import blake2b

import msgspec

from cosim.bridge.engine_messages import Tokens
from cosim.inference.base import EngineRefusal, Prompt, RenderResult, StepResult
from cosim.inference.vllm import VllmEngine
from cosim.profile.base import Charge, ChargeSource, ChunkPosition, Profile

_DRAW_BITS = 53
# The chunks of a step have one source, the one that rests on least.
_RANK: tuple[ChargeSource, ...] = ("interpolated", "predicted", "extrapolated")


class ProfiledEngine:
    """An engine of a host without a forward pass; its durations are the profile's, times `time_scale`."""

    def __init__(self, engine: VllmEngine, profile: Profile, *, seed: int, time_scale: float) -> None:
        self.name = engine.name
        self.model = engine.model
        self._engine = engine
        self._profile = profile
        self._seed = seed
        self._time_scale = time_scale
        self._scheduled_tokens: dict[str, int] = {}
        self._chunks: dict[str, int] = {}

    def render(self, prompt: Prompt) -> RenderResult:
        """Run the front end, charged by what it made. Raises EngineRefusal, charged as the text alone."""
        draw = self._draw("frontend", prompt.request_id, 0)
        try:
            result = self._engine.render(prompt)
        except EngineRefusal as refusal:
            charge = self._profile.frontend(prompt_tokens=prompt.prompt_tokens, encoder_tokens=0, images=0, draw=draw)
            raise EngineRefusal(str(refusal), self._scaled(charge.duration_ns), charge.source) from None
        charge = self._profile.frontend(
            prompt_tokens=result.prompt_tokens,
            encoder_tokens=result.encoder_tokens,
            images=result.images,
            draw=draw,
        )
        return msgspec.structs.replace(
            result,
            duration_ns=self._scaled(charge.duration_ns),
            source=charge.source,
            wall_start_ns=None,
            wall_end_ns=None,
            conditions=None,
        )

    def submit(self, request_id: str) -> None:
        """Give a rendered request to the scheduler."""
        self._engine.submit(request_id)

    def abort(self, request_id: str) -> None:
        """Take a request out."""
        self._engine.abort(request_id)
        self._forget(request_id)

    def step(self, at_ns: int) -> StepResult:
        """One of vLLM's steps, charged by its signature."""
        result = self._engine.step(at_ns)
        first = next(iter(result.scheduled), "")
        charge = self._profile.step(result.signature, self._draw("step", first, self._scheduled_tokens.get(first, 0)))
        for request_id, count in result.scheduled.items():
            self._scheduled_tokens[request_id] = self._scheduled_tokens.get(request_id, 0) + count
        egress = {request_id: self._egress(request_id, tokens) for request_id, tokens in result.tokens.items()}
        return msgspec.structs.replace(
            result,
            duration_ns=self._scaled(charge.duration_ns),
            source=charge.source,
            egress_source=max((chunk.source for chunk in egress.values()), key=_RANK.index, default=charge.source),
            tokens={
                request_id: msgspec.structs.replace(tokens, egress_ns=self._scaled(egress[request_id].duration_ns))
                for request_id, tokens in result.tokens.items()
            },
            wall_start_ns=None,
            wall_end_ns=None,
            conditions=None,
        )

    def _egress(self, request_id: str, tokens: Tokens) -> Charge:
        """The egress of a request's next chunk, by its position."""
        number = self._chunks.get(request_id, 0)
        self._chunks[request_id] = number + 1
        position: ChunkPosition = "next" if number else "first"
        if tokens.finish_reason is not None:
            position = "last"
            self._forget(request_id)
        return self._profile.egress(position, self._draw("egress", request_id, number))

    def _forget(self, request_id: str) -> None:
        self._chunks.pop(request_id, None)
        self._scheduled_tokens.pop(request_id, None)

    def _draw(self, stage: str, request_id: str, number: int) -> float:
        """Uniform in [0, 1), the same whenever the same is drawn."""
        key = f"{self._seed}\0{self.name}\0{stage}\0{request_id}\0{number}".encode()
        bits = int.from_bytes(blake2b(key, digest_size=8).digest(), "big") >> (64 - _DRAW_BITS)
        return math.ldexp(bits, -_DRAW_BITS)

    def _scaled(self, duration_ns: int) -> int:
        return max(1, round(duration_ns * self._time_scale))
