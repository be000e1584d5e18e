"""A sweep of made-up summaries for the tests of its report: any grid, cheap enough for a thousand points."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from cosim.results.statistics import wilson
from cosim.results.store import FAILURE, REPORT
from cosim.results.sweep_store import SCHEMA_VERSION, SWEEP, SWEEP_SCENARIO, Sweep, SweptPoint, run_directory
from tests.results_factory import S, ended, write_run

PARTS = {"up_access": 0.12, "up_wan": 0.1, "queue": 0.08, "prefill": 0.4, "decode": 0.25, "down_wan": 0.05}
DEADLINES_MS = {"premium": 500.0, "medium": 1000.0}
INVALID = "tier edge has 12 counted request(s), validity.min_requests asks for 30; raise `duration`"

Latency = Callable[[Mapping[str, Any], str], float]
"""Mean latency in ms of a tier at a point, from its values."""


def grid(**values: Sequence[Any]) -> list[dict[str, Any]]:
    """The values of the points of a grid; `__` in a name stands for the dot of a path."""
    keys = [name.replace("__", ".") for name in values]
    return [dict(zip(keys, combination, strict=True)) for combination in itertools.product(*values.values())]


def made_up_sweep(
    directory: Path,
    points: Sequence[Mapping[str, Any]],
    latency_ms: Latency,
    *,
    tiers: Sequence[str] = ("edge", "cloud"),
    seeds: Sequence[int] = (1, 2, 3, 4, 5),
    states: Mapping[tuple[int, int], str] | None = None,
    requests: bool = False,
    **changes: Any,
) -> Path:
    """A sweep of these points; `states` names runs by point and number that are not VALID: INVALID, failed, missing.

    `requests` gives each run its requests.jsonl too. `changes` go to sweep.json.
    """
    directory.mkdir(parents=True)
    keys = list(dict.fromkeys(key for values in points for key in values))
    swept = [
        SweptPoint(k, "_".join(f"{key.rpartition('.')[2]}={values[key]}" for key in values), dict(values), [])
        for k, values in enumerate(points)
    ]
    content: dict[str, Any] = {
        "name": "made-up-sweep",
        "keys": keys,
        "seeds": list(seeds),
        "paired": True,
        "shard": None,
    }
    sweep = Sweep(schema_version=SCHEMA_VERSION, scenario_hash="abc", points=swept, **(content | changes))
    (directory / SWEEP).write_bytes(msgspec.json.encode(sweep))
    (directory / SWEEP_SCENARIO).write_text("name: made-up-sweep\nduration: 60s\nsweep: {kind: grid}\n")
    for point in swept:
        for number, seed in enumerate(seeds):
            state = (states or {}).get((point.index, number), "VALID")
            run = run_directory(directory, point.slug, number)
            if state == "missing":
                continue
            run.mkdir(parents=True)
            if state == "failed":
                text = f"the network process died at {1000 + point.index} ns; see logs/"
                (run / FAILURE).write_text(json.dumps({"error": "ChildError", "text": text}))
                continue
            draw = random.Random(1000 * point.index + seed)
            values = {name: point.values for name in tiers}
            means = {name: latency_ms(values[name], name) * draw.gauss(1, 0.02) for name in tiers}
            summary = _summary(means, seed, state, point.values)
            (run / "summary.json").write_bytes(msgspec.json.encode(summary))
            (run / REPORT).touch()
            if requests:
                _requests(run, means, draw)
    return directory


def _requests(run: Path, means: Mapping[str, float], draw: random.Random) -> None:
    """Sixty requests of each tier; what would take longer than 2 s times out."""
    records = []
    for tier, mean in means.items():
        for k in range(60):
            ms = draw.gauss(mean, mean / 5)
            status = "ok" if ms < 2000 else "timeout"
            e2el_ns = int(min(max(ms, 10.0), 2000.0) * 1e6)
            records.append(ended(f"{tier}-{k:03d}", k * S, e2el_ns, status, tier=tier))  # type: ignore[arg-type]
    write_run(run, records)


def _summary(means: Mapping[str, float], seed: int, verdict: str, values: Mapping[str, Any]) -> dict[str, Any]:
    n = 60
    sla, tiers = [], {}
    for tier, mean in means.items():
        answered = n if mean < 1500 else int(n * max(1500 / mean, 0.2))
        for name, deadline_ms in DEADLINES_MS.items():
            hits = min(round(n * min(max(1.5 - mean / deadline_ms, 0.0), 1.0)), answered)
            low, high = wilson(hits, n)
            sla.append(
                {
                    "tier": tier,
                    "class": name,
                    "deadline_ms": deadline_ms,
                    "n": n,
                    "hits": hits,
                    "sla_hit_rate": hits / n,
                    "wilson_low": low,
                    "wilson_high": high,
                    "cancelled": 0,
                }
            )
        tiers[tier] = _tier(mean, n, answered, int(values.get("clients.0.count", 1)))
    return {
        "verdict": verdict,
        "reasons": [INVALID] if verdict == "INVALID" else [],
        "qualifiers": [f"tiers {', '.join(tiers)}: constant times of the scenario, no model was run"],
        "clock": "lockstep",
        "seed": seed,
        "sla": sla,
        "tiers": tiers,
        "loop": {"cam": "open"},
    }


def _tier(mean: float, n: int, answered: int, clients: int) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for metric, share in (("ttft", 0.6), ("tpot", 0.1), ("itl", 0.1), ("e2el", 1.0), ("e2el_scheduled", 1.0)):
        for statistic, factor in (("mean", 1.0), ("median", 0.98), ("std", 0.2), ("p95", 1.4), ("p99", 1.6)):
            figures[f"{statistic}_{metric}_ms"] = share * factor * mean
    of_all: dict[str, float | None] = {"median": 0.98 * mean, "p95": 1.4 * mean, "p99": 1.6 * mean}
    if answered < 0.95 * n:
        of_all |= {"p95": None, "p99": None}
    if answered < 0.5 * n:
        of_all["median"] = None
    return {
        "n": n,
        "completed": answered,
        "error": 0,
        "timeout": n - answered,
        "cancelled": 0,
        "rejected": 0,
        **figures,
        "request_throughput": answered / 30,
        "output_throughput": 20 * answered / 30,
        "e2el_of_all_ms": of_all,
        "duration_s": 30.0 / clients,
        "parts_ms": {name: share * mean for name, share in PARTS.items()},
        "step_coverage": {"predicted": 1.0},
        "basis": {"steps": {"constant": 10}, "frontends": {}, "egress": {}},
        "kind": "stub",
        "hardware": None,
    }
