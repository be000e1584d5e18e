"""Models made locally: an architecture's real shapes, random weights, a tokenizer trained on the standard library.

The weights are written as safetensors rather than left to vLLM's `load_format: dummy`: dummy weights come from a fixed
seed and lie within 0.001 of zero, so that neither the model's seed nor the prompt would show in the tokens. With a
standard deviation of 0.02, as transformers initialises these models, tokens sampled at temperature 1 with a seed are
varied and reproducible.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from cosim.bridge.engine_messages import SyntheticModel
from cosim.entry_store import user_cache
from cosim.inference import image_processor, synthetic_tokenizer
from cosim.inference.model_folder import made_once
from cosim.profile import synthetic_config
from cosim.profile.synthetic_config import (
    ARCHITECTURES,
    HEAD_SIZE,
    PATCH_SIZE,
    SPATIAL_MERGE_SIZE,
    TEMPORAL_PATCH_SIZE,
    has_vision,
)
from cosim.words import WORDS

_WEIGHT_STD = 0.02

Shape = tuple[int, ...]


def make_model(spec: SyntheticModel, *, cache: Path | None = None, words: tuple[str, ...] = WORDS) -> Path:
    """The folder of a model that vLLM can load, made once and kept in the user's cache.

    `words` are single tokens when joined by single spaces. Raises ValueError naming the key that does not fit.
    """
    check(spec)
    folder = (cache or user_cache() / "models") / _key(spec, words)
    return made_once(folder, lambda draft: _write(spec, words, draft))


def check(spec: SyntheticModel) -> None:
    """Raise ValueError, naming the key, for a combination that no model can have."""
    if spec.architecture not in ARCHITECTURES:
        known = ", ".join(sorted(ARCHITECTURES))
        raise ValueError(f"architecture: {spec.architecture!r} is not one of {known}")
    # Half as many heads for keys and values as for queries: an even number of heads.
    units = {"hidden_size": (spec.hidden_size, 2 * HEAD_SIZE)}
    depths = {"layers": spec.layers}
    if has_vision(spec):
        units["vision_hidden_size"] = (spec.vision_hidden_size, HEAD_SIZE)
        depths["vision_layers"] = spec.vision_layers
    for key, (size, unit) in units.items():
        if size < unit or size % unit:
            raise ValueError(f"{key}: {size} is not a multiple of {unit} (heads of {HEAD_SIZE})")
    for key, depth in depths.items():
        if depth < 1:
            raise ValueError(f"{key}: {depth} is not at least 1")


def _key(spec: SyntheticModel, words: tuple[str, ...]) -> str:
    # The code is part of the key: a folder made by an earlier version of it is another model.
    digest = hashlib.sha256(msgspec.json.encode([spec, words]))
    for module in (__file__, image_processor.__file__, synthetic_config.__file__, synthetic_tokenizer.__file__):
        digest.update(Path(module).read_bytes())
    return f"{spec.architecture}-{spec.hidden_size}x{spec.layers}-{digest.hexdigest()[:16]}"


def _write(spec: SyntheticModel, words: tuple[str, ...], folder: Path) -> None:
    from safetensors.numpy import save_file

    tokens = synthetic_tokenizer.write(folder, spec.vocabulary_size, words, images=has_vision(spec))
    config = _config(spec, tokens)
    (folder / "config.json").write_text(json.dumps(config, indent=1))
    if has_vision(spec):
        image_processor.write(
            folder,
            patch_size=PATCH_SIZE,
            merge_size=SPATIAL_MERGE_SIZE,
            temporal_patch_size=TEMPORAL_PATCH_SIZE,
            mean=(0.5, 0.5, 0.5),
            std=(0.5, 0.5, 0.5),
        )
    tensors = {name: _tensor(spec.seed, name, shape) for name, shape in _shapes(config)}
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def _config(spec: SyntheticModel, tokens: dict[str, int]) -> dict[str, Any]:
    config = synthetic_config.make_config(spec)
    text = config.get("text_config", config)
    text |= {"bos_token_id": None, "eos_token_id": tokens["<|im_end|>"], "pad_token_id": tokens["<|endoftext|>"]}
    if has_vision(spec):
        config["vision_start_token_id"] = tokens["<|vision_start|>"]
        config["vision_end_token_id"] = tokens["<|vision_end|>"]
        config["image_token_id"] = tokens["<|image_pad|>"]
        config["video_token_id"] = tokens["<|video_pad|>"]
    return config


def _shapes(config: dict[str, Any]) -> Iterator[tuple[str, Shape]]:
    """Names and shapes of the checkpoint, as published for these architectures."""
    text = config.get("text_config", config)
    hidden, inner = text["hidden_size"], text["intermediate_size"]
    query = text["num_attention_heads"] * HEAD_SIZE
    key_value = text["num_key_value_heads"] * HEAD_SIZE
    yield "model.embed_tokens.weight", (text["vocab_size"], hidden)
    yield "model.norm.weight", (hidden,)
    for layer in range(text["num_hidden_layers"]):
        at = f"model.layers.{layer}"
        yield f"{at}.input_layernorm.weight", (hidden,)
        yield f"{at}.post_attention_layernorm.weight", (hidden,)
        for name, size in (("q", query), ("k", key_value), ("v", key_value)):
            yield f"{at}.self_attn.{name}_proj.weight", (size, hidden)
            if config["model_type"] == "qwen2_5_vl":
                yield f"{at}.self_attn.{name}_proj.bias", (size,)
            if config["model_type"] == "qwen3" and name != "v":
                yield f"{at}.self_attn.{name}_norm.weight", (HEAD_SIZE,)
        yield f"{at}.self_attn.o_proj.weight", (hidden, query)
        yield f"{at}.mlp.gate_proj.weight", (inner, hidden)
        yield f"{at}.mlp.up_proj.weight", (inner, hidden)
        yield f"{at}.mlp.down_proj.weight", (hidden, inner)
    if "vision_config" in config:
        yield from _vision_shapes(config["vision_config"])


def _vision_shapes(vision: dict[str, Any]) -> Iterator[tuple[str, Shape]]:
    hidden, inner = vision["hidden_size"], vision["intermediate_size"]
    merged = hidden * SPATIAL_MERGE_SIZE**2
    yield "visual.patch_embed.proj.weight", (hidden, 3, TEMPORAL_PATCH_SIZE, PATCH_SIZE, PATCH_SIZE)
    for block in range(vision["depth"]):
        at = f"visual.blocks.{block}"
        yield f"{at}.norm1.weight", (hidden,)
        yield f"{at}.norm2.weight", (hidden,)
        yield from _linear(f"{at}.attn.qkv", 3 * hidden, hidden)
        yield from _linear(f"{at}.attn.proj", hidden, hidden)
        yield from _linear(f"{at}.mlp.gate_proj", inner, hidden)
        yield from _linear(f"{at}.mlp.up_proj", inner, hidden)
        yield from _linear(f"{at}.mlp.down_proj", hidden, inner)
    yield "visual.merger.ln_q.weight", (hidden,)
    yield from _linear("visual.merger.mlp.0", merged, merged)
    yield from _linear("visual.merger.mlp.2", vision["out_hidden_size"], merged)


def _linear(name: str, outputs: int, inputs: int) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.weight", (outputs, inputs)
    yield f"{name}.bias", (outputs,)


def _tensor(seed: int, name: str, shape: Shape) -> npt.NDArray[np.float16]:
    """A parameter, from a stream of its own so that its values do not depend on the others."""
    if name.endswith(".bias"):
        return np.zeros(shape, np.float16)
    if len(shape) == 1:
        return np.ones(shape, np.float16)
    stream = np.random.default_rng([seed, zlib.crc32(name.encode())])
    return (stream.standard_normal(shape, np.float32) * np.float32(_WEIGHT_STD)).astype(np.float16)
