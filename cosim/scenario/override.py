"""Values from `--set a.b=v` and from `COSIM__A__B`, laid over a file's."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from cosim.scenario.errors import Problem, ScenarioError, shown
from cosim.scenario.source import DEEPEST_LEVEL, Source, dotted, forget_below, parse_value

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
        spelled, origin = _spelled_as_in(source.data, words), f"environment {name}"
        assign(source, spelled, parse_value(environment[name], origin, ".".join(spelled)), (origin, None))
    return warnings


def apply_settings(source: Source, settings: Iterable[str]) -> None:
    """Lay `a.b=v` over the data, in order. Raises ScenarioError for one that is not of this form."""
    for setting in settings:
        path, equals, text = setting.partition("=")
        origin = shown(f"--set {setting}")
        if not equals or not _PATH.fullmatch(path.strip()):
            raise ScenarioError([Problem(origin, None, "", "is not a setting", "--set network.paths.cloud.delay=60ms")])
        words = path.strip().split(".")
        assign(source, words, parse_value(text, origin, path.strip()), (origin, None))


def _spelled_as_in(data: Any, words: list[str]) -> list[str]:
    """Environment variables are upper case: take the spelling of a key that is there, else lower case."""
    spelled = []
    for word in words:
        spellings = [key for key in data if key.lower() == word.lower()] if isinstance(data, dict) else []
        key = spellings[0] if spellings else word.lower()
        spelled.append(key)
        if isinstance(data, list):
            data = data[int(word)] if _is_index(word, data) else None
        else:
            data = data.get(key) if isinstance(data, dict) else None
    return spelled


def is_path(text: str) -> bool:
    """Whether a text can be a dotted path."""
    return _PATH.fullmatch(text) is not None


def assign(source: Source, words: list[str], value: Any, place: tuple[str, int | None]) -> None:
    """Put a value, which was written at `place`, at a path; what is no section on the way becomes one.

    What stands behind `sweep.parameters` or `sweep.points.0` is the dotted path of a swept key.
    """
    origin, line = place
    before = {"parameters": 2, "points": 3}.get(words[1]) if words[0] == "sweep" and len(words) > 1 else None
    if before is not None and len(words) > before:
        words = [*words[:before], ".".join(words[before:])]
    keys: list[str | int] = []
    if len(words) > DEEPEST_LEVEL:
        raise ScenarioError([Problem(origin, line, "", "has too many keys", f"at most {DEEPEST_LEVEL}")])
    node: Any = source.data
    for depth, word in enumerate(words):
        key: str | int = word
        if isinstance(node, list):
            if not _is_index(word, node):
                where, allowed = dotted((*keys, word)), "allowed: 0" + (f" to {len(node) - 1}" if len(node) > 1 else "")
                raise ScenarioError([Problem(origin, line, where, "items of a list go by number", allowed)])
            key = int(word)
        keys.append(key)
        last = depth == len(words) - 1
        below = node.get(key) if isinstance(node, dict) else node[key]
        if last or not isinstance(below, (dict, list)):
            forget_below(source.places, tuple(keys))
            source.places[tuple(keys)] = place
            node[key] = value if last else {}
        node = node[key]


def _is_index(word: str, items: list[Any]) -> bool:
    return word.isdecimal() and len(word) < 10 and int(word) < len(items)
