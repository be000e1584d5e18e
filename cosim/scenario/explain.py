"""Pydantic's findings as problems at their place: file, line, key, what is wrong, what is allowed."""

from __future__ import annotations

import difflib
import types
import typing
from typing import Any

from pydantic import BaseModel, ValidationError

from cosim.scenario.errors import Problem
from cosim.scenario.source import KeyPath, Source, dotted


def explain(error: ValidationError, source: Source, root: type[BaseModel]) -> list[Problem]:
    """Every finding, in the order of the file."""
    problems: list[Problem] = []

    def add(keys: KeyPath, what: str, allowed: str | None) -> None:
        origin, line = source.place(keys)
        problems.append(Problem(origin, line, dotted(keys), what, allowed))

    for finding in error.errors(include_url=False):
        keys = _keys_in_data(finding["loc"], source.data, missing=finding["type"] == "missing")
        if finding["type"] == "scenario":
            for below, what, allowed in finding["ctx"]["found"]:
                add((*keys, *below), what, allowed)
            continue
        if finding["type"] == "union_tag_invalid":
            keys = (*keys, "kind")
        add(keys, *_words(finding, keys, source, root))
    unique = list(dict.fromkeys(problems))
    return sorted(unique, key=lambda problem: (problem.line or 0, problem.key))


def _keys_in_data(location: tuple[int | str, ...], data: Any, *, missing: bool) -> KeyPath:
    """Drop what pydantic adds to a location (tags of unions) and keep what the user wrote."""
    keys: list[int | str] = []
    for index, element in enumerate(location):
        absent = missing and index == len(location) - 1
        in_list = isinstance(data, list) and isinstance(element, int) and element < len(data)
        if in_list or (isinstance(data, dict) and element in data):
            data = data[element]
        elif not absent:
            continue
        keys.append(element)
    return tuple(keys)


def _words(finding: Any, keys: KeyPath, source: Source, root: type[BaseModel]) -> tuple[str, str | None]:
    kind, value, context = finding["type"], finding["input"], finding.get("ctx") or {}
    if kind == "quantity":
        return context["what"], context["allowed"]
    if kind == "extra_forbidden":
        return "unknown key", _nearest(str(keys[-1]), _fields_at(keys[:-1], source.data, root))
    if kind == "missing":
        return "is missing", "required here"
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        section = keys[:-1] if "tag" in context else keys
        given = f"unknown kind {context['tag']!r}" if "tag" in context else "has no kind"
        return given, f"one of {', '.join(_kinds_at(section, source.data, root))}"
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return f"{_short(value)} is not a section", "`key: value` lines"
    if kind == "string_pattern_mismatch":
        return f"{_short(value)} is not a valid name here", f"a text that matches {context['pattern']}"
    message = finding["msg"]
    return f"{_short(value)} is not allowed", message[:1].lower() + message[1:]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _nearest(key: str, fields: list[str]) -> str:
    near = difflib.get_close_matches(key, fields, n=1)
    meant = f"did you mean {near[0]!r}? " if near else ""
    return f"{meant}allowed: {', '.join(fields)}" if fields else "no key of this name"


def holds_named_sections(keys: KeyPath, data: Any, root: type[BaseModel]) -> bool:
    """Whether what is at a path is a mapping whose keys are the user's own names of sections, such as `tiers`."""
    options = _options_at(keys, data, root)
    return any(typing.get_origin(option) is dict and typing.get_args(option)[-1] is not Any for option in options)


def _fields_at(keys: KeyPath, data: Any, root: type[BaseModel]) -> list[str]:
    """Field names of the section at a path, following the `kind` that the data gives."""
    options = _options_at(keys, data, root)
    return sorted({name for option in options for name in getattr(option, "model_fields", {})})


def _options_at(keys: KeyPath, data: Any, root: type[BaseModel]) -> list[Any]:
    """What may be at a path, following the `kind` that the data gives."""
    options: list[Any] = [root]
    for key in keys:
        data = _child(data, key)
        options = [leaf for option in options for leaf in _leaves(_below(option, key)) if _kind_fits(leaf, data)]
    return options


def _kinds_at(keys: KeyPath, data: Any, root: type[BaseModel]) -> list[str]:
    """Kinds that the section at a path may be of."""
    options: list[Any] = [root]
    for key in keys:
        options = [leaf for option in options if _kind_fits(option, data) for leaf in _leaves(_below(option, key))]
        data = _child(data, key)
    return [kind for option in options for kind in _kinds(option)]


def _kinds(leaf: Any) -> tuple[str, ...]:
    field = getattr(leaf, "model_fields", {}).get("kind")
    return typing.get_args(field.annotation) if field else ()


def _child(data: Any, key: int | str) -> Any:
    try:
        return data[key]
    except (KeyError, IndexError, TypeError):
        return None


def _below(option: Any, key: int | str) -> Any:
    """The annotation of what lies under a key of a section, a mapping or a list."""
    if isinstance(option, type) and issubclass(option, BaseModel):
        field = option.model_fields.get(str(key))
        return field.annotation if field else None
    arguments = typing.get_args(option)
    return arguments[-1] if typing.get_origin(option) in (dict, list) else None


def _leaves(annotation: Any) -> list[Any]:
    """The members of a union, without Annotated's metadata."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _leaves(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return [leaf for member in typing.get_args(annotation) for leaf in _leaves(member)]
    return [annotation]


def _kind_fits(leaf: Any, data: Any) -> bool:
    kinds = _kinds(leaf)
    return not kinds or not isinstance(data, dict) or data.get("kind") in kinds
