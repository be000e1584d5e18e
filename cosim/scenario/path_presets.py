"""Presets of WAN paths: the values that they lay under a path's own keys, and what each value rests on."""

from __future__ import annotations

import difflib
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import Field

from cosim.scenario.section import problem

FILE = Path(__file__).parent / "paths.yaml"
SUFFIXES = ("", "_up", "_down")


@dataclass(frozen=True, slots=True)
class Figure:
    """A value of a preset. `kind`: measured or assumption; `why`: its arithmetic or reasoning."""

    value: Any
    kind: str
    why: str
    source: str | None = None
    date: str | None = None
    percentile: str | None = None


@dataclass(frozen=True, slots=True)
class PathPreset:
    """A path that somebody measured or that is assumed: `figures` by key of a path."""

    name: str
    title: str
    figures: dict[str, Figure]


@functools.cache
def presets() -> dict[str, PathPreset]:
    """All presets by name, in the order of the file."""
    data = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return {
        name: PathPreset(
            name,
            entry["title"],
            {key: _figure(figure, data["sources"]) for key, figure in entry.items() if key != "title"},
        )
        for name, entry in data["presets"].items()
    }


def _figure(written: dict[str, Any], sources: dict[str, dict[str, str]]) -> Figure:
    source = sources[written["source"]] if "source" in written else {}
    return Figure(**{**written, "source": source.get("name"), "date": source.get("date")})


def laid_under(given: dict[str, Any]) -> dict[str, Any]:
    """A path with its preset's values where it has none of its own.

    A key of the path's own also stands for its `_up` and `_down`; of a section only what is given stands. Raises
    PydanticCustomError for the name of no preset.
    """
    name = given.get("preset")
    if not isinstance(name, str):
        return given
    if name not in presets():
        raise problem(("preset",), f"no preset {name!r}", allowed(name))
    merged = dict(given)
    for key, figure in presets()[name].figures.items():
        own = given.get(key)
        if key not in given and base_of(key) not in given:
            merged[key] = figure.value
        elif isinstance(own, dict) and isinstance(figure.value, dict) and _of_one_kind(own, figure.value):
            merged[key] = {**figure.value, **own}
    return merged


def base_of(key: str) -> str:
    """A key without its direction."""
    return key.removesuffix("_up").removesuffix("_down")


def _of_one_kind(own: dict[str, Any], other: dict[str, Any]) -> bool:
    return bool(own.get("kind", other["kind"]) == other["kind"])


def allowed(name: str) -> str:
    """What to write instead of a name that is no preset's: the nearest ones, and where all are listed."""
    near = [other for other in presets() if name and name in other]
    near += [other for other in difflib.get_close_matches(name, presets(), n=3, cutoff=0.4) if other not in near]
    meant = f"did you mean {' or '.join(near[:3])}? " if near else ""
    return f"{meant}`cosim paths` lists all {len(presets())}"


PresetName = Annotated[str, Field(json_schema_extra=lambda schema: schema.update(enum=list(presets())))]
"""The name of a preset; `laid_under` refuses others."""
