"""Reading a recorded profile, with every fault of the file at its line."""

from __future__ import annotations

import hashlib
import itertools
import math
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from cosim.bridge.engine_messages import Signature
from cosim.profile.errors import ProfileError, raise_all
from cosim.profile.graphs import KNOWN_MODES
from cosim.profile.records import (
    FEWEST_SAMPLES,
    FORMAT_VERSION,
    POSITIONS,
    EgressLine,
    FrontendLine,
    Grid,
    Header,
    ProfileLine,
    StepLine,
)

LARGEST_FILE_BYTES = 64 * 2**20
MOST_POINTS = 100_000
MOST_FAULTS = 20
LONGEST_SAMPLE_NS = 3_600 * 10**9
AGAIN = "record it again with `cosim profile`"

_NO_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_line = msgspec.json.Decoder(ProfileLine)


@dataclass(frozen=True, slots=True)
class RecordedFile:
    """What a file says; `digest` is its SHA-256."""

    path: Path
    digest: str
    header: Header
    steps: list[StepLine]
    frontends: list[FrontendLine]
    egress: list[EgressLine]


class _Faults:
    """Faults of one file, in the order in which they were found."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.found: list[ProfileError] = []

    def add(self, number: int, what: str, allowed: str) -> None:
        """Note a fault at a line."""
        self.found.append(ProfileError(what, allowed, f"{self._path}:{number}"))

    def stop(self) -> None:
        """Raise ProfileError if anything was found; the first MOST_FAULTS are told."""
        if len(self.found) > MOST_FAULTS:
            more = ProfileError(f"and {len(self.found) - MOST_FAULTS} more faults", AGAIN, str(self._path))
            self.found[MOST_FAULTS:] = [more]
        raise_all(self.found)


def read_recorded(path: Path) -> RecordedFile:
    """Read and check a recorded profile. Raises ProfileError with every fault found."""
    data = _read(path)
    faults = _Faults(path)
    lines = data.split(b"\n")
    header = _header(lines[0], faults)
    if lines[-1] == b"":
        lines.pop()
    else:
        faults.add(len(lines), "line: does not end with a line feed, so the file was cut short", AGAIN)
    decoded = list(_decoded(lines, faults))
    steps = [(number, line) for number, line in decoded if isinstance(line, StepLine)]
    frontends = [(number, line) for number, line in decoded if isinstance(line, FrontendLine)]
    egress = [(number, line) for number, line in decoded if isinstance(line, EgressLine)]
    for number, line in decoded:
        _check_samples(number, line.durations_ns, faults)
    for number, step in steps:
        _check_signature(number, step.signature, faults)
    if len(decoded) == len(lines) - 1:  # A line that cannot be read would be told a second time as a hole.
        _check_graphs(header, faults)
        _check_grids(header.grids, steps, faults)
        _check_frontends(frontends, faults)
        _check_egress(egress, faults, len(lines))
    faults.stop()
    return RecordedFile(
        path,
        hashlib.sha256(data).hexdigest(),
        header,
        [line for _, line in steps],
        [line for _, line in frontends],
        [line for _, line in egress],
    )


def _read(path: Path) -> bytes:
    wanted = "the path of a profile that `cosim profile` recorded"
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ProfileError(f"{path} is no file", wanted)
        if status.st_size > LARGEST_FILE_BYTES:
            raise ProfileError(f"{path} has {status.st_size} bytes", f"at most {LARGEST_FILE_BYTES}")
        return path.read_bytes()
    except OSError as error:
        raise ProfileError(f"{str(path)!r} cannot be read: {error.strerror}", wanted) from None


def _header(line: bytes, faults: _Faults) -> Header:
    """The first line. Raises ProfileError at once: without it nothing else can be judged."""
    wanted = f'a recorded profile begins with {{"kind": "recorded", "format_version": {FORMAT_VERSION}, ...}}'
    try:
        stated: Any = msgspec.json.decode(line)
    except _NO_JSON as error:
        stated = None
        faults.add(1, f"line: is no JSON object: {error}", wanted)
    if isinstance(stated, dict) and stated.get("kind") == "recorded":
        version = stated.get("format_version")
        if version != FORMAT_VERSION:
            faults.add(1, f"format_version: {version!r} is another version of the format", f"{FORMAT_VERSION}; {AGAIN}")
    elif not faults.found:
        faults.add(1, "kind: the file is no recorded profile", wanted)
    if not faults.found:
        try:
            header = msgspec.json.decode(line, type=Header)
        except msgspec.ValidationError as error:
            faults.add(1, *_explained(error))
    faults.stop()
    return header


def _decoded(lines: Sequence[bytes], faults: _Faults) -> Iterator[tuple[int, StepLine | FrontendLine | EgressLine]]:
    """Measurements with their 1-based line numbers."""
    last = 0
    for number, text in enumerate(lines[1:], 2):
        try:
            line = _line.decode(text)
        except msgspec.ValidationError as error:
            faults.add(number, *_explained(error))
            continue
        except _NO_JSON as error:
            faults.add(number, f"line: is no JSON object: {error}", f"one whole object a line; {AGAIN}")
            continue
        if isinstance(line, Header):
            faults.add(number, "kind: a second header", "one, in line 1")
            continue
        rank = 0 if isinstance(line, StepLine) else 1 if isinstance(line, FrontendLine) else 2
        if rank < last:
            faults.add(number, "kind: stands after a later kind of line", "step, then frontend, then egress")
        last = max(last, rank)
        yield number, line


def _explained(error: msgspec.ValidationError) -> tuple[str, str]:
    """What is wrong, field first, and what is allowed."""
    text, _, place = str(error).partition(" - at ")
    field = place.strip("`").removeprefix("$").removeprefix(".") or "line"
    return f"{field}: {text}", "the fields of cosim/profile/records.py"


def _check_samples(number: int, samples: Sequence[int], faults: _Faults) -> None:
    if len(samples) < FEWEST_SAMPLES:
        faults.add(number, f"durations_ns: {len(samples)} samples", f"at least {FEWEST_SAMPLES}")
    bad = next((index for index, sample in enumerate(samples) if not 0 < sample <= LONGEST_SAMPLE_NS), None)
    if bad is not None:
        faults.add(number, f"durations_ns[{bad}]: {samples[bad]}", f"1 to {LONGEST_SAMPLE_NS} ns")
    fall = next((index for index, pair in enumerate(itertools.pairwise(samples), 1) if pair[0] > pair[1]), None)
    if fall is not None:
        what = f"durations_ns[{fall}]: {samples[fall]} after {samples[fall - 1]}"
        faults.add(number, what, "in ascending order")


def _check_signature(number: int, signature: Signature, faults: _Faults) -> None:
    values = msgspec.structs.asdict(signature)
    for field, value in values.items():
        if not 0 <= value <= 2**53:
            faults.add(number, f"signature.{field}: {value}", f"0 to {2**53}")
    if (signature.prefill_tokens == 0) != (signature.prefill_sequences == 0):
        what = f"{signature.prefill_tokens} prefill tokens of {signature.prefill_sequences} sequences"
        faults.add(number, f"signature: {what}", "at least one token of each sequence")
    if signature.prefill_tokens + signature.decode_sequences == 0:
        faults.add(number, "signature: an empty batch", "a batch with tokens")
    if signature.decode_context_tokens > signature.context_tokens:
        what = f"signature.decode_context_tokens: {signature.decode_context_tokens}"
        faults.add(number, what, f"at most context_tokens, {signature.context_tokens}")


def _check_graphs(header: Header, faults: _Faults) -> None:
    engine = header.engine
    if engine.cudagraph_mode not in KNOWN_MODES:
        faults.add(1, f"engine.cudagraph_mode: {engine.cudagraph_mode!r}", f"allowed: {', '.join(KNOWN_MODES)}")
    if not _ascends(engine.cudagraph_capture_sizes):
        faults.add(1, f"engine.cudagraph_capture_sizes: {engine.cudagraph_capture_sizes}", "in ascending order")


def _points(grid: Grid) -> Iterator[tuple[int, ...]]:
    """The grid's points in row-major order."""
    omitted = {tuple(point) for point in grid.omitted}
    return (point for point in itertools.product(*grid.axes.values()) if point not in omitted)


