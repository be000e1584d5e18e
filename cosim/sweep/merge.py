"""From the directories of a sweep's shards to that of the whole sweep."""

from __future__ import annotations

import contextlib
import difflib
import filecmp
import itertools
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from cosim.results.locked_directory import locked_directory
from cosim.results.store import MANIFEST, REQUESTS, ResultsError
from cosim.results.sweep_store import POINTS, SWEEP, SWEEP_SCENARIO, Sweep, SweptPoint, read_sweep, run_directory
from cosim.scenario.errors import ScenarioError
from cosim.sweep.directory import LONGEST_DIFF, run_state, write_sweep
from cosim.sweep.driver import MADE, make_tables
from cosim.sweep.progress import Tally
from cosim.sweep.shard import Shard, parse_shard

STAGING_SUFFIX = ".merging"
_WRITTEN = (SWEEP, SWEEP_SCENARIO, *MADE)
_STAGED_NAMES = {POINTS, *_WRITTEN, *(f"{name}.tmp" for name in _WRITTEN)}


class Merged(NamedTuple):
    """What a merge did. `versions`: by cosim version and commit, the directories that have runs of it."""

    sweep: Sweep
    tally: Tally
    files: Literal["hard links", "copies"]
    versions: dict[str, list[Path]]


@dataclass(frozen=True, slots=True)
class _Part:
    directory: Path
    sweep: Sweep
    shard: Shard


def merge(directories: Sequence[Path], out: Path, *, partial: bool) -> Merged:
    """Make the directory of one sweep from those of its shards; runs that failed or are missing stay so.

    The files of runs become hard links, or copies where the file system has none. The directory has its name only when
    it is whole. `partial`: shards may be missing; the result is a shard itself then. Raises ResultsError, which names
    directories and shards, if the parts do not make a sweep or the disk takes no more.
    """
    if out.exists() or out.is_symlink():
        raise ResultsError(f"{out} exists; choose a directory that does not with -o")
    with contextlib.ExitStack() as held:
        parts = [_read(directory, out) for directory in directories]
        _check_once(directories)
        for part in parts:
            held.enter_context(locked_directory(part.directory, "sweep"))
        return _merge(parts, out, partial=partial)


def _merge(parts: Sequence[_Part], out: Path, *, partial: bool) -> Merged:
    _check_one_sweep(parts)
    _check_no_overlap(parts)
    shard = _union(parts)
    if not shard.is_whole and not partial:
        raise ResultsError(_what_is_missing(parts, shard))
    points = sorted((point for part in parts for point in part.sweep.points), key=lambda point: point.index)
    if shard.is_whole:
        _check_no_gap(points)
    sweep = msgspec.structs.replace(parts[0].sweep, points=points, shard=None if shard.is_whole else str(shard))
    with _staged(out) as staging:
        return _fill(staging, parts, sweep)


def _read(directory: Path, out: Path) -> _Part:
    """A shard's directory, whose sweep is not under way."""
    if out.resolve().is_relative_to(directory.resolve()) or directory.resolve().is_relative_to(out.resolve()):
        raise ResultsError(f"{directory} and {out} lie within one another; choose another directory with -o")
    sweep = read_sweep(directory)
    if sweep.shard is None:
        raise ResultsError(f"{directory} holds a whole sweep already; give the directories of shards")
    try:
        return _Part(directory, sweep, parse_shard(sweep.shard))
    except ScenarioError:
        raise ResultsError(f"{directory / SWEEP} is damaged: {sweep.shard!r} is no shard; run it again") from None


def _check_once(directories: Sequence[Path]) -> None:
    for first, other in itertools.combinations(directories, 2):
        if first.samefile(other):
            raise ResultsError(f"{first} and {other} are one directory; give each shard once")


def _check_one_sweep(parts: Sequence[_Part]) -> None:
    """Every part is of the first one's scenario, seeds and keys, and of as many shards."""
    first = parts[0]
    for part in parts[1:]:
        for name, digest in part.sweep.files.items():
            if first.sweep.files.get(name, digest) != digest:
                both = f"{first.directory} and {part.directory}"
                raise ResultsError(f"{name}: {both} were run with different files of this key; run one of them again")
        if part.sweep.scenario_hash != first.sweep.scenario_hash:
            raise ResultsError(
                f"{first.directory} and {part.directory} are shards of different sweeps:\n{_difference(first, part)}"
            )
        for what in ("schema_version", "name", "keys", "seeds", "paired"):
            mine, other = getattr(first.sweep, what), getattr(part.sweep, what)
            if mine != other:
                raise ResultsError(
                    f"{first.directory} and {part.directory} have one scenario but differ in {what}: {mine} and "
                    f"{other}; run both with one version of cosim"
                )
        if part.shard.of != first.shard.of:
            raise ResultsError(
                f"{first.directory} is shard {first.shard} and {part.directory} shard {part.shard}: a sweep is cut in "
                f"one way; run --shard i/{first.shard.of}"
            )


def _difference(first: _Part, other: _Part) -> str:
    """What differs between the scenarios of two sweeps, line by line."""
    mine, others = (part.directory / SWEEP_SCENARIO for part in (first, other))
    try:
        texts = mine.read_text(encoding="utf-8").splitlines(), others.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        return f"their {SWEEP_SCENARIO} cannot be compared: {error}"
    lines = list(difflib.unified_diff(texts[0], texts[1], str(mine), str(others), n=0, lineterm=""))
    more = [f"... {len(lines) - LONGEST_DIFF} more lines"] if len(lines) > LONGEST_DIFF else []
    return "\n".join([*lines[:LONGEST_DIFF], *more])


