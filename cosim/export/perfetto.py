"""A run as a Perfetto trace: what happened to each request, in each engine and on each way, on one axis of time.

Processes: the run, each engine, the network, each client. A request is a slice on its client's track, with its latency
parts within it, one after another. Its upload and the download of its last chunk are slices of the network; front end,
steps and egress are slices of engines. A flow leads from a request through its upload, front end, steps and last egress
to that download. Times are ns since the run's epoch, on the clock BUILTIN_CLOCK_BOOTTIME. ui.perfetto.dev opens it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from cosim.export.counters import write_counters
from cosim.export.trace_file import Lanes, TraceFile, Value
from cosim.results.manifest import mapping
from cosim.results.parts import in_time, part_of
from cosim.results.records import EgressRecord, FrontendRecord, RequestRecord, StepRecord
from cosim.results.report import events, kpi_interval_ns
from cosim.results.store import STEPS, ResultsError, read_manifest, read_requests, read_steps
from cosim.results.summary import load_scenario
from cosim.results.sweep_store import read_run_summary

# What a request waits for before its bytes are on the way.
BEFORE_UPLOAD = ("up_pool", "up_retry")
ON_THE_WAY = ("up_access", "up_core", "up_wan")
ATTEMPT = re.compile(r"-retry\d+$")


def write_trace(directory: Path, file: BinaryIO) -> None:
    """Write the trace of a run. Raises ResultsError for a missing or damaged file.

    Memory grows with the numbers of clients and of requests that were given up, not with the length of the run.
    """
    manifest, scenario = read_manifest(directory), load_scenario(directory)
    tiers = {name: mapping(tier) for name, tier in mapping(mapping(manifest.get("objectives")).get("tiers")).items()}
    trace = TraceFile(file)
    _write_run(trace, directory, manifest, scenario)
    engines = _Engines(trace, directory, [engine for tier in tiers.values() for engine in tier.get("engines") or []])
    network = trace.process("network")
    ways = _Ways(trace, network, {name: tier.get("path") for name, tier in tiers.items()})
    # In this order, so that of events at one instant a cause comes before what it causes.
    clients: dict[str, Lanes] = {}
    for record in read_requests(directory):
        _write_request(trace, clients, record)
        ways.write_upload(record)
    engines.write()
    for record in read_requests(directory):
        ways.write_download(record)
    write_counters(trace, directory, engines.processes, network, kpi_interval_ns(scenario))
    trace.close()


def flow_of(request_id: str) -> int:
    """The number of the flow of a request, or of any further attempt of it."""
    name = ATTEMPT.sub("", request_id)
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest())


def _write_run(trace: TraceFile, directory: Path, manifest: dict[str, Any], scenario: dict[str, Any]) -> None:
    """A slice over the whole run that says what it is worth, and marks where the scenario changed something."""
    summary = read_run_summary(directory) or {}
    end_ns = manifest.get("virtual_ns") or 0
    process = trace.process(f"run {manifest.get('name')}")
    track = trace.track(process, "verdict")
    arguments = {
        "reasons": "; ".join(summary.get("reasons") or []) or None,
        "qualifiers": "; ".join(summary.get("qualifiers") or []) or None,
        "clock": manifest.get("clock"),
        "seed": manifest.get("seed"),
        "scenario_hash": manifest.get("scenario_hash"),
        "cosim": mapping(manifest.get("versions")).get("cosim"),
    }
    trace.begin(track, 0, "run", summary.get("verdict") or "not finished", arguments=arguments)
    trace.end(track, end_ns)
    changes = sorted(event for event in events(scenario) if event[0] <= end_ns)
    timeline = trace.track(process, "timeline") if changes else 0
    for t_ns, what in changes:
        trace.instant(timeline, t_ns, "timeline", what)


def _write_request(trace: TraceFile, clients: dict[str, Lanes], record: RequestRecord) -> None:
    if record.client not in clients:
        process = trace.process(f"client {record.client}")
        clients[record.client] = Lanes(partial(trace.track, process, "requests"))
    track = clients[record.client].take(record.t_sent_ns, record.t_end_ns)
    arguments = {
        "status": record.status,
        "error": record.error,
        "tier": record.tier,
        "engine": record.engine,
        "warmup": record.warmup,
        "attempts": record.attempts,
        "connection": record.connection,
        "t_scheduled_ns": record.t_scheduled_ns,
        "ttft_ns": record.ttft_ns,
        "e2el_ns": record.e2el_ns,
        "prompt_tokens": record.prompt_tokens,
        "output_tokens": record.output_tokens,
        "cached_tokens": record.cached_tokens,
        "bytes_up": record.bytes_up,
        "bytes_down": record.bytes_down,
    }
    flows = [flow_of(record.request_id)]
    t_ns = record.t_sent_ns
    trace.begin(track, t_ns, "request", record.request_id, unique=True, arguments=arguments, flows=flows)
    for part in in_time(record.parts):
        if record.parts[part]:
            trace.begin(track, t_ns, "part", part)
            t_ns += record.parts[part]
            trace.end(track, t_ns)
    trace.end(track, record.t_end_ns)


class _Ways:
    """The ways between each client and each server as tracks of the network."""

    def __init__(self, trace: TraceFile, network: int, paths: dict[str, str | None]) -> None:
        self._trace = trace
        self._network = network
        self._paths = paths
        self._lanes: dict[str, Lanes] = {}

    def write_upload(self, record: RequestRecord) -> None:
        """The last attempt's prompt: from when it had a connection to wait for until it was complete at the server.

        A request that ended before ends it.
        """
        if record.connection == "none":
            return
        start_ns = record.t_sent_ns + sum(record.parts.get(part, 0) for part in BEFORE_UPLOAD)
        end_ns = record.t_sent_ns + _stage_ns(record, "up")
        track = self._track(record, "up", start_ns, end_ns)
        self._begin(track, start_ns, record, "upload", {"connection": record.connection, "bytes": record.bytes_up})
        self._trace.end(track, end_ns)

    def write_download(self, record: RequestRecord) -> None:
        """The answer's last chunk on its way to the client, and a mark where each earlier one arrived there."""
        down_ns = _stage_ns(record, "down")
        was_sent = record.status == "ok" or down_ns > 0
        if record.connection == "none" or not (was_sent or record.chunk_times_ns):
            return
        start_ns, end_ns = record.t_end_ns - down_ns, record.t_end_ns
        arrivals_ns = record.chunk_times_ns[:-1] if record.status == "ok" else record.chunk_times_ns
        track = self._track(record, "down", min([start_ns, *arrivals_ns]), end_ns)
        before = [t_ns for t_ns in arrivals_ns if t_ns <= start_ns or not was_sent]
        self._mark(track, before)
        if was_sent:
            self._begin(track, start_ns, record, "download", {"bytes": record.bytes_down})
            self._mark(track, arrivals_ns[len(before) :])
            self._trace.end(track, end_ns)

    def _track(self, record: RequestRecord, way: str, start_ns: int, end_ns: int) -> int:
        name = f"{record.client} {way} {self._paths.get(record.tier or '') or record.tier}"
        if name not in self._lanes:
            self._lanes[name] = Lanes(partial(self._trace.track, self._network, name))
        return self._lanes[name].take(start_ns, end_ns)

    def _begin(self, track: int, t_ns: int, record: RequestRecord, kind: str, arguments: dict[str, Value]) -> None:
        flows = [flow_of(record.request_id)]
        self._trace.begin(track, t_ns, kind, record.request_id, unique=True, arguments=arguments, flows=flows)

    def _mark(self, track: int, arrivals_ns: list[int]) -> None:
        for t_ns in arrivals_ns:
            self._trace.instant(track, t_ns, "chunk", "chunk")


