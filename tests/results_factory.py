"""Run directories of made-up records for the tests of results."""

from __future__ import annotations

import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from cosim.bridge.engine_messages import Conditions, Signature
from cosim.results.radio_series import METRICS as RADIO_METRICS
from cosim.results.records import (
    EgressRecord,
    FrontendRecord,
    PromptRecord,
    RequestRecord,
    Status,
    StepRecord,
    StepsLine,
)
from cosim.results.store import SCENARIO, RunWriter, write_manifest

MS = 1_000_000
S = 1_000_000_000

SCENARIO_TEXT = """\
schema_version: 1
name: made-up
seed: 1
clock:
  kind: lockstep
duration: 60s
warmup: 2s
tiers:
  device: {engine: {kind: stub}}
  edge: {path: edge, engine: {kind: stub}}
  cloud: {path: cloud, engine: {kind: stub}}
clients:
- {name: cam-device, kind: frames, tier: device, period: 500ms}
- {name: cam-edge, kind: frames, tier: edge, period: 500ms}
- {name: cam-cloud, kind: frames, tier: cloud, period: 500ms}
sla:
  premium: {e2el: 500ms}
  medium: {e2el: 1s}
"""


def request(request_id: str = "r-0", **changes: Any) -> RequestRecord:
    """An ok request of tier edge: sent at 0, first token at 200 ms, three tokens, end at 300 ms."""
    record = RequestRecord(
        request_id=request_id,
        client="cam-edge-0",
        session=None,
        turn=None,
        tier="edge",
        engine="edge",
        model="m",
        status="ok",
        error=None,
        warmup=False,
        attempts=1,
        t_scheduled_ns=0,
        t_sent_ns=0,
        t_first_token_ns=200 * MS,
        t_end_ns=300 * MS,
        ttft_ns=200 * MS,
        e2el_ns=300 * MS,
        e2el_scheduled_ns=300 * MS,
        tpot_ns=50 * MS,
        chunk_times_ns=[200 * MS, 240 * MS, 300 * MS],
        prompt_tokens=10,
        output_tokens=3,
        cached_tokens=0,
        bytes_up=1000,
        bytes_down=300,
        connection="reused",
        parts={"up_access": 50 * MS, "queue": 10 * MS, "prefill": 120 * MS, "decode": 100 * MS, "down_access": 20 * MS},
    )
    return msgspec.structs.replace(record, **changes)


