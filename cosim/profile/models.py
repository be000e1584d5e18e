"""Models of which the config.json is known: those shipped here, by name, and any other by path."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SHIPPED = Path(__file__).resolve().parent / "models"
# What the shape of a transformer cannot be without, under the names that most decoders have for it.
_SIZES = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "vocab_size")
_VISION_SIZES = ("depth", "hidden_size", "patch_size", "spatial_merge_size", "temporal_patch_size")
# Models that take images and whose image processor we know (cosim.inference.image_processor).
_WITH_IMAGES = "qwen2_5_vl"
# 256 bytes, special tokens, and the words of synthetic prompts with a token for each.
LEAST_VOCABULARY = 1536
_MISSING = "is missing"


class ConfigError(Exception):
    """A model's config.json that cannot be had or used; `place` is file or file:line where there is a file."""

    def __init__(self, what: str, allowed: str, place: str | None = None) -> None:
        super().__init__(f"{what}; {allowed}" if place is None else f"{place}: {what}; {allowed}")
        self.what = what
        self.allowed = allowed
        self.place = place


def known_models() -> tuple[str, ...]:
    """Names of the shipped models, sorted."""
    return tuple(sorted(path.stem for path in SHIPPED.glob("*.json")))


def is_path(name: str) -> bool:
    """Whether a name is that of a file rather than of a shipped model."""
    return name.endswith(".json") or "/" in name


def read_config(name: str) -> tuple[str, str]:
    """Name and text of the config.json of a shipped model or of the file at a path.

    Raises ConfigError if there is none or if it lacks what every model has.
    """
    if not is_path(name):
        if name not in known_models():
            raise ConfigError(f"no model {name!r} is shipped", f"allowed: {', '.join(_nearest_first(name))}, or a path")
        return name, (SHIPPED / f"{name}.json").read_text()
    path = Path(name)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        what = f"cannot be read: {error.strerror or error}" if isinstance(error, OSError) else "is not text"
        raise ConfigError(what, "give the config.json of a model, or one of those shipped", name) from error
    check_config(text, name)
    return (path.parent.name if path.name == "config.json" and path.parent.name else path.stem), text


def check_config(text: str, place: str) -> None:
    """Raise ConfigError, naming line and key, unless a text is the config.json of a decoder."""
    try:
        config = json.loads(text)
    except json.JSONDecodeError as error:
        what = f"is not JSON: {error.msg} at column {error.colno}"
        raise ConfigError(what, "give the config.json of a model", f"{place}:{error.lineno}") from error
    if not isinstance(config, dict):
        raise ConfigError("is no JSON object", "give the config.json of a model", place)
    for key, what, allowed in _faults(config):
        line = _line_of(text, key.split(".")[:-1] if what == _MISSING else key.split("."))
        raise ConfigError(f"{key}: {what}", allowed, place if line is None else f"{place}:{line}")


def _faults(config: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Key, what is wrong, what is allowed."""
    architectures = config.get("architectures")
    if not (isinstance(architectures, list) and architectures and all(isinstance(name, str) for name in architectures)):
        yield "architectures", "names no architecture", 'as in ["Qwen3ForCausalLM"]; give the config.json of a model'
    if not isinstance(config.get("model_type"), str):
        yield "model_type", _MISSING if "model_type" not in config else "is no text", "as in 'qwen3'"
    for part in ("text_config", "vision_config"):
        if part in config and not isinstance(config[part], dict):
            yield part, "is no JSON object", "the shape of that part of the model"
    if "text_config" in config:
        yield from _size_faults("text_config.", config["text_config"], _SIZES)
    else:
        yield from _size_faults("", config, _SIZES)
    if "vision_config" in config:
        if config["model_type"] != _WITH_IMAGES:
            what = f"the image processor of a {config['model_type']} is not known here"
            yield "vision_config", what, f"allowed: {_WITH_IMAGES}, or a model without images"
        yield from _size_faults("vision_config.", config["vision_config"], _VISION_SIZES)


def _size_faults(prefix: str, part: dict[str, Any], keys: tuple[str, ...]) -> Iterator[tuple[str, str, str]]:
    for key in keys:
        least = LEAST_VOCABULARY if key == "vocab_size" else 1
        value = part.get(key)
        if key not in part:
            yield prefix + key, _MISSING, "the config.json of a published model has it"
        elif isinstance(value, bool) or not isinstance(value, int) or value < least:
            yield prefix + key, f"{value!r} is no size", f"a whole number from {least} on"


def _line_of(text: str, keys: list[str]) -> int | None:
    """Line of the innermost of nested keys that is found."""
    at, line = 0, None
    for key in keys:
        found = re.compile(rf'"{re.escape(key)}"\s*:').search(text, at)
        if found is not None:
            at, line = found.end(), text.count("\n", 0, found.start()) + 1
    return line


def _nearest_first(name: str) -> list[str]:
    known = known_models()
    near = difflib.get_close_matches(name.lower(), known, n=len(known), cutoff=0.5)
    return [*near, *(other for other in known if other not in near)]
