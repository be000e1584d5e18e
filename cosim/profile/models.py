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
        line = _line_of(text, key.rpartition(".")[2])
        raise ConfigError(f"{key}: {what}", allowed, place if line is None else f"{place}:{line}")


def _faults(config: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Key, what is wrong, what is allowed."""
    architectures = config.get("architectures")
    if not (isinstance(architectures, list) and architectures and all(isinstance(name, str) for name in architectures)):
        yield "architectures", "names no architecture", 'as in ["Qwen3ForCausalLM"]; give the config.json of a model'
    if not isinstance(config.get("model_type"), str):
        yield "model_type", "is missing" if "model_type" not in config else "is no text", "as in 'qwen3'"
    prefix, text = "", config
    for part in ("text_config", "vision_config"):
        if part in config and not isinstance(config[part], dict):
            yield part, "is no JSON object", "the shape of that part of the model"
    if isinstance(config.get("text_config"), dict):
        prefix, text = "text_config.", config["text_config"]
    for key in _SIZES:
        value = text.get(key)
        if key not in text:
            yield prefix + key, "is missing", "the config.json of a decoder has it"
        elif isinstance(value, bool) or not isinstance(value, int) or value < 1:
            yield prefix + key, f"{value!r} is no size", "a whole number from 1 on"


def _line_of(text: str, key: str) -> int | None:
    found = re.search(rf'"{re.escape(key)}"\s*:', text)
    return None if found is None else text.count("\n", 0, found.start()) + 1


def _nearest_first(name: str) -> list[str]:
    known = known_models()
    near = difflib.get_close_matches(name.lower(), known, n=len(known), cutoff=0.5)
    return [*near, *(other for other in known if other not in near)]
