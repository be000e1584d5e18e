"""The engine host: a child process with every vLLM engine that shares one piece of hardware.

`python -m cosim.inference.host ADDRESS PARENT_PID`, started by `cosim.inference.vllm.EngineHost`.
"""

from __future__ import annotations

import base64
import gc
import importlib
import io
import json
import os
import sys
from typing import Any

from cosim.bridge.engine_messages import (
    ConfigModel,
    EngineRequest,
    EngineSpec,
    EnginesReady,
    Render,
    RenderRefused,
    StartEngines,
    Step,
    SyntheticModel,
)
from cosim.bridge.errors import MessageError
from cosim.bridge.messages import PROTOCOL_VERSION
from cosim.bridge.peer import serve
from cosim.entry_store import EntryStore, user_cache
from cosim.inference import config_model, cpu_generators, synthetic_model, vllm_arguments
from cosim.inference.conditions import ConditionsMeter
from cosim.inference.vllm_engine import SteppedEngine
from cosim.profile import synthetic_config
from cosim.words import WORDS

PROMPTS_LIMIT_BYTES = 1 << 30
WARM_UP_ROUNDS = 2
WARM_UP_IMAGE = (640, 480)
WARM_UP_OUTPUT_TOKENS = 4


class Host:
    """Answers the near side's messages. Engines are executed one after another: there is one thread."""

    def __init__(self) -> None:
        self._engines: dict[str, SteppedEngine] = {}

    def handle(self, message: Any) -> Any:
        """Carry out one message and return its reply."""
        match message:
            case Step(name, submit, abort):
                engine = self._engine(name)
                for request_id in submit:
                    engine.submit(request_id)
                for request_id in abort:
                    engine.abort(request_id)
                return engine.step()
            case Render(name, request_id, body):
                return self._engine(name).render(request_id, body)
            case StartEngines():
                return self._start(message)
        raise MessageError(f"{type(message).__name__} is not for an engine host")

    def _engine(self, name: str) -> SteppedEngine:
        engine = self._engines.get(name)
        if engine is None:
            raise MessageError(f"no engine {name!r} has been started")
        return engine

    def _start(self, message: StartEngines) -> EnginesReady:
        if self._engines:
            raise MessageError("StartEngines came twice")
        import torch
        import transformers
        import vllm

        for spec in message.engines:
            try:
                self._engines[spec.name] = _make_engine(spec, message.hardware, message.seed)
            except Exception as error:
                raise RuntimeError(f"engine {spec.name}: {type(error).__name__}: {error}") from error
        for name, engine in self._engines.items():
            warm_up(name, engine)
        gc.collect()
        # What start-up made lives as long as the process: a collection during a step need not look at it.
        gc.freeze()
        return EnginesReady(
            version=PROTOCOL_VERSION,
            versions={
                "vllm": str(vllm.__version__),
                "torch": str(torch.__version__),
                "transformers": str(transformers.__version__),
            },
            resolved={name: vllm_arguments.resolved(engine.llm) for name, engine in self._engines.items()},
        )


def _make_engine(spec: EngineSpec, hardware: str, seed: int) -> SteppedEngine:
    import torch
    from vllm.v1.engine.llm_engine import LLMEngine

    if isinstance(spec.model, SyntheticModel):
        model, images = str(synthetic_model.make_model(spec.model)), synthetic_config.has_vision(spec.model)
    elif isinstance(spec.model, ConfigModel):
        folder = config_model.make_model(spec.model, executed=spec.executor is None)
        model, images = str(folder), config_model.has_vision(spec.model)
    else:
        model, images = spec.model.name, False
    config, log_stats = vllm_arguments.make_config(spec, model, hardware=hardware, seed=seed, images=images)
    llm = LLMEngine.from_vllm_config(config, disable_log_stats=not log_stats)
    cpu_generators.mend(llm)
    if spec.executor is None:
        meter = ConditionsMeter(threads=torch.get_num_threads(), gpu=hardware.startswith("gpu"))
        return SteppedEngine(llm, served_model_name=spec.served_model_name, tls=spec.tls, meter=meter)
    from cosim.inference.cached_renderer import CachedRenderer

    # What a profiled engine's front end and steps take on this machine is charged to nobody.
    cached = CachedRenderer(llm, EntryStore(user_cache() / "prompts", limit_bytes=PROMPTS_LIMIT_BYTES))
    return SteppedEngine(llm, served_model_name=spec.served_model_name, tls=spec.tls, meter=None, cached=cached)


def warm_up(name: str, engine: SteppedEngine) -> None:
    """Serve requests of text and, where the model takes them, of images, then forget them.

    The first of each costs up to 0.1 s more than later ones; where nothing is measured, one text shows that they are
    served. Raises RuntimeError if a chat completion is refused.
    """
    config = engine.llm.model_config
    words = min(len(WORDS) // 2, config.max_model_len // 4)
    images = config.is_multimodal_model and config.multimodal_config.get_limit_per_prompt("image") > 0
    for index in range(WARM_UP_ROUNDS if engine.measured else 1):
        text = " ".join(WORDS[index : index + words])
        refusal = _serve_one(engine, f"warm-up-text-{index}", [{"type": "text", "text": text}])
        if refusal is not None:
            raise RuntimeError(f"engine {name} refuses a chat completion: {refusal}")
        if images and engine.measured:
            part: dict[str, object] = {"type": "image_url", "image_url": {"url": _noise_image(index)}}
            refusal = _serve_one(engine, f"warm-up-image-{index}", [part, {"type": "text", "text": WORDS[0]}])
            if refusal is not None:
                print(f"engine {name}: not warmed up with an image: {refusal}", flush=True)
    engine.reset()


def _serve_one(engine: SteppedEngine, request_id: str, content: list[dict[str, object]]) -> str | None:
    body = {
        "messages": [{"role": "user", "content": content}],
        "stream": True,
        "max_tokens": WARM_UP_OUTPUT_TOKENS,
        "ignore_eos": True,
        "temperature": 1.0,
        "seed": 0,
    }
    rendered = engine.render(request_id, json.dumps(body).encode())
    if isinstance(rendered, RenderRefused):
        return rendered.text
    engine.submit(request_id)
    while engine.llm.has_unfinished_requests():
        engine.step()
    return None


def _noise_image(seed: int) -> str:
    import numpy as np
    from PIL import Image

    width, height = WARM_UP_IMAGE
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"


def prepare() -> None:
    """Import what every engine is made with; vLLM imports the latter half itself when it makes one."""
    for module in (
        "vllm.v1.engine.llm_engine",
        "cosim.inference.cached_renderer",
        "cosim.inference.profiled_executor",
        "transformers.tokenization_mistral_common",
        "vllm.entrypoints.openai.chat_completion.serving",
        "vllm.model_executor.model_loader",
        "vllm.renderers.hf",
        "vllm.v1.core.sched.async_scheduler",
    ):
        importlib.import_module(module)


def main() -> None:
    """Serve until the near side says stop."""
    status = serve(sys.argv[1:], EngineRequest, Host().handle)
    sys.stdout.flush()
    sys.stderr.flush()
    # The libraries' own clean-up takes seconds and has nothing of ours to save.
    os._exit(status)


if __name__ == "__main__":
    main()