def _check_grids(grids: Sequence[Grid], steps: Sequence[tuple[int, StepLine]], faults: _Faults) -> None:
    """Every point of every grid is measured once, and lines come in the order of the points."""
    if not grids or len({grid.name for grid in grids}) < len(grids):
        faults.add(
            1, f"grids: {len(grids)} with the names {[grid.name for grid in grids]}", "one or more, each named once"
        )
        return
    for grid in grids:
        if not grid.axes or not all(values and _ascends(values) for values in grid.axes.values()):
            faults.add(1, f"grids.{grid.name}.axes: {grid.axes}", "one or more axes, each with values that ascend")
            return
        if math.prod(len(values) for values in grid.axes.values()) > MOST_POINTS:
            faults.add(1, f"grids.{grid.name}.axes: more points than can be measured", f"at most {MOST_POINTS}")
            return
    wanted = {
        (grid.name, point): index for index, (grid, point) in enumerate((g, p) for g in grids for p in _points(g))
    }
    axes = {grid.name: list(grid.axes) for grid in grids}
    seen: dict[tuple[str, tuple[int, ...]], int] = {}
    last = -1
    for number, step in steps:
        key = (step.grid, tuple(step.at))
        index = wanted.get(key)
        if index is None:
            faults.add(number, f"at: {_point(axes, key)} is no point of the header's grids", "a point that is declared")
        elif key in seen:
            faults.add(number, f"at: {_point(axes, key)} is in line {seen[key]} already", "one line a point")
        elif index < last:
            faults.add(number, f"at: {_point(axes, key)} stands after a later point", "lines in the order of the grids")
        seen.setdefault(key, number)
        last = max(last, index if index is not None else -1)
    for key in [key for key in wanted if key not in seen]:
        faults.add(1, f"grids: a hole: {_point(axes, key)} has no line", f"every declared point; {AGAIN}")


