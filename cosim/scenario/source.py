"""YAML with the place of every key: file and line, environment variable or flag."""

from __future__ import annotations

import math
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from cosim.scenario.errors import Problem, ScenarioError, printable

KeyPath = tuple[str | int, ...]

LARGEST_FILE_BYTES = 4 * 2**20
MOST_NODES = 50_000
DEEPEST_LEVEL = 32
MOST_DIGITS = 400
_TAG = "tag:yaml.org,2002:"
_SCALAR_TAGS = frozenset(_TAG + name for name in ("null", "bool", "int", "float", "str"))
_VARIABLE = re.compile(r"(\$?)\$\{([A-Za-z_][A-Za-z0-9_]*)(?::([^}]*))?\}")
# YAML 1.1 reads 010 as eight and 1:30 as ninety.
_OTHER_BASE = re.compile(r"[-+]?(0[0-9_]+|[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?)")
_NO_TEXT = re.compile("[\x00\ud800-\udfff]")


class _TooMuchError(Exception):
    """A text of more nodes or levels than any scenario has; carries its line and what is wrong."""

    def __init__(self, mark: yaml.Mark, what: str, allowed: str) -> None:
        super().__init__(what)
        self.line, self.what, self.allowed = mark.line + 1, what, allowed


class _Loader(yaml.SafeLoader):
    """YAML's safe loader, to which a date is a text: no key of a scenario takes a date.

    It stops at the first node too many, before a large file has become a larger tree in memory.
    """

    nodes = 0
    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose one node and what is below it. Raises _TooMuchError."""
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        self.nodes += 1
        self.depth += 1
        if self.nodes > MOST_NODES:
            raise _TooMuchError(mark, "has more values than a scenario can have", f"at most {MOST_NODES}")
        if self.depth > DEEPEST_LEVEL:
            raise _TooMuchError(mark, "is nested too deeply", "a scenario has fewer than ten levels")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != f"{_TAG}timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


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
    return printable(".".join(str(key) for key in keys))


def read(path: Path, environment: Mapping[str, str] | None = None) -> Source:
    """Read a YAML file. Raises ScenarioError with the line of what cannot be read."""
    try:
        if not stat.S_ISREG(path.stat().st_mode) and not path.is_dir():
            # A pipe or a device could be read for ever.
            raise _fault(str(path), None, "is no plain file", "the path of a scenario file")
        with path.open("rb") as file:
            raw = file.read(LARGEST_FILE_BYTES + 1)
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
    """Parse the YAML text of a file; `file` names it in errors."""
    builder = _Builder(file, environment)
    data = builder.read(text)
    if builder.root is None:
        raise _fault(file, 1, "is empty", "a mapping with schema_version, duration, network, tiers and clients")
    if not isinstance(data, dict):
        line = builder.root.start_mark.line + 1
        raise _fault(file, line, "is not a mapping", "`key: value` lines at the top level")
    return Source(file, data, builder.places)


def parse_value(text: str, origin: str, key: str) -> Any:
    """Parse one value as a flag or a variable gives it. Raises ScenarioError that names `origin` and `key`."""
    try:
        return _Builder(origin, None).read(text)
    except ScenarioError as error:
        what = "; ".join(problem.what for problem in error.problems)
        raise ScenarioError([Problem(origin, None, key, what, "a YAML value such as 60ms or {a: 1}")]) from error


def forget_below(places: dict[KeyPath, tuple[str, int | None]], keys: KeyPath) -> None:
    """Forget where a key and all below it were written: another value takes its place."""
    for place in [place for place in places if place[: len(keys)] == keys]:
        del places[place]


def literal(value: Any) -> Any:
    """Plain data whose texts read back unchanged: `${NAME}` that is meant as such is written `$${NAME}`."""
    if isinstance(value, str):
        return _VARIABLE.sub(lambda match: "$" + match[0], value)
    if isinstance(value, dict):
        return {key: literal(child) for key, child in value.items()}
    return [literal(child) for child in value] if isinstance(value, list) else value


def _fault(origin: str, line: int | None, what: str, allowed: str) -> ScenarioError:
    return ScenarioError([Problem(origin, line, "", what, allowed)])


class _Builder:
    """Turns YAML text into plain data, noting lines, refusing doubled keys and filling in `${NAME:default}`.

    What is wrong with one value or key is noted and reading goes on; a text that is no YAML ends it at once.
    """

    def __init__(self, file: str, environment: Mapping[str, str] | None) -> None:
        self.places: dict[KeyPath, tuple[str, int | None]] = {}
        self.root: yaml.Node | None = None
        self._file = file
        self._environment = environment
        self._problems: list[Problem] = []
        self._open: set[int] = set()
        self._nodes = 0

    def read(self, text: str) -> Any:
        """The data; None for an empty text. Raises ScenarioError."""
        try:
            self._loader = _Loader(text)
        except yaml.reader.ReaderError as error:
            line = text[: error.position].count("\n") + 1 if isinstance(error.position, int) else None
            what = f"has a character that YAML does not allow ({error.reason})"
            raise _fault(self._file, line, what, "YAML in UTF-8") from error
        try:
            self.root = self._loader.get_single_node()
            data = None if self.root is None else self._build(self.root, ())
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            what = " ".join(part for part in (error.context, error.problem) if part)
            line = mark.line + 1 if mark else None
            raise _fault(self._file, line, f"is not YAML: {what}", "a well-formed file") from error
        except _TooMuchError as error:
            raise _fault(self._file, error.line, error.what, error.allowed) from None
        except (ValueError, OverflowError) as error:
            # The scanner's own: an escape such as "\UFFFFFFFF" that names no character.
            line = self._loader.line + 1
            raise _fault(self._file, line, f"is not YAML: {error}", "a well-formed file") from error
        finally:
            self._loader.dispose()
        if self._problems:
            raise ScenarioError(self._problems)
        return data

    def _build(self, node: yaml.Node, keys: KeyPath) -> Any:
        line = node.start_mark.line + 1
        self._nodes += 1
        if id(node) in self._open or self._nodes > MOST_NODES:
            raise _fault(self._file, line, "aliases that contain themselves or grow without end", "plain aliases")
        if len(self._open) > DEEPEST_LEVEL:  # Aliases add to the levels that are written.
            raise _fault(self._file, line, "is nested too deeply", "a scenario has fewer than ten levels")
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, keys)
        if node.tag not in (f"{_TAG}seq", f"{_TAG}map"):
            return self._note(node, keys, f"has the tag {node.tag!r}", "plain mappings and lists")
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                return self._sequence(node, keys)
            assert isinstance(node, yaml.MappingNode)
            return self._mapping(node, keys)
        finally:
            self._open.discard(id(node))

    def _note(self, node: yaml.Node, keys: KeyPath, what: str, allowed: str) -> None:
        self._problems.append(Problem(self._file, node.start_mark.line + 1, dotted(keys), what, allowed))

    def _sequence(self, node: yaml.SequenceNode, keys: KeyPath) -> list[Any]:
        items = []
        for index, child in enumerate(node.value):
            self.places[(*keys, index)] = (self._file, child.start_mark.line + 1)
            items.append(self._build(child, (*keys, index)))
        return items

    def _mapping(self, node: yaml.MappingNode, keys: KeyPath) -> dict[str, Any]:
        data: dict[str, Any] = {}
        written: set[str] = set()
        for key_node, value_node in node.value:
            if key_node.tag == f"{_TAG}merge":
                data.update(self._merged(value_node, keys))
        for key_node, value_node in node.value:
            if key_node.tag == f"{_TAG}merge":
                continue
            if not isinstance(key_node, yaml.ScalarNode) or _NO_TEXT.search(key_node.value):
                self._note(key_node, keys, "has a key that is no word", "a name before each colon")
                continue
            key = key_node.value
            if key in written:
                self._note(key_node, (*keys, key), "is given twice", "each key once")
            written.add(key)
            if key in data:
                forget_below(self.places, (*keys, key))
            self.places[(*keys, key)] = (self._file, key_node.start_mark.line + 1)
            data[key] = self._build(value_node, (*keys, key))
        return data

    def _merged(self, node: yaml.Node, keys: KeyPath) -> dict[str, Any]:
        """What `<<: *alias` or `<<: [*one, *other]` brings; of two that have a key the first wins."""
        merged: dict[str, Any] = {}
        for part in reversed(node.value) if isinstance(node, yaml.SequenceNode) else [node]:
            found = self._build(part, keys) if isinstance(part, yaml.MappingNode) else None
            if found is None:
                self._note(part, keys, "`<<` takes a mapping", "an alias of a mapping, or a list of them")
            merged.update(found or {})
        return merged

    def _scalar(self, node: yaml.ScalarNode, keys: KeyPath) -> Any:
        text, tag = node.value, node.tag
        if self._environment is not None:
            text = _VARIABLE.sub(lambda match: self._variable(match, node, keys), text)
        if text != node.value:
            plain = node.style is None
            tag = self._loader.resolve(yaml.ScalarNode, text, (plain, not plain))  # type: ignore[no-untyped-call]
        if tag not in _SCALAR_TAGS:
            return self._note(node, keys, f"has the tag {tag!r}", "a text, a number, true, false or null")
        number = tag in (f"{_TAG}int", f"{_TAG}float")
        if number and len(text) > MOST_DIGITS:
            return self._note(node, keys, "is too long for a number", f"at most {MOST_DIGITS} digits")
        if number and _OTHER_BASE.fullmatch(text):
            what = f"{text} is a number of base 8 or 60 in YAML"
            return self._note(node, keys, what, "a decimal number, or a text in quotes")
        if _NO_TEXT.search(text):
            return self._note(node, keys, f"{text!r} has a character that no text has", "a text without NUL")
        filled = yaml.ScalarNode(tag, text, node.start_mark, node.end_mark, node.style)
        try:
            value = self._loader.construct_object(filled)
        except (ValueError, LookupError):
            return self._note(node, keys, f"{text!r} is no {tag.removeprefix(_TAG)}", "a value of its tag")
        if isinstance(value, float) and not math.isfinite(value):
            return self._note(node, keys, f"{text} is no finite number", "a number")
        return value

    def _variable(self, match: re.Match[str], node: yaml.ScalarNode, keys: KeyPath) -> str:
        if match[1]:
            return match[0][1:]
        assert self._environment is not None
        value = self._environment.get(match[2], match[3])
        if value is None:
            what = f"environment variable {match[2]} is not set"
            self._note(node, keys, what, f"set it, or write ${{{match[2]}:default}}")
        return value or ""
