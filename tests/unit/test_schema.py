"""The JSON Schema of a scenario: shipped as it is printed, and agreeing with what is loaded."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cosim.scenario.load import SCHEMA_FILE, json_schema, load
from tests.lockstep import chat, scenario

ROOT = Path(__file__).parents[2]
SCHEMA = json_schema()


def test_the_shipped_file_is_what_the_command_prints() -> None:
    printed = subprocess.run([sys.executable, "-m", "cosim", "schema"], capture_output=True, text=True, check=True)
    assert printed.stdout == SCHEMA_FILE.read_text(encoding="utf-8")
    assert printed.stderr == ""


def test_says_which_schema_it_is() -> None:
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert SCHEMA["required"] == ["schema_version", "duration", "network", "tiers", "clients"]


def faults(value: Any, schema: dict[str, Any], where: str = "") -> Iterator[str]:
    """What an editor would underline: the part of JSON Schema that the scenario's schema uses."""
    if "$ref" in schema:
        schema = {**schema, **SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]]}
    for key in ("anyOf", "oneOf"):
        if key in schema:
            found = [list(faults(value, option, where)) for option in schema[key]]
            if not any(not fault for fault in found):
                yield min(found, key=len)[0]
    if "const" in schema and value != schema["const"]:
        yield f"{where}: {value!r} is not {schema['const']!r}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{where}: {value!r} is none of {schema['enum']}"
    if "type" in schema and not is_of(value, schema["type"]):
        yield f"{where}: {value!r} is no {schema['type']}"
    elif isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        yield f"{where}: {value!r} does not match {schema['pattern']}"
    elif isinstance(value, dict) and schema.get("type") == "object":
        yield from faults_of_mapping(value, schema, where)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from faults(item, schema.get("items", {}), f"{where}.{index}")
    elif isinstance(value, int | float) and not (schema.get("minimum", value) <= value <= schema.get("maximum", value)):
        yield f"{where}: {value!r} is out of range"


def is_of(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    types = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "null": type(None)}
    return kind in types and isinstance(value, types[kind])  # type: ignore[arg-type]


def faults_of_mapping(value: dict[str, Any], schema: dict[str, Any], where: str) -> Iterator[str]:
    properties = schema.get("properties", {})
    names = schema.get("propertyNames", {}).get("pattern", "")
    for key in schema.get("required", []):
        if key not in value:
            yield f"{where}: {key} is missing"
    for key, child in value.items():
        other = schema.get("additionalProperties", True)
        patterns = [found for pattern, found in schema.get("patternProperties", {}).items() if re.search(pattern, key)]
        below = properties.get(key, patterns[0] if patterns else other)
        if below is False or not re.search(names, key):
            yield f"{where}: {key} is unknown"
        elif isinstance(below, dict):
            yield from faults(child, below, f"{where}.{key}")


@pytest.mark.parametrize("file", sorted((ROOT / "experiments").glob("*.yaml")), ids=lambda file: file.stem)
def test_accepts_the_experiments(file: Path) -> None:
    assert list(faults(yaml.safe_load(file.read_text(encoding="utf-8")), SCHEMA)) == []
    assert file.read_text(encoding="utf-8").startswith("# yaml-language-server: $schema=")
    relative = file.read_text(encoding="utf-8").splitlines()[0].partition("$schema=")[2]
    assert (file.parent / relative).resolve() == SCHEMA_FILE.resolve()


def test_accepts_a_resolved_copy_and_every_default_in_it(tmp_path: Path) -> None:
    """Defaults carry their units, or an editor that fills them in would write what is then refused."""
    data = scenario(
        clients=[chat("u"), {"name": "cam", "kind": "frames", "tier": "edge", "period": "1s", "image": {}}],
        placement={"kind": "fixed"},
        timeline=[{"at": "1s", "set": {"network.core.delay": "1ms"}}],
    )
    data["tiers"]["hub"] = {"engine": {"kind": "vllm", "model": "nobody/model"}}
    data["tiers"]["made"] = {"engine": {"kind": "vllm", "model": {"kind": "synthetic", "architecture": "llama"}}}
    file = tmp_path / "s.yaml"
    file.write_text(yaml.safe_dump(data))
    assert list(faults(load(file, environment={}).data(), SCHEMA)) == []
    for name, part in [("", SCHEMA), *SCHEMA["$defs"].items()]:
        for key, held in part["properties"].items():
            if "default" in held:
                assert list(faults(held["default"], held, f"{name}.{key}")) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"durations": "1s"}, ": durations is unknown"),
        ({"duration": 10}, ".duration: 10 is no string"),
        ({"duration": "10"}, ".duration: '10' does not match"),
        ({"seed": -1}, ".seed: -1 is out of range"),
        ({"seed": True}, ".seed: True is no integer"),
        ({"sla": {"a b": {"e2el": "1s"}}}, ".sla: a b is unknown"),
        ({"clock": {"kind": "other"}}, ".clock.kind: 'other' is not 'lockstep'"),
        ({"clients": [{"kind": "chat"}]}, ".clients.0"),
    ],
)
def test_refuses_what_is_refused_at_loading(change: dict[str, Any], told: str) -> None:
    found = list(faults(scenario(**change), SCHEMA))
    assert found
    assert found[0].startswith(told)
