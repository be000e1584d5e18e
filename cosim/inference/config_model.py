"""Models of which only the config.json is known: a folder with it, our own tokenizer, and no weights.

vLLM makes up the weights (`load_format: dummy`) or, with a profiled executor, needs none. Numbers of prompt tokens are
those of our tokenizer, numbers of image tokens those of the published image processor.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec

from cosim.bridge.engine_messages import ConfigModel
from cosim.entry_store import user_cache
from cosim.inference import image_processor, synthetic_tokenizer
from cosim.inference.model_folder import made_once
from cosim.words import WORDS

# What stands for each special token of a published tokenizer; ours has no beginning of sequence.
_SPECIAL_TOKENS = {
    "bos_token_id": None,
    "eos_token_id": "<|im_end|>",
    "pad_token_id": "<|endoftext|>",
    "vision_start_token_id": "<|vision_start|>",
    "vision_end_token_id": "<|vision_end|>",
    "vision_token_id": "<|vision_pad|>",
    "image_token_id": "<|image_pad|>",
    "video_token_id": "<|video_pad|>",
}


def make_model(spec: ConfigModel, *, executed: bool, cache: Path | None = None) -> Path:
    """The folder of a model that vLLM can load, made once and kept in the user's cache.

    `executed`: every id of the vocabulary has a token, since any can be sampled; without a forward pass those of texts
    suffice and the tokenizer loads sooner. Texts become the same tokens either way. Raises ValueError for a vocabulary
    that is too small for the tokenizer.
    """
    config = json.loads(spec.config)
    size = config.get("text_config", config)["vocab_size"]
    if not executed:
        size = min(size, synthetic_tokenizer.MOST_TRAINED)
    folder = (cache or user_cache() / "models") / _key(spec.name, config, size)
    return made_once(folder, lambda draft: _write(config, size, draft))


def has_vision(spec: ConfigModel) -> bool:
    """Whether the model takes images."""
    return "vision_config" in json.loads(spec.config)


def _key(name: str, config: dict[str, Any], vocabulary_size: int) -> str:
    # The code is part of the key: a folder made by an earlier version of it is another model.
    digest = hashlib.sha256(msgspec.json.encode([config, vocabulary_size, WORDS]))
    for module in (__file__, image_processor.__file__, synthetic_tokenizer.__file__):
        digest.update(Path(module).read_bytes())
    return f"{Path(name).name}-{digest.hexdigest()[:16]}"


def _write(config: dict[str, Any], vocabulary_size: int, folder: Path) -> None:
    images = "vision_config" in config
    tokens = synthetic_tokenizer.write(folder, vocabulary_size, WORDS, images=images)
    (folder / "config.json").write_text(json.dumps(_with_tokens(config, tokens), indent=1))
    if images:
        vision = config["vision_config"]
        image_processor.write(
            folder,
            patch_size=vision["patch_size"],
            merge_size=vision["spatial_merge_size"],
            temporal_patch_size=vision["temporal_patch_size"],
            mean=image_processor.CLIP_MEAN,
            std=image_processor.CLIP_STD,
        )


def _with_tokens(config: dict[str, Any], tokens: dict[str, int]) -> dict[str, Any]:
    """The config with our ids of special tokens wherever it has an id."""
    changed: dict[str, Any] = {}
    for key, value in config.items():
        if key in _SPECIAL_TOKENS:
            token = _SPECIAL_TOKENS[key]
            changed[key] = None if token is None else tokens[token]
        else:
            changed[key] = _with_tokens(value, tokens) if isinstance(value, dict) else value
    return changed
