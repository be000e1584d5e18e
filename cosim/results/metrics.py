"""vLLM's latency metrics, per request and over many; each formula is kept as text beside its name."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field

from cosim.clock import NS_PER_MS, NS_PER_S
from cosim.results.records import RequestRecord
from cosim.results.statistics import percentile, percentile_interval


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric's name in the files, what it is, its formula and where the formula comes from."""

    name: str
    title: str
    unit: str
    formula: str
    source: str


_VLLM = "vLLM, vllm/benchmarks/serve.py, calculate_metrics"

LATENCIES = (
    Metric("ttft", "time to first token", "ms", "arrival of the first chunk with a token - t_sent", _VLLM),
    Metric("tpot", "time per output token", "ms", "(e2el - ttft) / (output_tokens - 1); none for one token", _VLLM),
    Metric(
        "itl", "inter-token latency", "ms", "gaps between chunks from the first token on, pooled over requests", _VLLM
    ),
    Metric("e2el", "end-to-end latency", "ms", "t_end - t_sent", _VLLM),
    Metric(
        "e2el_scheduled",
        "end-to-end latency from the scheduled time",
        "ms",
        "t_end - t_scheduled; the time that the SLA judges, so that a late client cannot hide",
        "MLPerf LoadGen, server scenario: latency starts at the scheduled time",
    ),
)

_DURATION = "duration: first t_scheduled to last t_end among the tier's counted requests, whatever their status"
RATES = (
    Metric("request_throughput", "requests answered per second", "1/s", f"ok requests / duration; {_DURATION}", _VLLM),
    Metric("output_throughput", "tokens answered per second", "1/s", "output tokens of ok requests / duration", _VLLM),
)

STATISTICS = (
    Metric("mean", "mean", "", "sum / n", "numpy.mean"),
    Metric("median", "median", "", "50th percentile, linear interpolation", "numpy.median"),
    Metric("std", "standard deviation", "", "square root of the mean squared deviation (divisor n)", "numpy.std"),
    Metric("p95", "95th percentile", "", "linear interpolation between order statistics", "numpy.percentile"),
    Metric("p99", "99th percentile", "", "linear interpolation between order statistics", "numpy.percentile"),
)


OF_ALL = (("median", 0.5), ("p95", 0.95), ("p99", 0.99))
"""Percentiles of `e2el_scheduled` of all counted requests that their client did not cancel, failures as +inf."""


def tpot_ns(e2el_ns: int, ttft_ns: int | None, output_tokens: int) -> float | None:
    """Time per output token in ns after the first; None for an answer of fewer than two tokens.

    (e2el - ttft) / (output_tokens - 1). Source: vLLM, vllm/benchmarks/serve.py, calculate_metrics.
    """
    if ttft_ns is None or output_tokens < 2:
        return None
    return (e2el_ns - ttft_ns) / (output_tokens - 1)


def itl_ns(record: RequestRecord) -> Iterator[int]:
    """Gaps in ns between one request's chunks from the one that carries its first token.

    Source: vLLM, vllm/benchmarks/lib/endpoint_request_func.py (`output.itl`): a chunk of several tokens is one gap.
    """
    if record.t_first_token_ns is None:
        return
    previous: int | None = None
    for t_ns in record.chunk_times_ns:
        if t_ns < record.t_first_token_ns:
            continue
        if previous is not None:
            yield t_ns - previous
        previous = t_ns


def _doubles() -> array[float]:
    return array("d")


@dataclass(slots=True)
class TierMetrics:
    """Collects the counted requests of one tier; memory is 8 bytes per number. Warm-up is the caller's to leave out."""

    n: int = 0
    completed: int = 0
    unanswered: int = 0
    output_tokens: int = 0
    first_scheduled_ns: int | None = None
    last_end_ns: int | None = None
    values_ns: dict[str, array[float]] = field(default_factory=lambda: {m.name: _doubles() for m in LATENCIES})

    def add(self, record: RequestRecord) -> None:
        """Count a request; only an ok one enters the latencies and the throughputs' numerators."""
        self.n += 1
        if self.first_scheduled_ns is None or record.t_scheduled_ns < self.first_scheduled_ns:
            self.first_scheduled_ns = record.t_scheduled_ns
        if self.last_end_ns is None or record.t_end_ns > self.last_end_ns:
            self.last_end_ns = record.t_end_ns
        if record.status != "ok":
            self.unanswered += record.status != "cancelled"
            return
        self.completed += 1
        self.output_tokens += record.output_tokens
        values = self.values_ns
        if record.ttft_ns is not None:
            values["ttft"].append(record.ttft_ns)
        tpot = tpot_ns(record.e2el_ns, record.ttft_ns, record.output_tokens)
        if tpot is not None:
            values["tpot"].append(tpot)
        values["itl"].extend(itl_ns(record))
        values["e2el"].append(record.e2el_ns)
        values["e2el_scheduled"].append(record.e2el_scheduled_ns)

    @property
    def duration_s(self) -> float | None:
        """First scheduled time to last end of the counted requests; None without requests or without extent."""
        if self.first_scheduled_ns is None or self.last_end_ns is None or self.last_end_ns <= self.first_scheduled_ns:
            return None
        return (self.last_end_ns - self.first_scheduled_ns) / NS_PER_S

    def summary(self) -> dict[str, float | None]:
        """`mean_ttft_ms`, `median_ttft_ms`, ... in the order of LATENCIES and STATISTICS, then RATES."""
        result: dict[str, float | None] = {}
        for metric in LATENCIES:
            for name, value in statistics_ms(self.values_ns[metric.name]).items():
                result[f"{name}_{metric.name}_ms"] = value
        duration_s = self.duration_s
        result["request_throughput"] = None if duration_s is None else self.completed / duration_s
        result["output_throughput"] = None if duration_s is None else self.output_tokens / duration_s
        return result

    def of_all_ms(self) -> dict[str, float | None]:
        """OF_ALL in ms with the ends of their intervals; None where it is +inf, or cannot be bounded."""
        values = [*(value / NS_PER_MS for value in self.values_ns["e2el_scheduled"]), *[math.inf] * self.unanswered]
        result: dict[str, float | None] = {}
        for name, share in OF_ALL:
            value, interval = percentile(values, share), percentile_interval(values, share)
            result[name] = None if value is None or math.isinf(value) else value
            result[f"{name}_low"], result[f"{name}_high"] = interval
        return result


def statistics_ms(values_ns: array[float]) -> dict[str, float | None]:
    """STATISTICS in ms over values in ns; each None when there is no value."""
    if not values_ns:
        return {statistic.name: None for statistic in STATISTICS}
    import numpy as np

    values_ms = np.asarray(values_ns, dtype=np.float64) / NS_PER_MS
    median, p95, p99 = np.percentile(values_ms, [50, 95, 99])
    return {
        "mean": float(np.mean(values_ms)),
        "median": float(median),
        "std": float(np.std(values_ms)),
        "p95": float(p95),
        "p99": float(p99),
    }