def _check_no_overlap(parts: Sequence[_Part]) -> None:
    for first, other in itertools.combinations(parts, 2):
        both = sorted(set(first.shard.parts) & set(other.shard.parts))
        if both:
            twice = f"{first.directory} and {other.directory} both hold shard {Shard(tuple(both), first.shard.of)}"
            raise ResultsError(f"{twice}, {_same_content(first, other)}; give one of them")


def _same_content(first: _Part, other: _Part) -> str:
    """Whether the requests of two directories of one shard are the same, in words."""
    held = {point.index for point in other.sweep.points}
    for point in first.sweep.points:
        for number in range(len(first.sweep.seeds)):
            run = run_directory(Path(), point.slug, number)
            mine, others = (part.directory / run / REQUESTS for part in (first, other))
            both = point.index in held and mine.exists() and others.exists()
            if both and not filecmp.cmp(mine, others, shallow=False):
                return f"with other requests in {run}"
    return "with the same requests where both have a run"


def _union(parts: Sequence[_Part]) -> Shard:
    return Shard(tuple(sorted(number for part in parts for number in part.shard.parts)), parts[0].shard.of)


def _what_is_missing(parts: Sequence[_Part], shard: Shard) -> str:
    missing = tuple(number for number in range(1, shard.of + 1) if number not in shard.parts)
    given = ", ".join(f"{part.directory} ({part.shard})" for part in parts)
    return (
        f"shard {Shard(missing, shard.of)} is missing beside {given}; give its directory too, or pass --partial for a "
        "sweep without its points"
    )


def _check_no_gap(points: Sequence[SweptPoint]) -> None:
    for index, point in enumerate(points):
        if point.index != index:
            raise ResultsError(f"no shard has point {index}, although none is missing; run that shard again")


@contextlib.contextmanager
def _staged(out: Path) -> Iterator[Path]:
    """An empty directory beside `out` that becomes `out` at the end; what a killed merge left there is removed.

    Raises ResultsError if it holds anything that no merge leaves.
    """
    staging = out.with_name(out.name + STAGING_SUFFIX)
    foreign = sorted({path.name for path in _entries(staging)} - _STAGED_NAMES)
    if foreign or staging.is_symlink():
        what = f"{staging} is in the way and no merge made it" + (f": it holds {foreign[0]}" if foreign else "")
        raise ResultsError(f"{what}; move it, or choose another directory with -o")
    with locked_directory(staging, "sweep"):
        try:
            _empty(staging)
            yield staging
            staging.rename(out)
        except OSError as error:
            raise ResultsError(f"{error.filename or staging}: {error.strerror}; nothing was merged") from error
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def _entries(directory: Path) -> list[Path]:
    """What a directory holds, if it is there. Raises ResultsError if it cannot be read."""
    try:
        return list(directory.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ResultsError(f"{directory}: {error.strerror}; choose another directory with -o") from error


def _empty(directory: Path) -> None:
    for path in directory.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _fill(staging: Path, parts: Sequence[_Part], sweep: Sweep) -> Merged:
    """Everything that the whole sweep's directory has; sweep.json, which makes it one, comes after all runs."""
    resolved_yaml = _scenario_text(parts[0].directory)
    tree = _Tree()
    versions: dict[str, list[Path]] = {}
    tally = Tally(len(sweep.points) * len(sweep.seeds), len(sweep.seeds))
    for part in parts:
        for point in part.sweep.points:
            for number, scenario_hash in enumerate(point.scenario_hashes):
                source = run_directory(part.directory, point.slug, number)
                if not source.is_dir():
                    continue
                tree.take(source, run_directory(staging, point.slug, number))
                verdict = run_state(source, scenario_hash).verdict
                tally.done += verdict is not None
                tally.invalid += verdict not in ("VALID", None)
                tally.failed += verdict is None
                version = _version(source)
                if version is not None and part.directory not in versions.setdefault(version, []):
                    versions[version].append(part.directory)
    write_sweep(staging, sweep, resolved_yaml)
    make_tables(staging, sweep.points, changed=True, say=lambda text: None)
    return Merged(sweep, tally, "copies" if tree.copied else "hard links", versions)


def _scenario_text(directory: Path) -> str:
    path = directory / SWEEP_SCENARIO
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ResultsError(f"{path} is damaged: it is not UTF-8 text; run this shard again") from None


class _Tree:
    """Takes over directories: files as hard links, which is safe as cosim replaces files and never writes into them."""

    def __init__(self) -> None:
        self.copied = False

    def take(self, source: Path, target: Path) -> None:
        shutil.copytree(source, target, symlinks=True, copy_function=self._take_file)

    def _take_file(self, source: str, target: str) -> None:
        if not self.copied:
            try:
                os.link(source, target, follow_symlinks=False)
                return
            except OSError:  # Another file system, or one without hard links.
                self.copied = True
        shutil.copy2(source, target, follow_symlinks=False)


def _version(run: Path) -> str | None:
    """The cosim that made a run, None where it did not come to say so."""
    try:
        manifest = msgspec.json.decode((run / MANIFEST).read_bytes(), type=_Made)
    except (OSError, msgspec.MsgspecError):
        return None
    sha = manifest.git.get("sha")
    changed = " with local changes" if manifest.git.get("dirty") else ""
    return f"{manifest.versions.get('cosim')}" + (f" at {str(sha)[:12]}{changed}" if sha else "")


class _Made(msgspec.Struct):
    versions: dict[str, Any] = {}
    git: dict[str, Any] = {}
