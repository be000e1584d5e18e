"""Steps predicted from a model's shape and a GPU's peaks: nobody measured this model on this hardware."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cosim.bridge.engine_messages import ConfigModel, EngineSpec, ProfiledExecutor, Signature, SyntheticModel
from cosim.profile import synthetic_config
from cosim.profile.accelerator import accelerator
from cosim.profile.base import Charge, ChunkPosition
from cosim.profile.errors import ProfileError
from cosim.profile.hardware_file import SHIPPED, HardwareFile, assumptions, constants, find_hardware
from cosim.profile.memory import MemoryFit, fit, kv_blocks
from cosim.profile.model_shape import model_shape
from cosim.profile.quantization import published_format, quantization_format, weight_bytes
from cosim.profile.server_arguments import server_arguments
from cosim.profile.step_time import StepModel, step_parts


class Roofline:
    """A Profile all of whose charges are predicted; equal shapes take equal times, whatever the draw."""

    def __init__(self, engine: StepModel, memory: MemoryFit, hardware: HardwareFile, digest: str) -> None:
        self._engine = engine
        self._memory = memory
        self._hardware = hardware
        self._digest = digest
        self.label = f"{engine.gpu.name} {engine.quantization.name}"

    @property
    def executor(self) -> ProfiledExecutor:
        """The KV cache that the hardware leaves, and vLLM's defaults on it."""
        arguments = self._engine.arguments
        return ProfiledExecutor(self._memory.kv_cache, arguments.async_scheduling, arguments.defaults())

    def step(self, signature: Signature, draw: float) -> Charge:
        """The sum of the parts of a step; see cosim.profile.step_time."""
        del draw
        return _predicted(sum(step_parts(self._engine, signature).values()))

    def frontend(self, *, prompt_tokens: int, encoder_tokens: int, images: int, draw: float) -> Charge:
        """A constant, and a share of it for each token of text and of images, whose pixels are scaled and copied."""
        del images, draw
        host = self._engine.gpu.host
        text_us = host.frontend_token_us.value * max(0, prompt_tokens - encoder_tokens)
        image_us = host.frontend_image_token_us.value * encoder_tokens
        return _predicted((host.frontend_us.value + text_us + image_us) * 1e-6)

    def egress(self, position: ChunkPosition, draw: float) -> Charge:
        """A constant; the first chunk has the head of the answer too."""
        del draw
        host = self._engine.gpu.host
        return _predicted((host.egress_first_us if position == "first" else host.egress_us).value * 1e-6)

    def describe(self) -> dict[str, Any]:
        """Every constant and its source, the model's parameters, and where the memory goes."""
        engine, found = self._engine, constants(self._hardware)
        return {
            "kind": "roofline",
            "hardware": engine.gpu.name,
            "quantization": engine.quantization.name,
            "quantization_source": engine.quantization.source,
            "file_sha256": self._digest,
            "async_scheduling": engine.arguments.async_scheduling,
            "arguments": asdict(engine.arguments),
            "parameters": engine.shape.parameters(),
            "weight_bytes": weight_bytes(engine.shape, engine.quantization),
            "memory_bytes": asdict(self._memory),
            "kv_blocks": kv_blocks(self._memory.kv_cache, engine.shape, engine.arguments),
            "constants": found,
            "assumptions": assumptions(found),
        }


def load_roofline(name: str, spec: EngineSpec, quantization: str | None) -> Roofline:
    """The roofline of an engine on named hardware. Raises ProfileError where either is unknown or does not fit."""
    hardware, path, profile = find_hardware(name)
    config = config_of(spec)
    chosen = quantization_format(quantization or published_format(config, spec.served_model_name))
    shape = model_shape(config, spec.served_model_name)
    gpu = accelerator(hardware, _label(hardware, path), profile)
    engine = StepModel(shape, chosen, gpu, server_arguments(spec.args, shape, gpu))
    memory = fit(shape, chosen, gpu, engine.arguments, spec.served_model_name)
    return Roofline(engine, memory, hardware, hashlib.sha256(path.read_bytes()).hexdigest())


def config_of(spec: EngineSpec) -> dict[str, Any]:
    """The config.json of an engine's model. Raises ProfileError for one that is not on this machine."""
    model = spec.model
    if isinstance(model, SyntheticModel):
        return synthetic_config.make_config(model)
    if isinstance(model, ConfigModel):
        return _object(model.config, model.name)
    path = Path(model.name) / "config.json"
    if not path.is_file():
        allowed = "model: {kind: config, config: NAME or PATH/config.json}, or the path of a model on this machine"
        raise ProfileError(f"model {model.name!r} is not on this machine, so its shape is not known", allowed)
    return _object(path.read_text(), str(path))


def _label(hardware: HardwareFile, path: Path) -> str:
    """What results call the hardware: no path of this machine."""
    return path.stem if path.parent == SHIPPED else hardware.name


def _object(text: str, name: str) -> dict[str, Any]:
    try:
        config = json.loads(text)
    except ValueError as error:
        raise ProfileError(f"{name}: {error}", "the config.json of a model") from None
    if not isinstance(config, dict):
        raise ProfileError(f"{name}: is no JSON object", "the config.json of a model")
    return config


def _predicted(seconds: float) -> Charge:
    return Charge(max(1, round(seconds * 1e9)), "predicted")
