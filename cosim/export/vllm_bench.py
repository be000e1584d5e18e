"""A tier of a run as the result file of `vllm bench serve --save-result --save-detailed`, key by key.

Formulas, units and order of keys are those of vllm/benchmarks/serve.py (calculate_metrics, benchmark, main_async):
statistics in ms, everything else in seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from cosim.clock import NS_PER_S
from cosim.results.manifest import mapping
from cosim.results.metrics import itl_ns
from cosim.results.records import RequestRecord
from cosim.results.store import ResultsError, read_manifest, read_requests
from cosim.results.summary import load_scenario
from cosim.results.sweep_store import read_run_summary

# cosim's clients send the requests of vLLM's backend of this name: streamed POST /v1/chat/completions.
BACKEND = "openai-chat"
STATISTICS = ("ttft", "tpot", "itl")
PERCENTILE = 99


@dataclass(frozen=True, slots=True)
class Output:
    """One request as vLLM's RequestFuncOutput has it, in seconds."""

    success: bool
    latency: float
    output_tokens: int
    ttft: float
    itl: list[float]
    prompt_len: int
    error: str
    start_time: float
    client_queue_time: float


def vllm_bench(directory: Path, tier: str | None) -> dict[str, Any]:
    """The content of the file for a tier, which may be left out if the run has requests of one only.

    Requests of the warm-up are left out, as vLLM's are. One that is not ok is a failed one, its `errors` entry says
    why. What cosim does not know is 0 or "" where vLLM's own default is that (`prompt_len`, `generated_texts`) and
    null elsewhere. `queue_times`: from when a request was due to when it was sent. `request_rate`: counted requests per
    second of the duration, whatever made them. An INVALID run has the keys `verdict` and `reasons` besides, as
    `--metadata` would put them. Raises ResultsError if the tier has no counted request.
    """
    manifest, scenario, summary = read_manifest(directory), load_scenario(directory), read_run_summary(directory)
    records = [record for record in read_requests(directory) if not record.warmup and record.tier is not None]
    tier = _choose(directory, tier, records)
    records = [record for record in records if record.tier == tier]
    model = next((record.model for record in records if record.model), None)
    start_ns = min(record.t_scheduled_ns for record in records)
    duration_s = (max(record.t_end_ns for record in records) - start_ns) / NS_PER_S
    verdict = (summary or {}).get("verdict") or "not finished"
    reasons = "; ".join((summary or {}).get("reasons") or [])
    return {
        "date": datetime.fromisoformat(str(manifest.get("started"))).strftime("%Y%m%d-%H%M%S"),
        "endpoint_type": BACKEND,
        "backend": BACKEND,
        "label": f"{manifest.get('name')} {tier}",
        "model_id": model,
        "tokenizer_id": model,
        "num_prompts": len(records),
        **({} if verdict == "VALID" else {"verdict": verdict, "reasons": reasons}),
        "request_rate": len(records) / duration_s if duration_s else "inf",
        "burstiness": _burstiness(scenario, tier),
        "max_concurrency": None,
        **result([output_of(record) for record in sorted(records, key=_issued)], duration_s),
    }


def output_of(record: RequestRecord) -> Output:
    """A record as vLLM would have measured it at the client; a failed request has no latency there."""
    ok = record.status == "ok"
    return Output(
        success=ok,
        latency=record.e2el_ns / NS_PER_S if ok else 0.0,
        output_tokens=record.output_tokens if ok else 0,
        ttft=(record.ttft_ns or 0) / NS_PER_S,
        itl=[gap / NS_PER_S for gap in itl_ns(record)],
        prompt_len=record.prompt_tokens or 0,
        error="" if ok else record.error or record.status,
        start_time=record.t_sent_ns / NS_PER_S,
        client_queue_time=(record.t_sent_ns - record.t_scheduled_ns) / NS_PER_S,
    )


