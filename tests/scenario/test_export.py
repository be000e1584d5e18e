"""`cosim export` as a script sees it: tables with the columns of `cosim.read`, refusals, what is said of a run."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import cosim
from cosim.export.command import export
from cosim.results.store import ResultsError, read_requests
from tests.runs import carry_out, everything
from tests.sweeps import made_sweep


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "cosim", "export", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, timeout=120)


def said(directory: Path, kind: str, output: Path | None = None, *, force: bool = False) -> list[str]:
    words: list[str] = []
    export(directory, kind, output, tier=None, force=force, say=words.append)  # type: ignore[arg-type]
    return words


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return carry_out(everything(), tmp_path_factory.mktemp("everything"))


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_sweep(tmp_path_factory.mktemp("sweep"))


def test_a_run_becomes_tables_with_the_columns_of_read(run: Path, tmp_path: Path) -> None:
    frame = cosim.read(run).requests
    assert said(run, "parquet", tmp_path / "tables") == []
    assert said(run, "csv", tmp_path / "tables") == []
    typed = pq.read_table(tmp_path / "tables" / "requests.parquet")
    assert typed.column_names == list(frame.columns)
    assert str(typed.schema.field("t_sent_ns").type) == "int64"
    assert str(typed.schema.field("chunk_times_ns").type).startswith("list<")
    assert typed.schema.field("ttft_ns").metadata[b"description"] == b"t_first_token - t_sent"
    assert json.loads(typed.schema.metadata[b"cosim"])["verdict"] == "VALID"
    assert typed.column("request_id").to_pylist() == [record.request_id for record in read_requests(run)]
    flat = pd.read_csv(tmp_path / "tables" / "requests.csv")
    assert list(flat.columns) == list(frame.columns)
    for name in flat.select_dtypes("number").columns:
        np.testing.assert_array_equal(
            flat[name].to_numpy(dtype=float, na_value=np.nan), frame[name].to_numpy(dtype=float, na_value=np.nan)
        )
    assert [json.loads(text) for text in flat["chunk_times_ns"]] == [list(times) for times in frame["chunk_times_ns"]]
    assert flat["error"].isna().sum() == frame["error"].isna().sum() > 0


def test_a_sweep_becomes_three_tables(sweep: Path, tmp_path: Path) -> None:
    for kind in ("csv", "parquet"):
        assert said(sweep, kind, tmp_path / kind) == []
        assert sorted(path.name for path in (tmp_path / kind).iterdir()) == [
            f"points.{kind}",
            f"requests.{kind}",
            f"runs.{kind}",
        ]
    frames = cosim.read(sweep)
    for name in ("runs", "points", "requests"):
        columns = list(getattr(frames, name).columns)
        assert list(pd.read_csv(tmp_path / "csv" / f"{name}.csv").columns) == columns
        assert pq.read_table(tmp_path / "parquet" / f"{name}.parquet").column_names == columns


def test_a_run_without_requests_becomes_an_empty_table(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    (copy / "requests.jsonl").write_text("")
    for kind in ("csv", "parquet", "perfetto"):
        said(copy, kind)
    assert len(pd.read_csv(copy / "csv" / "requests.csv")) == 0
    with pytest.raises(ResultsError, match="no request of any tier was counted"):
        said(copy, "vllm-bench")
    assert not list(copy.glob("*.tmp")) + list(copy.glob("vllm-bench*"))


def test_the_command_prints_paths_and_exits_0(run: Path, tmp_path: Path) -> None:
    done = command(run, "--to", "perfetto", "-o", tmp_path / "trace.pftrace")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{tmp_path}/trace.pftrace\n", "")
    again = command(run, "--to", "perfetto", "-o", tmp_path / "trace.pftrace")
    assert again.returncode == 2
    assert "trace.pftrace exists; choose another with -o or pass --force" in again.stderr
    assert command(run, "--to", "perfetto", "-o", tmp_path / "trace.pftrace", "--force").returncode == 0
    unknown = command(run, "--to", "excel")
    assert unknown.returncode == 2
    assert "'csv', 'parquet', 'perfetto', 'vllm-bench'" in unknown.stderr


def test_what_cannot_be_exported_is_refused_and_nothing_is_left(run: Path, sweep: Path, tmp_path: Path) -> None:
    for kind in ("csv", "parquet", "perfetto", "vllm-bench"):
        with pytest.raises(ResultsError, match="holds neither a run nor a sweep"):
            said(tmp_path, kind)
    for kind in ("perfetto", "vllm-bench"):
        with pytest.raises(ResultsError, match=r"is a sweep; .* takes a run of it: .*points/POINT/run=0"):
            said(sweep, kind)
    with pytest.raises(ResultsError, match=r"is a point of a sweep; give one of its runs \(run=0, run=1\)"):
        said(next((sweep / "points").iterdir()), "csv")
    with pytest.raises(ResultsError, match="no such directory"):
        said(run, "perfetto", tmp_path / "nowhere" / "trace")
    with pytest.raises(ResultsError, match="--tier goes with --to vllm-bench"):
        export(run, "csv", tmp_path / "csv", tier="edge", force=False, say=print)
    assert not list(tmp_path.iterdir())


def test_damage_half_way_leaves_no_file(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    lines = (copy / "requests.jsonl").read_text().splitlines(keepends=True)
    lines[50] = lines[50].replace('"t_sent_ns":', '"t_sent_ns":-x', 1)
    (copy / "requests.jsonl").write_text("".join(lines))
    for kind in ("csv", "parquet", "perfetto"):
        with pytest.raises(ResultsError, match=r"requests\.jsonl:51: "):
            said(copy, kind, tmp_path / kind)
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and copy not in path.parents]


def test_an_invalid_or_unfinished_run_is_exported_and_that_is_said(tmp_path: Path) -> None:
    run = carry_out(everything(validity={"min_requests": 10_000}), tmp_path)
    (words,) = said(run, "parquet")
    assert "is INVALID: " in words
    about = json.loads(pq.read_schema(run / "parquet" / "requests.parquet").metadata[b"cosim"])
    assert about["verdict"] == "INVALID"
    assert about["reasons"]
    (run / "summary.json").unlink()
    (words,) = said(run, "csv")
    assert "no readable summary" in words
