"""Shared by the tests of vLLM's engine host: a small model, requests, and a loop that steps until all have ended."""

from __future__ import annotations

import base64
import contextlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cosim.bridge.child import Runtime
from cosim.bridge.engine_messages import ConfigModel, EngineSpec, HubModel, ProfiledExecutor, Signature, SyntheticModel
from cosim.inference.base import Engine, RenderResult, StepResult
from cosim.inference.vllm import EngineHost, VllmEngine
from cosim.words import WORDS

MODEL = "toy"


def text_model(seed: int = 0) -> SyntheticModel:
    return SyntheticModel("qwen3", 128, 2, 128, 2, 2048, seed)


def vision_model() -> SyntheticModel:
    return SyntheticModel("qwen2_5_vl", 128, 2, 128, 2, 2048, 0)


def spec(name: str, model: SyntheticModel | ConfigModel | HubModel | None = None, **args: object) -> EngineSpec:
    return EngineSpec(name, model or text_model(), MODEL, args, tls=True)


def profiled(
    name: str,
    model: SyntheticModel | ConfigModel | HubModel | None = None,
    *,
    kv_cache_bytes: int = 1 << 26,
    async_scheduling: bool = False,
    **args: object,
) -> EngineSpec:
    """An engine without a forward pass; as small as most tests want it."""
    executor = ProfiledExecutor(kv_cache_bytes, async_scheduling, {"max_num_seqs": 64, "max_num_batched_tokens": 2048})
    return EngineSpec(name, model or text_model(), MODEL, args, tls=True, executor=executor)


def prefill(n_tokens: int, computed: int = 0, *, encoder_tokens: int = 0, images: int = 0) -> Signature:
    """Signature of a batch of one sequence with `n_tokens` of its prompt after `computed`."""
    pairs = sum(computed + nth for nth in range(1, n_tokens + 1))
    return Signature(n_tokens, 0, computed, encoder_tokens, images, prefill_sequences=1, prefill_attention=pairs)


def decode(*computed: int) -> Signature:
    """Signature of a batch of decodes with `computed` tokens each."""
    return Signature(0, len(computed), sum(computed), 0, 0, decode_context_tokens=sum(computed))


@contextlib.contextmanager
def running_host(
    directory: Path, *engines: EngineSpec, environment: dict[str, str] | None = None
) -> Iterator[EngineHost]:
    runtime = Runtime()
    try:
        host = EngineHost("cpu", engines, seed=0, runtime=runtime, log=directory / "host.log", environment=environment)
        try:
            host.wait_ready()
            yield host
        finally:
            host.stop()
    finally:
        runtime.close()


def engine(host: EngineHost, name: str, *, time_scale: float = 1.0) -> VllmEngine:
    return VllmEngine(host, name, MODEL, time_scale=time_scale)


def text(n_words: int, *, first: int = 0) -> str:
    return " ".join(WORDS[(first + index) % len(WORDS)] for index in range(n_words))


def frame(seed: int, width: int = 320, height: int = 240) -> dict[str, object]:
    """An image part of a message: noise."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=80)
    url = f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
    return {"type": "image_url", "image_url": {"url": url}}


@dataclass
class Chat:
    """A request; `fields` are added to the body or replace its fields."""

    request_id: str
    content: Any
    output_tokens: int = 8
    fields: dict[str, object] = field(default_factory=dict)

    @property
    def prompt_tokens(self) -> int:
        return len(str(self.content).split())

    def body(self) -> bytes:
        body = {
            "model": MODEL,
            "messages": [{"role": "user", "content": self.content}],
            "stream": True,
            "max_tokens": self.output_tokens,
            "min_tokens": self.output_tokens,
            "ignore_eos": True,
            "temperature": 1.0,
            "seed": 1,
        }
        return json.dumps(body | self.fields).encode()


def start(target: Engine, *chats: Chat) -> list[RenderResult]:
    """Render and submit."""
    rendered = []
    for chat in chats:
        rendered.append(target.render(chat))
        target.submit(chat.request_id)
    return rendered


def finish(target: Engine, *request_ids: str) -> list[StepResult]:
    """Step until the requests have ended."""
    left = set(request_ids)
    steps = []
    while left:
        steps.append(target.step(0))
        left -= {key for key, tokens in steps[-1].tokens.items() if tokens.finish_reason is not None}
        assert len(steps) < 1_000
    return steps


def sizes(steps: list[StepResult], request_id: str) -> list[int]:
    """Wire bytes of a request's chunks."""
    return [step.tokens[request_id].n_bytes for step in steps if request_id in step.tokens]


def count(steps: list[StepResult], request_id: str) -> int:
    """Tokens that a request got."""
    return sum(step.tokens[request_id].count for step in steps if request_id in step.tokens)