def _ascends(values: Sequence[int]) -> bool:
    return all(one < other for one, other in itertools.pairwise(values))


def _point(axes: dict[str, list[str]], key: tuple[str, tuple[int, ...]]) -> str:
    names = axes.get(key[0], [])
    if len(names) != len(key[1]):
        return f"{key[0]} {list(key[1])}"
    return f"{key[0]} " + ", ".join(f"{name}={value}" for name, value in zip(names, key[1], strict=True))


def _check_frontends(lines: Sequence[tuple[int, FrontendLine]], faults: _Faults) -> None:
    if not lines:
        faults.add(1, "frontend: no line of this kind", f"at least one; {AGAIN}")
    shapes = [(line.images, line.encoder_tokens, line.prompt_tokens) for _, line in lines]
    for (one, other), (number, _) in zip(itertools.pairwise(shapes), lines[1:], strict=False):
        if one >= other:
            faults.add(
                number, "frontend: does not come after the line before", "by images, encoder_tokens, prompt_tokens"
            )


def _check_egress(lines: Sequence[tuple[int, EgressLine]], faults: _Faults, last: int) -> None:
    positions = tuple(line.position for _, line in lines)
    if positions != POSITIONS:
        number = lines[0][0] if lines else last
        faults.add(
            number, f"egress: lines for {', '.join(positions) or 'nothing'}", f"{', '.join(POSITIONS)}, one each"
        )
