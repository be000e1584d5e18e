"""YAML with the place of every key: file and line, environment variable or flag."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from cosim.scenario.errors import Problem, ScenarioError

KeyPath = tuple[str | int, ...]

LARGEST_FILE_BYTES = 4 * 2**20
MOST_NODES = 200_000
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::([^}]*))?\}")


@dataclass(slots=True)
class Source:
    """Plain data and where each of its keys was written."""

    file: str
    data: dict[str, Any]
    places: dict[KeyPath, tuple[str, int | None]] = field(default_factory=dict)

    def place(self, keys: KeyPath) -> tuple[str, int | None]:
        """Origin and line of a key, or of the nearest section around it."""
        for length in range(len(keys), 0, -1):
            if keys[:length] in self.places:
                return self.places[keys[:length]]
        return self.file, 1


def dotted(keys: KeyPath) -> str:
    """A key path as the user writes it: `clients.0.count`."""
    return ".".join(str(key) for key in keys)


def read(path: Path, environment: Mapping[str, str] | None = None) -> Source:
    """Read a YAML file. Raises ScenarioError with the line of what cannot be read."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise _fault(str(path), None, f"cannot be read: {error.strerror}", "the path of a scenario file") from error
    if len(raw) > LARGEST_FILE_BYTES:
        raise _fault(str(path), None, "is larger than a scenario can be", f"at most {LARGEST_FILE_BYTES} bytes")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise _fault(str(path), line, "is not UTF-8 text", "YAML in UTF-8") from error
    return parse(text, str(path), os.environ if environment is None else environment)


def parse(text: str, file: str, environment: Mapping[str, str]) -> Source:
    """Parse YAML text; `file` names it in errors."""
    try:
        loader = yaml.SafeLoader(text)
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1 if isinstance(error.position, int) else None
        raise _fault(
            file, line, f"has a character that YAML does not allow ({error.reason})", "YAML in UTF-8"
        ) from error
    try:
        root = loader.get_single_node()
        if root is None:
            raise _fault(file, 1, "is empty", "a mapping with schema_version, duration, network, tiers and clients")
        builder = _Builder(loader, file, environment)
        data = builder.build(root, ())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = " ".join(part for part in (error.context, error.problem) if part)
        raise _fault(file, mark.line + 1 if mark else None, f"is not YAML: {what}", "a well-formed file") from error
    except RecursionError:
        raise _fault(file, 1, "is nested too deeply", "a scenario has fewer than ten levels") from None
    finally:
        loader.dispose()
    if not isinstance(data, dict):
        raise _fault(file, root.start_mark.line + 1, "is not a mapping", "`key: value` lines at the top level")
    return Source(file, data, builder.places)


def _fault(origin: str, line: int | None, what: str, allowed: str) -> ScenarioError:
    return ScenarioError([Problem(origin, line, "", what, allowed)])


class _Builder:
    """Turns YAML nodes into plain data, noting lines, refusing doubled keys and filling in `${NAME:default}`."""

    def __init__(self, loader: yaml.SafeLoader, file: str, environment: Mapping[str, str]) -> None:
        self.places: dict[KeyPath, tuple[str, int | None]] = {}
        self._loader = loader
        self._file = file
        self._environment = environment
        self._open: set[int] = set()
        self._nodes = 0

    def build(self, node: yaml.Node, keys: KeyPath) -> Any:
        line = node.start_mark.line + 1
        self._nodes += 1
        if id(node) in self._open or self._nodes > MOST_NODES:
            raise _fault(self._file, line, "aliases that contain themselves or grow without end", "plain aliases")
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, keys)
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                items = []
                for index, child in enumerate(node.value):
                    self.places[(*keys, index)] = (self._file, child.start_mark.line + 1)
                    items.append(self.build(child, (*keys, index)))
                return items
            assert isinstance(node, yaml.MappingNode)
            return self._mapping(node, keys)
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: yaml.MappingNode, keys: KeyPath) -> dict[str, Any]:
        written = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode) and key.value != "<<"]
        self._loader.flatten_mapping(node)
        data: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                raise _fault(self._file, line, "has a key that is no word", "a name before each colon")
            key = key_node.value
            if key in data and written.count(key) > 1:
                raise ScenarioError(
                    [Problem(self._file, line, dotted((*keys, key)), "is given twice", "each key once")]
                )
            self.places[(*keys, key)] = (self._file, line)
            data[key] = self.build(value_node, (*keys, key))
        return data

    def _scalar(self, node: yaml.ScalarNode, keys: KeyPath) -> Any:
        text = _VARIABLE.sub(lambda match: self._variable(match, node, keys), node.value)
        if text != node.value:
            plain = node.style is None
            tag = self._loader.resolve(yaml.ScalarNode, text, (plain, not plain))  # type: ignore[no-untyped-call]
            node = yaml.ScalarNode(tag, text, node.start_mark, node.end_mark, node.style)
        try:
            return self._loader.construct_object(node)
        except ValueError as error:
            line = node.start_mark.line + 1
            raise ScenarioError([Problem(self._file, line, dotted(keys), f"{text!r}: {error}", "a value")]) from error

    def _variable(self, match: re.Match[str], node: yaml.ScalarNode, keys: KeyPath) -> str:
        value = self._environment.get(match[1], match[2])
        if value is None:
            line = node.start_mark.line + 1
            what = f"environment variable {match[1]} is not set"
            raise ScenarioError(
                [Problem(self._file, line, dotted(keys), what, f"set it, or write ${{{match[1]}:default}}")]
            )
        return value