def ended(request_id: str, t_sent_ns: int, e2el_ns: int, status: Status = "ok", **changes: Any) -> RequestRecord:
    """A request whose parts, first token and chunks follow from when it was sent and how long it took."""
    ok = status == "ok"
    access, prefill = e2el_ns // 10, e2el_ns // 2
    t_first = t_sent_ns + access + prefill
    parts = {
        "up_pool": 0,
        "up_retry": 0,
        "up_connect": 0,
        "up_transport": e2el_ns // 50,
        "up_access": access,
        "up_core": e2el_ns // 100,
        "up_wan": e2el_ns // 25,
        "frontend": e2el_ns // 40,
        "queue": e2el_ns // 30,
        "prefill": prefill if ok else 0,
        "decode": 0,
        "egress": e2el_ns // 200 if ok else 0,
        "down_transport": 0,
        "down_access": e2el_ns // 60 if ok else 0,
        "down_core": e2el_ns // 100 if ok else 0,
        "down_wan": e2el_ns // 25 if ok else 0,
    }
    parts["decode" if ok else "queue"] += e2el_ns - sum(parts.values())
    values: dict[str, Any] = {
        "status": status,
        "t_scheduled_ns": t_sent_ns,
        "t_sent_ns": t_sent_ns,
        "t_first_token_ns": t_first if ok else None,
        "t_end_ns": t_sent_ns + e2el_ns,
        "ttft_ns": t_first - t_sent_ns if ok else None,
        "e2el_ns": e2el_ns,
        "e2el_scheduled_ns": e2el_ns,
        "tpot_ns": (e2el_ns - (t_first - t_sent_ns)) // 2 if ok else None,
        "chunk_times_ns": [t_first, t_first + e2el_ns // 10, t_sent_ns + e2el_ns] if ok else [],
        "output_tokens": 3 if ok else 0,
        "error": "connection reset" if status == "error" else None,
        "parts": parts,
    }
    return request(request_id, **(values | changes))


def step(engine: str = "edge", index: int = 0, **changes: Any) -> StepRecord:
    """An executed decode step of 10 ms at 0."""
    record = StepRecord(
        engine=engine,
        index=index,
        t_start_ns=0,
        duration_ns=10 * MS,
        source="executed",
        wall_start_ns=1,
        wall_end_ns=10 * MS + 1,
        signature=Signature(prefill_tokens=0, decode_sequences=1, context_tokens=20, encoder_tokens=0, images=0),
        tokens={"r-0": (1, 90, None)},
        scheduled={"r-0": 1},
        cached_tokens={},
        conditions=Conditions(cpu_ns=10 * MS, cpu_wait_ns=0),
    )
    return msgspec.structs.replace(record, **changes)


def manifest(**changes: Any) -> dict[str, Any]:
    """The manifest of a finished run in lockstep; `issued` must be given to fit the requests."""
    tier = {"sharing": "isolated", "time_scale": 1.0, "kind": "stub"}
    content: dict[str, Any] = {
        "schema_version": 1,
        "name": "made-up",
        "command_line": ["cosim", "run", "made-up.yaml"],
        "started": "2026-01-01T00:00:00.000+00:00",
        "ended": "2026-01-01T00:00:30.000+00:00",
        "status": "finished",
        "clock": "lockstep",
        "seed": 1,
        "scenario_hash": "abc",
        "epoch": "2026-01-01T00:00:00.000+00:00",
        "virtual_ns": 63 * S,
        "wall_ns": 30 * S,
        "wall_ns_by_part": {"startup": 5 * S, "engine": 20 * S, "network": 4 * S, "conductor": 1 * S},
        "versions": {"cosim": "0.1.0", "python": "3.11.7"},
        "machine": {"cpu": "a processor", "cores": 2},
        "machine_use": {"cpus": 2, "wall_ns": 20 * S, "busy_ns": 19 * S, "own_ns": 18 * S, "stolen_ns": 0},
        "children": {"engine:cpu": {"max_num_seqs": 8}},
        "invariants": {"checked": {"ends_once": 10}, "broken": []},
        "connections": [
            {"connection": 1, "up": True, "sent": 1000, "delivered": 900, "lost": 0, "discarded": 100},
            {"connection": 1, "up": False, "sent": 300, "delivered": 300, "lost": 0, "discarded": 0},
        ],
        "links": [],
        "issued": 0,
        "objectives": {
            "sla": {"premium": 500 * MS, "medium": 1 * S},
            "validity": {
                "min_requests": 3,
                "max_error_share": 0.25,
                "max_cpu_wait_share": 0.1,
                "max_other_load": 0.25,
                "max_step_drift": 0.5,
            },
            "tiers": {
                "device": tier | {"engines": ["device.0"], "path": None},
                "edge": tier | {"engines": ["edge"], "path": "edge"},
                "cloud": tier | {"engines": ["cloud"], "path": "cloud", "time_scale": 0.5},
            },
            "loop": {"cam-device": "closed", "cam-edge": "open", "cam-cloud": "open"},
        },
        "git": {"sha": "0" * 40, "dirty": False},
        "replay_of": None,
    }
    return content | changes


def write_run(
    directory: Path,
    requests: list[RequestRecord],
    steps: Iterable[StepsLine] = (),
    scenario: str = SCENARIO_TEXT,
    **changes: Any,
) -> Path:
    """A run directory of these records; `changes` go to the manifest, `issued` fits unless it is given."""
    with RunWriter(directory) as writer:
        for record in sorted(requests, key=lambda r: r.t_end_ns):
            writer.request(record)
        for line in steps:
            writer.step(line)
        write_manifest(directory, manifest(**({"issued": len(requests)} | changes)))
    (directory / SCENARIO).write_text(scenario, encoding="utf-8")
    return directory


def made_up_run(directory: Path, seconds: int = 60, seed: int = 1) -> Path:
    """A run of three tiers at two requests per second each, with steps, gauges and some requests that fail."""
    draw = random.Random(seed)
    means = {"device": 700, "edge": 380, "cloud": 460}
    wall_ns = 1
    records: list[RequestRecord] = []
    lines: list[PromptRecord | FrontendRecord | StepRecord | EgressRecord] = []
    for tier, mean in means.items():
        engine = "device.0" if tier == "device" else tier
        index = 0
        for k in range(2 * (seconds + 2)):
            sent_ns = k * S // 2 + draw.randrange(5 * MS)
            status: Status = draw.choices(("ok", "timeout", "error", "cancelled"), (96, 2, 1, 1))[0]
            e2el_ns = int(draw.gauss(mean, mean / 6) * MS) if status != "timeout" else 2 * S
            record = ended(
                f"cam-{tier}-{k:05d}", sent_ns, e2el_ns, status, tier=tier, engine=engine, warmup=sent_ns < 2 * S
            )
            records.append(record)
            lines.append(PromptRecord(record.request_id, 40_000))
            t_ns = sent_ns + e2el_ns // 4
            lines.append(
                FrontendRecord(
                    engine, record.request_id, t_ns - 4 * MS, 4 * MS, "executed", wall_ns, wall_ns + 4 * MS, 300, 256, 1
                )
            )
            wall_ns += 6 * MS
            for token in range(6):
                duration = (60 if token == 0 else 15) * MS
                executed_ns = int(duration * draw.gauss(1.0, 0.02))
                lines.append(
                    step(
                        engine,
                        index,
                        t_start_ns=t_ns,
                        duration_ns=executed_ns,
                        wall_start_ns=wall_ns,
                        wall_end_ns=wall_ns + executed_ns,
                        signature=Signature(300 if token == 0 else 0, int(token > 0), 300, 0, int(token == 0)),
                        tokens={record.request_id: (1, 90, "length" if token == 5 else None)},
                        scheduled={record.request_id: 300 if token == 0 else 1},
                        conditions=Conditions(executed_ns - 50_000, 50_000, 3_000.0),
                    )
                )
                lines.append(EgressRecord(engine, index, {record.request_id: 200_000}))
                index += 1
                t_ns += duration
                wall_ns += executed_ns + 2 * MS
    with RunWriter(directory) as writer:
        for record in sorted(records, key=lambda r: r.t_end_ns):
            writer.request(record)
        for line in lines:
            writer.step(line)
        for second in range(seconds):
            writer.gauge(second * S, "edge", "num_requests_running", {"tier": "edge"}, float(second % 3))
            writer.gauge(second * S, "edge", "num_requests_waiting", {"tier": "edge"}, float(second % 5 == 0))
            writer.gauge(second * S, "edge", "kv_cache_usage_perc", {}, second % 10 / 10)
            writer.gauge(second * S, "edge", "num_preemptions", {}, float(min(second, 3)))
            for ue in ("cam-edge-0", "cam-cloud-0"):
                labels = {"direction": "up", "ue": ue}
                writer.gauge((second + 1) * S, "access", "link_bytes", labels, 40_000.0)
                writer.gauge((second + 1) * S, "access", "link_max_queue_bytes", labels, 30_000.0 + second)
            for metric in RADIO_METRICS:
                for direction in ("up", "down"):
                    labels = {"direction": direction, "ue": "cam-edge-0"}
                    writer.gauge((second + 1) * S, "radio", metric, labels, draw.random())
            writer.gauge((second + 1) * S, "paths.cloud", "link_bytes", {"direction": "down"}, 300.0)
            if second % 20 == 7:
                writer.gauge((second + 1) * S, "paths.cloud", "link_dropped_packets", {"direction": "down"}, 2.0)
        write_manifest(directory, manifest(issued=len(records), virtual_ns=(seconds + 3) * S))
    (directory / SCENARIO).write_text(SCENARIO_TEXT, encoding="utf-8")
    return directory
