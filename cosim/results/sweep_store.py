"""The directory of a sweep: sweep.json, and a directory for each run of each point.

* `sweep.json`: what was swept, written before the first run.
* `sweep.resolved.yaml`: the scenario with its `sweep` section and every default.
* `points/SLUG/run=K/`: a run directory; failure.json in it where the run failed.
* `capacity.json`: of a search for a capacity, question and answer; the question alone until it is answered.
* `runs.csv`, `summary.csv`, `report.html`: made from the files above; no wall-clock value is in the CSV files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from cosim.results.run_summary import decoded_summary
from cosim.results.store import FAILURE, SUMMARY, ResultsError

SWEEP = "sweep.json"
SWEEP_SCENARIO = "sweep.resolved.yaml"
POINTS = "points"
RUNS_TABLE = "runs.csv"
SUMMARY_TABLE = "summary.csv"
CAPACITY = "capacity.json"
SCHEMA_VERSION = 1


class SweptPoint(msgspec.Struct, frozen=True):
    """A point as sweep.json has it; `scenario_hashes` are those of its runs, in order of `run=K`."""

    index: int
    slug: str
    values: dict[str, Any]
    scenario_hashes: list[str]


class Sweep(msgspec.Struct, frozen=True):
    """The content of sweep.json.

    `keys`: the swept dotted paths, in the user's order. `seeds`: of run=0, run=1, ... at every point. `paired`: whether
    equal seeds give equal draws at every point, which is so where no step is executed. `shard`: "2/3" where the
    directory holds a part of the points only. `scenario_hash`: of the file with its sweep section, without
    `sweep.time_limit` and the paths in `files`. `files`: by the key that names it, the SHA-256 of each file's content.
    """

    schema_version: int
    name: str
    keys: list[str]
    seeds: list[int]
    paired: bool
    shard: str | None
    scenario_hash: str
    points: list[SweptPoint]
    files: dict[str, str] = {}


def run_directory(sweep_directory: Path, slug: str, number: int) -> Path:
    """Where the run of a point with this number is."""
    return sweep_directory / POINTS / slug / f"run={number}"


def is_sweep(directory: Path) -> bool:
    """Whether a directory is that of a sweep."""
    return (directory / SWEEP).is_file()


def no_results(directory: Path) -> ResultsError:
    """What to raise where a directory holds neither a run nor a sweep."""
    runs = sorted(run.name for run in directory.glob("run=*") if run.is_dir())
    if directory.parent.name == POINTS and runs:
        return ResultsError(
            f"{directory} is a point of a sweep; give one of its runs ({', '.join(runs)}), or the sweep"
        )
    return ResultsError(f"{directory}: holds neither a run nor a sweep; give what -o named, or results/NAME")


def read_sweep(directory: Path) -> Sweep:
    """The content of sweep.json. Raises ResultsError if it is missing or damaged."""
    path = directory / SWEEP
    try:
        return msgspec.json.decode(path.read_bytes(), type=Sweep)
    except OSError as error:
        raise ResultsError(f"{path}: {error.strerror}; give the directory of a sweep") from error
    except msgspec.MsgspecError as error:
        raise ResultsError(f"{path} is damaged: {error}; sweep again into another directory") from error


def read_run_summary(directory: Path) -> dict[str, Any] | None:
    """A run's summary.json; None where the run has failed or not ended, and for a file that no run has written."""
    if (directory / FAILURE).exists():  # A run that was stopped while it wrote its report has both.
        return None
    try:
        return decoded_summary((directory / SUMMARY).read_bytes())
    except (OSError, msgspec.MsgspecError):
        return None
