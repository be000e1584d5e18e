"""`cosim.read`: the columns of each table, their types, what is read when, damaged files."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import cosim
from cosim.results import columns
from cosim.results.columns import EGRESS_COLUMNS, FRONTEND_COLUMNS, STEP_COLUMNS, Column
from cosim.results.frames import RunFrames, SweepFrames
from cosim.results.records import RequestRecord, StepRecord
from cosim.results.store import ResultsError, read_requests, read_steps
from cosim.results.summary import write_summary
from tests.results_factory import MS, S, made_up_run, request, write_run
from tests.sweeps import POINTS, SEEDS, made_sweep


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = made_up_run(tmp_path_factory.mktemp("made-up") / "run", seconds=5)
    write_summary(directory)
    return directory


@pytest.fixture(scope="module")
def run(directory: Path) -> RunFrames:
    frames = cosim.read(directory)
    assert isinstance(frames, RunFrames)
    return frames


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> SweepFrames:
    frames = cosim.read(str(made_sweep(tmp_path_factory.mktemp("sweep") / "made")))
    assert isinstance(frames, SweepFrames)
    return frames


def test_importing_cosim_loads_nothing_heavy() -> None:
    program = "import sys, cosim; print(*sorted({'pandas', 'numpy', 'pyarrow', 'msgspec'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"


def test_requests_are_those_of_the_file(run: RunFrames, directory: Path) -> None:
    records = list(read_requests(directory))
    frame = run.requests
    assert len(frame) == len(records)
    for row, record in zip(frame.to_dict("records"), records, strict=True):
        for name in RequestRecord.__struct_fields__:
            if name == "parts":
                assert {str(k)[6:-3]: v for k, v in row.items() if str(k).startswith("parts.")} == record.parts
            elif name == "chunk_times_ns":
                assert row[name].tolist() == record.chunk_times_ns
            else:
                assert (None if pd.isna(row[name]) else row[name]) == getattr(record, name)
    assert (frame.filter(like="parts.").sum(axis=1) == frame.e2el_ns).all()


def test_a_column_has_one_type_whether_or_not_values_are_missing(run: RunFrames, tmp_path: Path) -> None:
    one = cosim.read(write_run(tmp_path / "one", [request()]))
    none = cosim.read(write_run(tmp_path / "none", []))
    assert isinstance(one, RunFrames)
    assert isinstance(none, RunFrames)
    names = [column.name for column in columns.request_columns([])]
    for frame in (run.requests, one.requests):
        assert (frame.dtypes[names] == none.requests.dtypes[names]).all()
    kinds = {name: str(kind) for name, kind in none.requests.dtypes.items()}
    assert (kinds["t_sent_ns"], kinds["ttft_ns"], kinds["tier"], kinds["error"]) == (
        *("int64", "Int64", "string", "string"),
    )
    assert (kinds["warmup"], kinds["cost"]) == ("bool", "float64")


def test_a_part_that_some_requests_lack_is_0_there(tmp_path: Path) -> None:
    records = [
        request("a", parts={"up_access_air": 100 * MS, "down_access_air": 50 * MS, "down_wan": 150 * MS}),
        request("b", parts={"prefill": 300 * MS}),
    ]
    frame = cosim.read(write_run(tmp_path / "run", records)).requests
    assert list(frame.filter(like="parts.")) == [
        *("parts.up_access_air_ns", "parts.prefill_ns", "parts.down_wan_ns", "parts.down_access_air_ns"),
    ]
    assert frame["parts.prefill_ns"].tolist() == [0, 300 * MS]


def test_steps_front_ends_and_egress_are_those_of_the_file(run: RunFrames, directory: Path) -> None:
    steps = [line for line in read_steps(directory) if isinstance(line, StepRecord)]
    assert run.steps.duration_ns.tolist() == [step.duration_ns for step in steps]
    assert run.steps.prefill_tokens.tolist() == [step.signature.prefill_tokens for step in steps]
    assert [list(names) for names in run.steps.request_ids] == [list(step.scheduled) for step in steps]
    assert run.steps.cpu_wait_ns.tolist() == [50_000] * len(steps)
    assert (run.frontends.duration_ns == 4 * MS).all()
    assert set(run.frontends.request_id) == set(run.requests.request_id)
    assert len(run.egress) == len(steps)
    assert run.egress.merge(run.steps, on=["engine", "index"]).shape[0] == len(steps)


def test_samples_and_tables_of_the_summary(run: RunFrames) -> None:
    running = run.timeseries.query("metric == 'num_requests_running'")
    assert running.t_ns.tolist() == [second * S for second in range(5)]
    assert running.value.tolist() == [0, 1, 2, 0, 1]
    assert [str(kind) for kind in run.timeseries.dtypes] == ["int64", *["category"] * 3, "float64"]
    assert run.sla.groupby("tier").size().to_dict() == {"cloud": 2, "device": 2, "edge": 2}
    assert run.tiers.tier.tolist() == ["device", "edge", "cloud"]
    assert run.tiers["parts_ms.prefill"].notna().all()
    assert run.summary["seed"] == run.manifest["seed"] == run.scenario["seed"] == 1


def test_a_run_without_samples_has_an_empty_table_of_them(tmp_path: Path) -> None:
    frames = cosim.read(write_run(tmp_path / "run", [request()]))
    assert isinstance(frames, RunFrames)
    assert list(frames.timeseries.columns) == ["t_ns", "source", "metric", "labels", "value"]
    assert frames.steps.empty


def test_only_what_is_asked_for_is_read_and_only_once(tmp_path: Path) -> None:
    directory = write_run(tmp_path / "run", [request()])
    frames = cosim.read(directory)
    (directory / "steps.jsonl").write_text("damaged\n")
    first = frames.requests
    (directory / "requests.jsonl").unlink()
    assert frames.requests is first
    assert isinstance(frames, RunFrames)
    with pytest.raises(ResultsError, match=r"steps\.jsonl:1: "):
        _ = frames.steps


def test_a_sweep_has_its_tables_its_runs_and_all_requests(sweep: SweepFrames) -> None:
    keys = ["network.paths.edge.delay", "clients.0.count"]
    for frame in (sweep.runs, sweep.points, sweep.requests):
        assert list(frame.columns[:3]) in (["point", *keys], ["point", "run", "seed"])
        assert frame[keys[1]].dtype == np.int64
        assert set(frame[keys[0]]) == {"5ms", "30ms"}
    assert sweep.runs[["point", "run"]].drop_duplicates().shape[0] == len(POINTS) * len(SEEDS)
    for point in POINTS:
        for number, seed in enumerate(SEEDS):
            some = sweep.requests.query("point == @point and run == @number")
            alone = sweep.run(point, number).requests
            assert some.request_id.tolist() == alone.request_id.tolist()
            assert some.e2el_ns.tolist() == alone.e2el_ns.tolist()
            assert set(some.seed) == {seed}
    ms = sweep.requests.groupby("point").e2el_ns.mean() / MS
    assert ms["delay=30ms,count=2"] > ms["delay=5ms,count=1"] + 45
    assert sweep.scenario == {"name": "made", "duration": "60s"}


def test_a_run_that_is_not_done_is_left_out_of_a_sweeps_requests(tmp_path: Path) -> None:
    directory = made_sweep(tmp_path / "made")
    (directory / "points" / "delay=5ms,count=1" / "run=1" / "summary.json").unlink()
    done = cosim.read(directory).requests[["point", "run"]].drop_duplicates().to_numpy().tolist()
    assert done == [["delay=5ms,count=1", 0], ["delay=30ms,count=2", 0], ["delay=30ms,count=2", 1]]


def test_a_run_that_was_not_carried_out_is_named(tmp_path: Path) -> None:
    directory = made_sweep(tmp_path / "made")
    shutil.rmtree(directory / "points" / "delay=5ms,count=1" / "run=1")
    frames = cosim.read(directory)
    assert isinstance(frames, SweepFrames)
    with pytest.raises(ResultsError, match="run 1 of delay=5ms,count=1 was not carried out; `cosim sweep --resume`"):
        frames.run("delay=5ms,count=1", 1)


def test_what_is_not_there_is_named(sweep: SweepFrames, tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match="holds neither a run nor a sweep"):
        cosim.read(tmp_path)
    with pytest.raises(ResultsError, match="no point 'delay=5s'; its points: delay=5ms,count=1, delay=30ms,count=2"):
        sweep.run("delay=5s")
    with pytest.raises(ResultsError, match="no run 2; each point has runs 0 to 1"):
        sweep.run("delay=5ms,count=1", 2)
    with pytest.raises(ResultsError, match=r"count=1 is a point of a sweep; give one of its runs \(run=0, run=1\)"):
        cosim.read(sweep.directory / "points" / "delay=5ms,count=1")
    directory = write_run(tmp_path / "run", [request()])
    frames = cosim.read(directory)
    assert isinstance(frames, RunFrames)
    with pytest.raises(ResultsError, match=r"summary\.json is missing: the run did not finish, or `cosim report"):
        _ = frames.summary


def test_damage_is_named_with_its_line(directory: Path, tmp_path: Path) -> None:
    copy = write_run(tmp_path / "run", [request("a"), request("b", t_end_ns=S)])
    lines = (copy / "requests.jsonl").read_text().splitlines(keepends=True)
    (copy / "requests.jsonl").write_text(lines[0] + lines[1].replace('"bytes_up":1000', '"bytes_up":"many"'))
    with pytest.raises(ResultsError, match=r"requests\.jsonl:2: .*bytes_up"):
        _ = cosim.read(copy).requests
    (copy / "summary.json").write_text('{\n"sla": [,]}')
    frames = cosim.read(copy)
    assert isinstance(frames, RunFrames)
    with pytest.raises(ResultsError, match=r"summary\.json:2: not JSON"):
        _ = frames.sla
    (copy / "summary.json").write_text(json.dumps([]))
    with pytest.raises(ResultsError, match=r"summary\.json:1: holds no JSON object"):
        _ = frames.tiers


def test_every_column_says_what_it_holds() -> None:
    requests = columns.request_columns(["up_wan"])
    tables: tuple[tuple[Column[Any], ...], ...] = (requests, STEP_COLUMNS, FRONTEND_COLUMNS, EGRESS_COLUMNS)
    for schema in map(columns.schema_of, tables):
        assert all(field.metadata[b"description"] for field in schema)
    assert {column.name for column in columns.request_columns([])} == {*RequestRecord.__struct_fields__} - {"parts"}
