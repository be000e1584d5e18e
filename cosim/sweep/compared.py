"""What makes two sweeps the same: the scenario, and the content of the files that it names."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosim.results.store import STEPS, ResultsError
from cosim.results.sweep_store import Sweep
from cosim.scenario.files import open_regular
from cosim.scenario.load import PROFILE_FILE, Loaded, hash_of
from cosim.scenario.source import KeyPath, dotted
from cosim.sweep.points import place_text

MISSING = "missing"
# Sections whose keys are not cosim's.
_FREE = ("args", "options")


@dataclass(frozen=True, slots=True)
class Compared:
    """`files` and `scenario_hash` of `results.sweep_store.Sweep`, and where each file is."""

    files: dict[str, str]
    paths: dict[str, Path]
    scenario_hash: str


def compared(loaded: Loaded) -> Compared:
    """What a sweep of a scenario is compared by; each file is read once."""
    data = loaded.data()
    if "sweep" in data:
        data["sweep"]["time_limit"] = None
    files: dict[str, str] = {}
    paths: dict[str, Path] = {}
    digests: dict[tuple[str, Path], str] = {}
    for keys, node, kind, text in list(_named(data, ())):
        folder = Path(loaded.source.file).parent if loaded.source.place(keys)[1] is not None else Path()
        path = Path(os.path.realpath(folder / text))
        if (kind, path) not in digests:
            digests[kind, path] = _digest(kind, path)
        name = place_text(keys) if keys[0] == "sweep" else dotted(keys)
        files[name], paths[name] = digests[kind, path], path
        if files[name] != MISSING:
            node[keys[-1]] = None
    return Compared(files, paths, hash_of(data))


def check_files(directory: Path, earlier: Sweep, now: Compared) -> None:
    """Raise ResultsError for a file that is another than when the sweep in a directory was begun."""
    for name, digest in now.files.items():
        if earlier.files.get(name, digest) != digest:
            what = "is no longer there" if digest == MISSING else f"is another file than when {directory} was begun"
            raise ResultsError(f"{name}: {now.paths[name]} {what}; put it back, or choose another directory with -o")


def _named(node: Any, above: KeyPath) -> Iterator[tuple[KeyPath, Any, str, str]]:
    """The keys that name a file, in the scenario and as swept values: with their section, kind and text."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, child in items:
        keys = (*above, key)
        if isinstance(child, str):
            # A swept value lies below a dotted path.
            words = [part.rpartition(".")[2] for part in keys if isinstance(part, str)]
            text = _path_text(words[-1], child)
            if text is not None:
                yield keys, node, words[-1], text
        elif key not in _FREE:
            yield from _named(child, keys)


def _path_text(kind: str, text: str) -> str | None:
    """The path in the value of a key, None if it is none."""
    if kind == "profile":
        found = PROFILE_FILE.search(text)
        return None if found is None else text.removesuffix(found[2] or "")
    if kind == "config":
        return text if text.endswith(".json") else None
    return text if kind in ("file", "folder", "run", "trace") else None


def _digest(kind: str, path: Path) -> str:
    """SHA-256 of a file, of a run's steps, or of the names and images of a folder."""
    try:
        if kind == "folder":
            images = sorted(image for image in path.iterdir() if image.suffix.lower() in (".jpg", ".jpeg"))
            lines = [f"{image.name} {_sha256(image)}" for image in images]
            return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
        return _sha256(path / STEPS if kind == "run" else path)
    except (OSError, ValueError):
        return MISSING


def _sha256(path: Path) -> str:
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
