"""What tables and reports of a sweep read of a run's summary.json, with types: whether a file can be one."""

from __future__ import annotations

from typing import Any, Literal, get_args

import msgspec

from cosim.results.coverage import GROUNDS
from cosim.results.metrics import LATENCIES, OF_ALL, RATES
from cosim.results.records import Status

STATUSES: tuple[Status, ...] = get_args(Status)
# vLLM's figures of a tier by their name, of ok requests; throughputs.
TIER_FIGURES = (
    *(f"{statistic}_{metric.name}_ms" for metric in LATENCIES for statistic in ("mean", "median", "p95", "p99")),
    *(rate.name for rate in RATES),
)


class SlaClass(msgspec.Struct, rename={"sla_class": "class"}):
    """A line of `sla` of summary.json."""

    tier: str | None
    sla_class: str
    deadline_ms: float
    n: int
    hits: int
    sla_hit_rate: float | None
    wilson_low: float | None
    wilson_high: float | None


class _Basis(msgspec.Struct):
    # The keys are a constant's, which msgspec checks and mypy cannot read as literals.
    steps: dict[Literal[GROUNDS], int]  # type: ignore[valid-type]


class _Figure(msgspec.Struct):
    key: str
    value: Any
    kind: str
    percentile: Any
    source: str | None
    date: Any


class _Link(msgspec.Struct):
    preset: str | None
    figures: list[_Figure]


_Tier = msgspec.defstruct(
    "_Tier",
    [
        *((name, int) for name in ("n", "completed", *STATUSES[1:])),
        *((name, float | None) for name in TIER_FIGURES),
        ("e2el_of_all_ms", msgspec.defstruct("_OfAll", [(name, float | None) for name, _ in OF_ALL])),
        ("parts_ms", dict[str, float]),
        ("basis", _Basis),
        ("step_coverage", dict[str, float | None]),
    ],
)


class _RunSummary(msgspec.Struct):
    verdict: str
    reasons: list[str]
    qualifiers: list[str]
    clock: str
    seed: int
    loop: dict[str, str]
    sla: list[SlaClass]
    # Made when the module is loaded, of the metrics' names: mypy sees no class.
    tiers: dict[str, _Tier]  # type: ignore[valid-type]
    paths: dict[str, _Link] = {}


_DECODER = msgspec.json.Decoder(_RunSummary)


def decoded_summary(content: bytes) -> dict[str, Any]:
    """A run's summary. Raises msgspec.MsgspecError for what no run has written."""
    _DECODER.decode(content)
    summary: dict[str, Any] = msgspec.json.decode(content)
    return summary
