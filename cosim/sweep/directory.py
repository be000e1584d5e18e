"""The directory of a sweep: one sweep at a time, begun anew or gone on with; which of its runs are done."""

from __future__ import annotations

import difflib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from cosim.results.store import FAILURE, MANIFEST, REPORT, SUMMARY, ResultsError, write_atomic
from cosim.results.sweep_store import (
    CAPACITY,
    POINTS,
    RUNS_TABLE,
    SUMMARY_TABLE,
    SWEEP,
    SWEEP_SCENARIO,
    Sweep,
    is_sweep,
    read_run_summary,
    read_sweep,
)

LONGEST_DIFF = 60


@dataclass(frozen=True, slots=True)
class RunState:
    """What the directory of a run says: the verdict of its summary, or why the run is still to be carried out."""

    verdict: str | None
    why: str | None


class _Hash(msgspec.Struct):
    scenario_hash: str | None = None


class _Failure(msgspec.Struct):
    status: str = "failed"
    text: str = ""


def earlier_sweep(directory: Path, *, resume: bool, force: bool) -> Sweep | None:
    """The sweep that a directory holds and that is gone on with; None where one begins, after `force` emptied it.

    Raises ResultsError if there is one and it is neither resumed nor replaced, and if the directory holds a run.
    """
    if (directory / MANIFEST).exists():
        raise ResultsError(f"{directory} holds a run ({MANIFEST}); choose another directory with -o")
    if resume and is_sweep(directory):
        return read_sweep(directory)
    if is_sweep(directory) and not force:
        raise ResultsError(f"{directory} already holds a sweep; --resume goes on with it, or choose another with -o")
    if not is_sweep(directory) and (directory / POINTS).exists():
        raise ResultsError(f"{directory} has {POINTS}/ but no {SWEEP}; choose another directory with -o")
    return None


def empty(directory: Path) -> None:
    """Remove what a sweep has made; what is not a sweep's is left alone."""
    for name in (REPORT, RUNS_TABLE, SUMMARY_TABLE, CAPACITY, SWEEP_SCENARIO):
        (directory / name).unlink(missing_ok=True)
    if (directory / POINTS).exists():
        shutil.rmtree(directory / POINTS)
    (directory / SWEEP).unlink(missing_ok=True)


def write_sweep(directory: Path, sweep: Sweep, resolved_yaml: str) -> None:
    """Write sweep.resolved.yaml and then sweep.json, which makes the directory that of a sweep."""
    write_atomic(directory / SWEEP_SCENARIO, resolved_yaml.encode())
    write_atomic(directory / SWEEP, msgspec.json.format(msgspec.json.encode(sweep), indent=1) + b"\n")


def refuse_change(directory: Path, resolved_yaml: str) -> ResultsError:
    """What to raise where the scenario is another than that of the sweep in a directory."""
    path = directory / SWEEP_SCENARIO
    try:
        before = path.read_text(encoding="utf-8")
    except OSError:
        before = ""
    except UnicodeDecodeError:
        return ResultsError(f"{path} is damaged: it is not UTF-8 text; sweep again into another directory")
    diff = list(
        difflib.unified_diff(before.splitlines(), resolved_yaml.splitlines(), str(path), "now", lineterm="", n=2)
    )
    if len(diff) > LONGEST_DIFF:
        diff = [*diff[:LONGEST_DIFF], f"... and {len(diff) - LONGEST_DIFF} more lines"]
    return ResultsError(
        "\n".join(
            [
                f"{directory} holds a sweep of another scenario; go on with the scenario as it was, or choose another "
                "directory with -o",
                *diff,
            ]
        )
    )


def run_state(directory: Path, scenario_hash: str) -> RunState:
    """Whether a run is done: its summary can be read and its manifest names the scenario."""
    failure = _decoded(directory / FAILURE, _Failure)
    if failure is not None:
        return RunState(None, failure.status if failure.status == "interrupted" else f"failed: {failure.text}")
    summary = read_run_summary(directory)
    if summary is None:
        damaged = (directory / SUMMARY).exists()
        begun = directory.exists()
        return RunState(None, f"{SUMMARY} is damaged" if damaged else "was not finished" if begun else None)
    manifest = _decoded(directory / MANIFEST, _Hash)
    if manifest is None or manifest.scenario_hash != scenario_hash:
        return RunState(None, f"{MANIFEST} is of another scenario" if manifest else f"{MANIFEST} is damaged")
    return RunState(summary["verdict"], None)


def _decoded(path: Path, kind: type[Any]) -> Any:
    """A JSON file; None if it is not there, an empty one of its kind if it is damaged and a failure."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.MsgspecError:
        return _Failure(text=f"{path.name} is damaged") if kind is _Failure else None
