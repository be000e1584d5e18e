"""`cosim export`: a run or a sweep in the formats of other tools."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from cosim.results.store import REQUESTS, ResultsError
from cosim.results.sweep_store import POINTS, is_sweep, no_results, read_run_summary

Format = Literal["csv", "parquet", "perfetto", "vllm-bench"]


def export(
    directory: Path, kind: Format, output: Path | None, *, tier: str | None, force: bool, say: Callable[[str], None]
) -> list[Path]:
    """Write the files of a format and return their paths; `say` is told what must be known of the run.

    csv and parquet: a folder of tables, by default `csv` or `parquet` in the directory. perfetto and vllm-bench: a
    file, by default `trace.pftrace` or `vllm-bench.json` (`vllm-bench-TIER.json`) in it. Raises ResultsError for a
    directory that holds no run, damaged files, and files that exist (without `force`), and OSError for what cannot be
    written.
    """
    if tier is not None and kind != "vllm-bench":
        raise ResultsError(f"--tier goes with --to vllm-bench; --to {kind} exports all tiers")
    if kind == "csv" or kind == "parquet":
        return _export_tables(directory, kind, output or directory / kind, force=force, say=say)
    if is_sweep(directory):
        raise ResultsError(f"{directory}: is a sweep; --to {kind} takes a run of it: {directory / POINTS}/POINT/run=0")
    _check_run(directory)
    if kind == "perfetto":
        path = output or directory / "trace.pftrace"
    else:
        path = output or directory / ("vllm-bench.json" if tier is None else f"vllm-bench-{tier}.json")
    _about(directory, say)
    with _written(path, force=force) as temporary:
        if kind == "perfetto":
            from cosim.export.perfetto import write_trace

            with temporary.open("wb") as file:
                write_trace(directory, file)
        else:
            from cosim.export.vllm_bench import vllm_bench

            temporary.write_text(json.dumps(vllm_bench(directory, tier)), encoding="utf-8")
    return [path]


def _export_tables(
    directory: Path, kind: Literal["csv", "parquet"], folder: Path, *, force: bool, say: Callable[[str], None]
) -> list[Path]:
    if not is_sweep(directory):
        _check_run(directory)
    from cosim.export.tables import tables_of, write_table

    about = {} if is_sweep(directory) else _about(directory, say)
    tables = tables_of(directory)
    paths = {name: folder / f"{name}.{kind}" for name in tables}
    for path in paths.values():
        _check_free(path, force=force)
    folder.mkdir(parents=True, exist_ok=True)
    for name, path in paths.items():
        with _written(path, force=force) as temporary:
            write_table(tables[name], temporary, kind, about)
    return list(paths.values())


def _check_run(directory: Path) -> None:
    if not (directory / REQUESTS).is_file():
        raise no_results(directory)


def _about(directory: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """What must be known of a run, said where it is no valid one."""
    summary = read_run_summary(directory)
    if summary is None:
        say(f"{directory} has no readable summary: what was recorded of it is exported")
        return {"verdict": "not finished"}
    reasons = list(summary.get("reasons") or [])
    if summary.get("verdict") != "VALID":
        say(f"{directory} is {summary.get('verdict')}: {'; '.join(reasons)}")
    return {key: summary.get(key) for key in ("name", "seed", "clock", "verdict", "reasons", "qualifiers")}


def _check_free(path: Path, *, force: bool) -> None:
    if path.exists() and not force:
        raise ResultsError(f"{path} exists; choose another with -o or pass --force")


@contextmanager
def _written(path: Path, *, force: bool) -> Iterator[Path]:
    """A temporary file that takes the place of `path` when all of it is written, and goes when it is not."""
    _check_free(path, force=force)
    if not path.parent.is_dir():
        raise ResultsError(f"{path.parent}: no such directory; make it, or choose another with -o")
    temporary = path.with_name(path.name + ".tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
