"""The Perfetto trace of real runs: everything is in it, on named tracks, in order, linked by flows."""

from __future__ import annotations

import shutil
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from cosim.export.perfetto import write_trace
from cosim.network.link_use import WINDOW_NS
from cosim.results.records import StepRecord
from cosim.results.store import ResultsError, read_requests, read_samples, read_steps
from tests.perfetto_trace import ReadTrace
from tests.runs import carry_out, everything
from tests.scenario.test_nr_cell import in_cell
from tests.trace_of_run import trace_of


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return carry_out(everything(), tmp_path_factory.mktemp("everything"))


@pytest.fixture(scope="module")
def trace(run: Path) -> ReadTrace:
    return trace_of(run, run.parent / "trace.pftrace")


def test_the_run_has_what_a_trace_may_stumble_over(run: Path) -> None:
    records = list(read_requests(run))
    assert {record.status for record in records} == {"ok", "timeout", "cancelled"}
    assert {record.connection for record in records} == {"new", "reused", "none"}
    assert any(record.attempts == 0 for record in records)
    near = sorted((r.t_sent_ns, r.t_end_ns) for r in records if r.client == "near-0")
    assert any(before[1] > after[0] for before, after in pairwise(near))
    steps = [line for line in read_steps(run) if isinstance(line, StepRecord)]
    finished = {name for line in steps for name, (_, _, reason) in line.tokens.items() if reason}
    assert {name for line in steps for name in line.tokens} - finished, "given up in the middle of an answer"


def test_slices_that_overlap_lie_in_lanes(trace: ReadTrace) -> None:
    lanes = Counter((found.place, id(found.track)) for found in trace.of("request"))
    places = Counter(place for place, _ in lanes)
    assert places["client near-0", "requests"] > 1
    assert places["client alone-0", "requests"] == 1
    assert not [found for found in trace.slices if found.within and found.category != "request"]


def test_the_trace_says_what_the_run_is_worth_and_what_was_changed(trace: ReadTrace) -> None:
    (verdict,) = trace.of("run")
    assert (verdict.name, verdict.track.process) == ("VALID", "run everything")
    assert verdict.arguments["clock"] == "lockstep"
    changes = [(name, t_ns) for _, category, name, t_ns in trace.instants if category == "timeline"]
    assert changes == [("network.paths.cloud.delay = 40ms", 1_000_000_000)]


def test_counters_hold_the_samples_of_queues_and_links(run: Path, trace: ReadTrace) -> None:
    waiting = [sample for sample in read_samples(run, ["frontend_queue"]) if sample.source == "edge"]
    expected = [pair for sample in waiting for pair in zip(sample.t_ns.tolist(), sample.value.tolist(), strict=True)]
    assert trace.counters["engine edge", "edge frontend_queue"] == expected
    sent = trace.counters["network", "access link_bytes direction=up ue=near-0"]
    samples = [s for s in read_samples(run, ["link_bytes"]) if s.source == "access" and "near-0" in s.labels]
    up = next(s for s in samples if '"up"' in s.labels)
    assert sum(value for _, value in sent) == up.value.sum()
    assert [t_ns for t_ns, value in sent if value] == [(t - 1) // WINDOW_NS * WINDOW_NS for t in up.t_ns.tolist()]
    assert sent[-1] == (up.t_ns[-1], 0)


def test_the_same_run_gives_the_same_bytes_and_a_replay_the_same_slices(
    run: Path, trace: ReadTrace, tmp_path: Path
) -> None:
    again = tmp_path / "again"
    with again.open("wb") as file:
        write_trace(run, file)
    assert again.read_bytes() == (run.parent / "trace.pftrace").read_bytes()
    replayed = trace_of(carry_out(everything(), tmp_path, replay_of=run), tmp_path / "replay")
    for kind in ("request", "part", "upload", "download", "frontend", "step", "egress"):
        spans = [(f.place, f.name, f.start_ns, f.end_ns, f.flows) for f in trace.of(kind)]
        assert spans == [(f.place, f.name, f.start_ns, f.end_ns, f.flows) for f in replayed.of(kind)]
    assert {found.arguments["source"] for found in replayed.of("step")} == {"replayed"}


def test_a_damaged_file_is_named_with_its_line(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    lines = (copy / "steps.jsonl").read_text().splitlines(keepends=True)
    lines[4] = lines[4].replace("{", "[", 1)
    (copy / "steps.jsonl").write_text("".join(lines))
    with (tmp_path / "trace").open("wb") as file, pytest.raises(ResultsError, match=r"steps\.jsonl:5: "):
        write_trace(copy, file)
    first_step = next(place for place, line in enumerate(lines) if '"kind":"step"' in line)
    (copy / "steps.jsonl").write_text("".join([lines[k] for k in range(len(lines)) if k not in (4, first_step)]))
    with (tmp_path / "trace").open("wb") as file, pytest.raises(ResultsError, match="does not follow it"):
        write_trace(copy, file)


@pytest.mark.ns3
def test_a_cell_is_drawn_from_the_grant_to_the_last_token(tmp_path: Path) -> None:
    run = carry_out(in_cell(duration="600ms"), tmp_path)
    trace = trace_of(run, tmp_path / "trace")
    first = trace.of("request")[0]
    names = [part.name for part in first.within]
    expected = ["up_access_grant_wait", "up_access_air", "up_core", "up_wan", "frontend", "prefill", "decode"]
    expected += ["down_wan", "down_core", "down_access_air", "down_access_processing"]
    assert [name for name in names if name in expected] == expected
    assert trace.counters["network", "radio radio_sinr_db direction=up ue=far-0"]