def result(outputs: Sequence[Output], duration_s: float) -> dict[str, Any]:
    """What vLLM's `benchmark` returns for a generation task without goodput, speculative decoding and probes."""
    good = [output for output in outputs if output.success]
    n_input, n_output = sum(o.prompt_len for o in good), sum(o.output_tokens for o in good)
    most_tokens, most_requests = _peaks(good)
    values = {
        "ttft": [o.ttft for o in good],
        "tpot": [(o.latency - o.ttft) / (o.output_tokens - 1) for o in good if o.output_tokens > 1],
        "itl": [gap for o in good for gap in o.itl],
    }
    return {
        "duration": duration_s,
        "completed": len(good),
        "failed": len(outputs) - len(good),
        "total_input_tokens": n_input,
        "total_output_tokens": n_output,
        "request_throughput": _rate(len(good), duration_s),
        "request_goodput": None,
        "output_throughput": _rate(n_output, duration_s),
        "total_token_throughput": _rate(n_input + n_output, duration_s),
        "input_lens": [o.prompt_len for o in outputs],
        "output_lens": [o.output_tokens for o in outputs],
        "ttfts": [o.ttft for o in outputs],
        "itls": [o.itl for o in outputs],
        "latencies": [o.latency for o in outputs],
        "start_times": [o.start_time for o in outputs],
        "queue_times": [o.client_queue_time for o in outputs],
        "generated_texts": [""] * len(outputs),
        "errors": [o.error for o in outputs],
        "max_output_tokens_per_s": most_tokens,
        "max_concurrent_requests": most_requests,
        "rtfx": 0.0,
        **{key: value for name in STATISTICS for key, value in _statistics(name, values[name]).items()},
    }


def _statistics(name: str, values_s: list[float]) -> dict[str, float]:
    """Mean, median, standard deviation and percentile in ms; 0 of nothing, as vLLM has it."""
    values = values_s or [0.0]
    return {
        f"mean_{name}_ms": float(np.mean(values)) * 1000,
        f"median_{name}_ms": float(np.median(values)) * 1000,
        f"std_{name}_ms": float(np.std(values)) * 1000,
        f"p{PERCENTILE}_{name}_ms": float(np.percentile(values, PERCENTILE)) * 1000,
    }


def _peaks(good: Sequence[Output]) -> tuple[float, int]:
    """Most chunks that arrived, and most requests that were under way, in any second since the first was sent."""
    if not good:
        return 0.0, 0
    first = min(o.start_time for o in good)
    seconds = int(np.ceil(max(o.start_time + o.latency for o in good) - first)) + 1
    tokens, requests = np.zeros(seconds), np.zeros(seconds)
    for output in good:
        arrivals = np.cumsum([output.start_time + output.ttft, *output.itl])
        np.add.at(tokens, np.clip((arrivals - first).astype(int), 0, seconds - 1), 1)
        requests[int(output.start_time - first) : int(output.start_time + output.latency - first) + 1] += 1
    return float(tokens.max()), int(requests.max())


def _rate(count: int, duration_s: float) -> float | None:
    return count / duration_s if duration_s else None


def _issued(record: RequestRecord) -> tuple[int, str]:
    return record.t_scheduled_ns, record.request_id


def _choose(directory: Path, tier: str | None, records: Iterable[RequestRecord]) -> str:
    tiers = sorted({str(record.tier) for record in records})
    if not tiers:
        raise ResultsError(f"{directory}: no request of any tier was counted, so there is nothing to export")
    if tier is None and len(tiers) > 1:
        raise ResultsError(
            f"{directory}: has requests of {len(tiers)} tiers, and vLLM's file is for one server; choose --tier from: "
            + ", ".join(tiers)
        )
    if tier is not None and tier not in tiers:
        raise ResultsError(f"{directory}: no request of tier {tier!r} was counted; choose from: {', '.join(tiers)}")
    return tier or tiers[0]


def _burstiness(scenario: dict[str, Any], tier: str) -> float | None:
    """The shape of the arrivals' gamma distribution, vLLM's `--burstiness`, where one group of such clients asks."""
    groups = [mapping(group) for group in scenario.get("clients") or [] if mapping(group).get("tier") in (tier, None)]
    arrivals = mapping(groups[0].get("arrivals")) if len(groups) == 1 else {}
    if arrivals.get("kind") == "poisson":
        return 1.0
    return float(arrivals["burstiness"]) if arrivals.get("kind") == "gamma" else None
