"""The writer's order, its flushes and what a killed run leaves."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cosim.results import store
from cosim.results.records import EgressRecord, FrontendRecord, PromptRecord, StepsLine
from cosim.results.store import ResultsError, RunWriter, read_manifest, read_requests, read_steps, write_manifest
from tests.results_factory import MS, made_up_run, request, step


def test_requests_of_one_instant_are_written_by_request_id(tmp_path: Path) -> None:
    with RunWriter(tmp_path / "run") as writer:
        for name, t_end_ns in (("b", 1), ("c", 2), ("a", 2), ("b2", 2), ("a2", 3)):
            writer.request(request(name, t_end_ns=t_end_ns))
    assert [r.request_id for r in read_requests(tmp_path / "run")] == ["b", "a", "b2", "c", "a2"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 5), max_size=40).map(sorted), st.randoms(use_true_random=False))
def test_the_file_is_sorted_by_end_and_id(
    tmp_path_factory: pytest.TempPathFactory, ends: list[int], draw: object
) -> None:
    directory = tmp_path_factory.mktemp("run") / "run"
    names = [f"r-{k}" for k in range(len(ends))]
    draw.shuffle(names)  # type: ignore[attr-defined]
    with RunWriter(directory) as writer:
        for name, t_end_ns in zip(names, ends, strict=True):
            writer.request(request(name, t_end_ns=t_end_ns))
    written = [(r.t_end_ns, r.request_id) for r in read_requests(directory)]
    assert written == sorted(zip(ends, names, strict=True))


def test_a_request_from_the_past_is_refused(tmp_path: Path) -> None:
    with RunWriter(tmp_path) as writer:
        writer.request(request("a", t_end_ns=2))
        with pytest.raises(ResultsError, match="request b ended at 1 ns, before a at 2 ns"):
            writer.request(request("b", t_end_ns=1))


def test_records_come_back_as_they_were(tmp_path: Path) -> None:
    lines: list[StepsLine] = [
        PromptRecord("r-0", 40_000),
        FrontendRecord("edge", "r-0", 5, 4 * MS, "executed", 1, 2, 300, 256, 1),
        step(),
        EgressRecord("edge", 0, {"r-0": 1}),
    ]
    with RunWriter(tmp_path) as writer:
        for line in lines:
            writer.step(line)
        writer.request(request())
    assert list(read_steps(tmp_path)) == lines
    assert list(read_requests(tmp_path)) == [request()]
    kinds = [json.loads(line)["kind"] for line in (tmp_path / "steps.jsonl").read_text().splitlines()]
    assert kinds == ["prompt", "frontend", "step", "egress"]


def test_a_torn_last_line_is_skipped(tmp_path: Path) -> None:
    with RunWriter(tmp_path) as writer:
        for k in range(3):
            writer.request(request(f"r-{k}", t_end_ns=k))
            writer.step(step(index=k))
    for name in ("requests.jsonl", "steps.jsonl"):
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[:-7])
    assert [r.request_id for r in read_requests(tmp_path)] == ["r-0", "r-1"]
    assert len(list(read_steps(tmp_path))) == 2


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(st.data())
def test_wherever_a_file_is_cut_whole_lines_remain(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    directory = tmp_path_factory.mktemp("run")
    with RunWriter(directory) as writer:
        for k in range(3):
            writer.request(request(f"r-{k}", t_end_ns=k, client="caméra"))
    whole = (directory / "requests.jsonl").read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    (directory / "requests.jsonl").write_bytes(whole[:cut])
    remaining = [r.request_id for r in read_requests(directory)]
    lines = whole[:cut].count(b"\n")
    # Cut just before a newline, the last line is whole nevertheless.
    assert len(remaining) == lines + (whole[cut : cut + 1] == b"\n")


def test_damage_elsewhere_names_file_and_line(tmp_path: Path) -> None:
    with RunWriter(tmp_path) as writer:
        for k in range(3):
            writer.request(request(f"r-{k}", t_end_ns=k))
    path = tmp_path / "requests.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b'{"request_id": 3}\n' + lines[2])
    with pytest.raises(ResultsError, match=r"requests\.jsonl:2: .*request_id"):
        list(read_requests(tmp_path))


def test_missing_files_are_named(tmp_path: Path) -> None:
    for reader, name in ((read_requests, "requests.jsonl"), (read_steps, "steps.jsonl")):
        with pytest.raises(ResultsError, match=name):
            list(reader(tmp_path))
    with pytest.raises(ResultsError, match=r"manifest\.json"):
        read_manifest(tmp_path)
    (tmp_path / "manifest.json").write_text("[1]")
    with pytest.raises(ResultsError, match="holds no JSON object"):
        read_manifest(tmp_path)


def test_a_directory_with_a_run_is_not_written_to(tmp_path: Path) -> None:
    RunWriter(tmp_path).close()
    with pytest.raises(ResultsError, match="already holds a run"):
        RunWriter(tmp_path)


def test_lines_reach_the_file_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 0.0
    monkeypatch.setattr(store, "monotonic_s", lambda: now_s)
    writer = RunWriter(tmp_path)
    writer.request(request("a", t_end_ns=1))
    writer.request(request("b", t_end_ns=2))
    writer.step(step())
    assert (tmp_path / "requests.jsonl").stat().st_size == 0
    now_s = 0.6
    writer.gauge(0, "edge", "m", {}, 1.0)
    # b is of the latest instant, where another request may still end and sort before it.
    assert [r.request_id for r in read_requests(tmp_path)] == ["a"]
    assert len(list(read_steps(tmp_path))) == 1
    for k in range(store.FLUSH_LINES):
        writer.step(step(index=k))
    assert len(list(read_steps(tmp_path))) == 1 + store.FLUSH_LINES
    writer.close()
    writer.close()
    assert [r.request_id for r in read_requests(tmp_path)] == ["a", "b"]


def test_the_manifest_is_replaced_whole(tmp_path: Path) -> None:
    with RunWriter(tmp_path) as writer:
        write_manifest(writer.directory, {"status": "running"})
        write_manifest(writer.directory, {"status": "finished", "seed": 1})
    assert read_manifest(tmp_path) == {"status": "finished", "seed": 1}
    assert not list(tmp_path.glob("*.tmp"))
    assert (tmp_path / "logs").is_dir()


def test_same_records_same_bytes(tmp_path: Path) -> None:
    first, second = made_up_run(tmp_path / "a", seconds=5), made_up_run(tmp_path / "b", seconds=5)
    for name in ("requests.jsonl", "steps.jsonl", "manifest.json"):
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_importing_the_store_loads_nothing_heavy() -> None:
    code = (
        "import sys, cosim.results.store, cosim.results.summary, cosim.results.report, cosim.results.terminal;"
        "print([m for m in ('numpy', 'scipy', 'pyarrow', 'jinja2', 'rich') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert shown.stdout.strip() == "[]"
