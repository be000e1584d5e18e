"""What the Perfetto trace of a run must hold, compared with the run's own files."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

from cosim.export.perfetto import flow_of, write_trace
from cosim.results.parts import in_time, part_of
from cosim.results.records import FrontendRecord, RequestRecord, StepRecord, StepsLine
from cosim.results.store import read_requests, read_samples, read_steps
from tests.perfetto_trace import ReadTrace, Slice, read_trace


def trace_of(directory: Path, file: Path) -> ReadTrace:
    """The trace of a run, which holds all that its files do."""
    with file.open("wb") as out:
        write_trace(directory, out)
    trace = read_trace(file)
    requests = list(read_requests(directory))
    lines = list(read_steps(directory))
    check_requests(trace, requests)
    check_transfers(trace, requests)
    check_engines(trace, lines)
    steps = [line for line in lines if isinstance(line, StepRecord)]
    check_flows(trace, [record for record in requests if record.status == "ok"], steps)
    check_egress_ends(trace, requests)
    samples = list(read_samples(directory, None))
    assert sum(len(s.t_ns) for s in samples) <= sum(len(values) for values in trace.counters.values())
    return trace


def by_name(slices: list[Slice]) -> dict[str, Slice]:
    named = {found.name: found for found in slices}
    assert len(named) == len(slices)
    return named


def check_requests(trace: ReadTrace, requests: list[RequestRecord]) -> None:
    """Each request is a slice of its client with its parts in it, one after another, without a gap."""
    found = by_name(trace.of("request"))
    assert found.keys() == {record.request_id for record in requests}
    for record in requests:
        drawn = found[record.request_id]
        assert drawn.place == (f"client {record.client}", "requests")
        assert (drawn.start_ns, drawn.end_ns) == (record.t_sent_ns, record.t_end_ns)
        assert drawn.arguments["status"] == record.status
        parts = [(part.name, part.end_ns - part.start_ns) for part in drawn.within]
        assert parts == [(name, record.parts[name]) for name in in_time(record.parts) if record.parts[name]]
        assert sum(ns for _, ns in parts) == record.e2el_ns
        if drawn.within:
            assert (drawn.within[0].start_ns, drawn.within[-1].end_ns) == (record.t_sent_ns, record.t_end_ns)
        assert all(before.end_ns == after.start_ns for before, after in pairwise(drawn.within))
    assert len(trace.of("part")) == sum(len(drawn.within) for drawn in found.values())


def check_transfers(trace: ReadTrace, requests: list[RequestRecord]) -> None:
    """What crossed the network is there, on tracks of the network, for as long as the parts say."""
    up, down = by_name(trace.of("upload")), by_name(trace.of("download"))
    assert {found.track.process for found in (*up.values(), *down.values())} <= {"network"}
    crossed = [record for record in requests if record.connection != "none"]
    assert up.keys() == {record.request_id for record in crossed}
    assert down.keys() >= {record.request_id for record in crossed if record.status == "ok"}
    for record in crossed:
        on_the_way = {"up": 0, "engine": 0, "down": 0}
        for part, ns in record.parts.items():
            on_the_way[part_of(part).stage] += ns if part not in ("up_pool", "up_retry") else 0
        upload = up[record.request_id]
        assert upload.end_ns - upload.start_ns == on_the_way["up"]
        assert upload.track.name.startswith(f"{record.client} up ")
        if record.request_id in down:
            download = down[record.request_id]
            assert download.end_ns == record.t_end_ns
            assert download.end_ns - download.start_ns == on_the_way["down"]
    arrived = sum(len(record.chunk_times_ns) - (record.status == "ok") for record in crossed)
    assert sum(category == "chunk" for _, category, _, _ in trace.instants) == arrived


def check_engines(trace: ReadTrace, lines: list[StepsLine]) -> None:
    """Each front end and step is on its engine's track at its time."""
    steps = {(found.track.process, found.arguments["index"]): found for found in trace.of("step")}
    written = [line for line in lines if isinstance(line, StepRecord)]
    assert len(steps) == len(trace.of("step")) == len(written)
    for line in written:
        found = steps[f"engine {line.engine}", line.index]
        assert found.place == (f"engine {line.engine}", "steps")
        assert (found.start_ns, found.end_ns) == (line.t_start_ns, line.t_start_ns + line.duration_ns)
        assert found.arguments["prefill_tokens"] == line.signature.prefill_tokens
        assert found.arguments["source"] == line.source
    fronts = by_name(trace.of("frontend"))
    rendered = [line for line in lines if isinstance(line, FrontendRecord)]
    assert fronts.keys() == {line.request_id for line in rendered}
    for front in rendered:
        found = fronts[front.request_id]
        assert found.place == (f"engine {front.engine}", "frontend")
        assert (found.start_ns, found.end_ns) == (front.t_start_ns, front.t_start_ns + front.duration_ns)


def check_flows(trace: ReadTrace, answered: list[RequestRecord], steps: list[StepRecord]) -> None:
    """From each request that was answered a flow leads through all that served it, in time."""
    served: dict[str, list[tuple[str, int]]] = {record.request_id: [] for record in answered}
    for line in steps:
        for name in line.scheduled:
            if name in served:
                served[name].append((f"engine {line.engine}", line.index))
    for record in answered:
        flow = trace.flow(flow_of(record.request_id))
        crossed = record.connection != "none"
        kinds = ["request", *(["upload"] if crossed else []), "frontend"]
        kinds += ["step"] * len(served[record.request_id]) + ["egress", *(["download"] if crossed else [])]
        if record.attempts == 1:
            assert [found.category for found in flow] == kinds
            passed = [(f.track.process, f.arguments["index"]) for f in flow if f.category == "step"]
            assert passed == served[record.request_id]
            assert all(found.name == record.request_id for found in flow if found.category != "step")


def check_egress_ends(trace: ReadTrace, requests: list[RequestRecord]) -> None:
    """The last egress of an answered request ends where its parts say, though no file says when an egress begins."""
    last = {found.name: found for found in trace.of("egress")}
    chunks = Counter(found.name for found in trace.of("egress"))
    for record in requests:
        if record.status == "ok" and record.attempts == 1:
            assert chunks[record.request_id] == len(record.chunk_times_ns)
            down_ns = sum(ns for part, ns in record.parts.items() if part_of(part).stage == "down")
            assert last[record.request_id].end_ns == record.t_end_ns - down_ns, record.request_id
