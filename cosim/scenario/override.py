"""Values from `--set a.b=v` and from `COSIM__A__B`, laid over a file's."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from cosim.scenario.errors import Problem, ScenarioError
from cosim.scenario.source import KeyPath, Source, dotted

ENVIRONMENT_PREFIX = "COSIM__"
_PATH = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")


def apply_environment(source: Source, environment: Mapping[str, str], known: Iterable[str]) -> list[str]:
    """Lay `COSIM__A__B=v` over the data; returns a warning for each `COSIM_*` variable that nothing knows."""
    warnings = []
    for name in sorted(environment):
        if not name.startswith("COSIM_"):
            continue
        words = name.removeprefix(ENVIRONMENT_PREFIX).split("__")
        if not name.startswith(ENVIRONMENT_PREFIX) or words[0].lower() not in known or not all(words):
            warnings.append(f"environment variable {name} means nothing to cosim; a key is set by COSIM__KEY__KEY")
            continue
        keys = _spelled_as_in(source.data, words)
        _assign(source, keys, _value(environment[name], f"environment {name}", dotted(keys)), f"environment {name}")
    return warnings


def apply_settings(source: Source, settings: Iterable[str]) -> None:
    """Lay `a.b=v` over the data, in order. Raises ScenarioError for one that is not of this form."""
    for setting in settings:
        path, equals, text = setting.partition("=")
        origin = f"--set {setting}"
        if not equals or not _PATH.fullmatch(path.strip()):
            raise ScenarioError([Problem(origin, None, "", "is not a setting", "--set network.paths.cloud.delay=60ms")])
        keys: KeyPath = tuple(int(word) if word.isdecimal() else word for word in path.strip().split("."))
        _assign(source, keys, _value(text, origin, path), origin)


def _value(text: str, origin: str, key: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ScenarioError(
            [Problem(origin, None, key, f"{text!r} is not a YAML value", "such as 60ms or {a: 1}")]
        ) from error


def _spelled_as_in(data: Any, words: list[str]) -> KeyPath:
    """Environment variables are upper case: take the spelling of a key that is there, else lower case."""
    keys: list[str | int] = []
    for word in words:
        if isinstance(data, list) and word.isdecimal():
            keys.append(int(word))
            data = data[int(word)] if int(word) < len(data) else None
            continue
        spellings = [key for key in data if key.lower() == word.lower()] if isinstance(data, dict) else []
        key = spellings[0] if spellings else word.lower()
        keys.append(key)
        data = data.get(key) if isinstance(data, dict) else None
    return tuple(keys)


def _assign(source: Source, keys: KeyPath, value: Any, origin: str) -> None:
    """Put a value at a path, making sections on the way."""
    node: Any = source.data
    for depth, key in enumerate(keys):
        last = depth == len(keys) - 1
        if isinstance(node, list):
            if not isinstance(key, int) or key >= len(node):
                allowed = f"an index below {len(node)}"
                raise ScenarioError([Problem(origin, None, dotted(keys[: depth + 1]), "is not in the list", allowed)])
        elif isinstance(node, dict):
            key = str(key)
        else:
            raise ScenarioError([Problem(origin, None, dotted(keys[:depth]), "is not a section", "a path of keys")])
        if last:
            node[key] = value
        elif isinstance(node, dict) and not isinstance(node.get(key), (dict, list)):
            node[key] = {}
        node = node[key]
    prefix = tuple(keys)
    for known in [place for place in source.places if place[: len(prefix)] == prefix]:
        del source.places[known]
    source.places[prefix] = (origin, None)
