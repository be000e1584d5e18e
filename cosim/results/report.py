"""report.html: a run on one page that fetches nothing; a pure function of the run's files."""

from __future__ import annotations

import json
from array import array
from pathlib import Path
from typing import Any

from cosim.clock import NS_PER_MS
from cosim.results import charts
from cosim.results.metrics import LATENCIES, RATES, STATISTICS, bounded_from
from cosim.results.parts import PARTS, in_order, part_of
from cosim.results.sla import ASSUMPTION
from cosim.results.store import (
    REPORT,
    SCENARIO,
    read_manifest,
    read_requests,
    read_scenario_text,
    read_steps,
    write_atomic,
)
from cosim.results.summary import summarise
from cosim.results.timeline import COLOURS, STEP_COLOURS, timeline

TEMPLATE = "report.html.j2"

SHARING = {
    "isolated": "each engine stands for hardware of its own, although engines were executed one after another",
    "timeslice": "the engines share one piece of hardware and queue for one another in virtual time",
}
ENVIRONMENT = (
    "command_line",
    "status",
    "started",
    "ended",
    "scenario_hash",
    "git",
    "versions",
    "machine",
    "invariants",
)


def write_report(directory: Path, summary: dict[str, Any] | None = None) -> Path:
    """Write report.html and return its path; `summary` saves computing it again.

    Raises ResultsError for a missing or damaged file.
    """
    path = directory / REPORT
    write_atomic(path, render(directory, summary).encode())
    return path


def render(directory: Path, summary: dict[str, Any] | None = None) -> str:
    """The report as HTML."""
    # jinja2 is needed by nothing else of a run.
    from jinja2 import Environment, PackageLoader, StrictUndefined

    summary = summarise(directory) if summary is None else summary
    manifest = read_manifest(directory)
    objectives: dict[str, Any] = manifest.get("objectives") or {}  # type: ignore[assignment]
    deadlines_ns: dict[str, int] = objectives.get("sla") or {}
    deadlines_ms = {name: ns / NS_PER_MS for name, ns in deadlines_ns.items()}
    tiers: dict[str, dict[str, Any]] = summary["tiers"]
    environment = Environment(
        loader=PackageLoader("cosim.results"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters.update(num=_number, pct=_percent, thousands=_thousands)
    return environment.get_template(TEMPLATE).render(
        summary=summary,
        tiers=tiers,
        loops=loop_text(summary["loop"]),
        groups=summary["loop"],
        coverage={source: share for source, share in summary["step_coverage"].items() if share},
        sharing=SHARING,
        assumption=ASSUMPTION,
        sla=[
            (row, charts.interval(row["sla_hit_rate"], row["wilson_low"], row["wilson_high"])) for row in summary["sla"]
        ],
        waterfall=charts.waterfall({name: tier["parts_ms"] for name, tier in tiers.items() if tier["parts_ms"]}),
        parts=_parts(tiers),
        cdf=charts.cdf(_curves(directory, tiers), deadlines_ms),
        timeline=timeline(
            read_requests(directory),
            read_steps(directory),
            {name: tier["engines"] for name, tier in tiers.items()},
            deadlines_ns,
        ),
        timeline_colours={**COLOURS, **STEP_COLOURS},
        latencies=LATENCIES,
        rates=RATES,
        statistics=STATISTICS,
        bounds={"p95": bounded_from(0.95), "p99": bounded_from(0.99)},
        links=manifest.get("links") or [],
        scenario=read_scenario_text(directory),
        scenario_name=SCENARIO,
        environment=[
            (key, text) for name in ENVIRONMENT if name in manifest for key, text in flatten(name, manifest[name])
        ],
        children=json.dumps(manifest.get("children") or {}, indent=1, ensure_ascii=False),
    )


def loop_text(loop: dict[str, str]) -> str:
    """How requests were issued, for the titles of tables: `open loop`, `closed loop` or both."""
    kinds = sorted(set(loop.values()))
    return f"{' and '.join(kinds)} loop" if kinds else "loop not recorded"


def flatten(key: str, value: object) -> list[tuple[str, str]]:
    """Nested data as lines of dotted key and text; None is shown as `-`."""
    if isinstance(value, dict) and value:
        return [line for name, item in value.items() for line in flatten(f"{key}.{name}", item)]
    if isinstance(value, list) and value:
        return [(key, " ".join(str(item) for item in value))]
    if value is None or value == [] or value == {}:
        return [(key, "-")]
    return [(key, str(value))]


def _parts(tiers: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Every part, of the contract or found in the run: its colour, what it covers, per tier its mean and its share."""
    found = {name for tier in tiers.values() for name in tier["parts_ms"]}
    refined = {part_of(name).name for name in found} - found
    names = in_order(found | {part.name for part in PARTS if part.name not in refined})
    totals = {name: sum(tier["parts_ms"].values()) for name, tier in tiers.items()}
    return [
        {
            "name": name,
            "colour": charts.part_colour(name),
            "covers": part_of(name).covers,
            "tiers": [
                (ms, ms / totals[tier_name] if totals[tier_name] else None)
                if (ms := tier["parts_ms"].get(name)) is not None
                else (None, None)
                for tier_name, tier in tiers.items()
            ],
        }
        for name in names
    ]


def _curves(directory: Path, tiers: dict[str, dict[str, Any]]) -> dict[str, tuple[array[float], int]]:
    """Per tier: sorted `e2el_scheduled` in ms of counted ok requests, and the number of those not cancelled."""
    values: dict[str, array[float]] = {name: array("d") for name in tiers}
    for record in read_requests(directory):
        if not record.warmup and record.status == "ok" and record.tier in values:
            values[record.tier].append(record.e2el_scheduled_ns / NS_PER_MS)
    return {name: (array("d", sorted(values[name])), tier["n"] - tier["cancelled"]) for name, tier in tiers.items()}


def _number(value: float | None, digits: int = 1) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _percent(value: float | None, digits: int = 1) -> str:
    return "-" if value is None else f"{value:.{digits}%}"


def _thousands(value: float | None) -> str:
    return "-" if value is None else f"{value:,}".replace(",", "\u202f")