def _stage_ns(record: RequestRecord, stage: str) -> int:
    return sum(ns for part, ns in record.parts.items() if part_of(part).stage == stage)


class _Engines:
    """Front end, steps and egress of each engine as tracks of it; `processes`: the process of each engine.

    steps.jsonl says when front ends and steps start. The egress is a worker that takes the chunks of a step in their
    order when the step has ended, one at a time (`cosim.serving`), so its times follow. What is left of a request that
    was given up is dropped when the server sees that; no file says when, so it is taken to be as long after the end at
    the client as the prompt's last segment was on its way.
    """

    def __init__(self, trace: TraceFile, directory: Path, known: list[str]) -> None:
        self.processes: dict[str, int] = {}
        self._trace = trace
        self._directory = directory
        self._tracks: dict[tuple[str, str], int] = {}
        self._step: StepRecord | None = None
        self._egress_free_ns: dict[str, int] = {}
        for engine in known:
            self._track(engine, "steps")

    def write(self) -> None:
        """Everything in steps.jsonl."""
        aborts_ns = dict(_aborts(self._directory))
        for line in read_steps(self._directory):
            if isinstance(line, FrontendRecord):
                self._write_frontend(line)
            elif isinstance(line, StepRecord):
                self._write_step(line)
            elif isinstance(line, EgressRecord):
                self._write_egress(line, aborts_ns)

    def _write_frontend(self, line: FrontendRecord) -> None:
        track = self._track(line.engine, "frontend")
        arguments = {
            "prompt_tokens": line.prompt_tokens,
            "encoder_tokens": line.encoder_tokens,
            "images": line.images,
            "source": line.source,
            "refused": line.refused,
        }
        flows = [flow_of(line.request_id)]
        name = line.request_id
        self._trace.begin(track, line.t_start_ns, "frontend", name, unique=True, arguments=arguments, flows=flows)
        self._trace.end(track, line.t_start_ns + line.duration_ns)

    def _write_step(self, line: StepRecord) -> None:
        self._step = line
        signature = line.signature
        arguments = {
            "index": line.index,
            "requests": len(line.scheduled),
            "prefill_tokens": signature.prefill_tokens,
            "decode_sequences": signature.decode_sequences,
            "context_tokens": signature.context_tokens,
            "encoder_tokens": signature.encoder_tokens,
            "images": signature.images,
            "output_tokens": sum(token[0] for token in line.tokens.values()),
            "source": line.source,
            "recorded_source": line.recorded_source,
            "in_flight": line.in_flight,
        }
        kinds = ("prefill" if signature.prefill_tokens else "", "decode" if signature.decode_sequences else "")
        name = " + ".join(filter(None, kinds)) or "nothing left to do"
        track = self._track(line.engine, "steps")
        flows = dict.fromkeys(flow_of(request_id) for request_id in line.scheduled)
        self._trace.begin(track, line.t_start_ns, "step", name, arguments=arguments, flows=flows)
        self._trace.end(track, line.t_start_ns + line.duration_ns)

    def _write_egress(self, line: EgressRecord, aborts_ns: dict[str, int]) -> None:
        step = self._step
        if step is None or (step.engine, step.index) != (line.engine, line.index):
            raise ResultsError(
                f"{self._directory / STEPS}: the egress of step {line.index} of {line.engine} does not follow it; the "
                "file was changed: run the scenario again"
            )
        track = self._track(line.engine, "egress")
        end_ns = max(self._egress_free_ns.get(line.engine, 0), step.t_start_ns + step.duration_ns)
        for request_id, duration_ns in line.durations_ns.items():
            if aborts_ns.get(request_id, end_ns) < end_ns:
                continue
            last = step.tokens[request_id][2] is not None
            flows = [flow_of(request_id)] if last else []
            arguments = {"step": line.index, "source": line.source}
            self._trace.begin(track, end_ns, "egress", request_id, unique=True, arguments=arguments, flows=flows)
            end_ns += duration_ns
            self._trace.end(track, end_ns)
        self._egress_free_ns[line.engine] = end_ns

    def _track(self, engine: str, name: str) -> int:
        if engine not in self.processes:
            self.processes[engine] = self._trace.process(f"engine {engine}")
            # All three at once, so that they stand in the order of a request's way.
            for kind in ("frontend", "steps", "egress"):
                self._tracks[engine, kind] = self._trace.track(self.processes[engine], kind)
        return self._tracks[engine, name]


def _aborts(directory: Path) -> Iterator[tuple[str, int]]:
    """The last attempt of each request that was given up, and about when its server saw that."""
    for record in read_requests(directory):
        if record.status != "ok":
            name = record.request_id if record.attempts < 2 else f"{record.request_id}-retry{record.attempts - 1}"
            yield name, record.t_end_ns + sum(ns for part, ns in record.parts.items() if part.startswith(ON_THE_WAY))
