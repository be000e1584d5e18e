"""report.html: a run on one page that fetches nothing; a pure function of the run's files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cosim.clock import NS_PER_MS, NS_PER_S
from cosim.results import charts
from cosim.results.basis import METHOD, grounds, verdict_text
from cosim.results.distribution import (
    QUANTILES,
    Distribution,
    cdf,
    observe,
    quantile_interval_text,
    quantile_text,
    share_text,
    unanswered_text,
)
from cosim.results.ground import KINDS
from cosim.results.manifest import mapping
from cosim.results.metrics import LATENCIES, RATES, STATISTICS
from cosim.results.pages import template
from cosim.results.parts import PARTS, contract_part, in_order, part_of
from cosim.results.population import Population, populate
from cosim.results.qualifiers import cell, headline
from cosim.results.sla import ASSUMPTION
from cosim.results.slowest import Excess, Slow, percentile_request, slowest
from cosim.results.statistics import bounded_from
from cosim.results.store import (
    REPORT,
    SCENARIO,
    read_manifest,
    read_requests,
    read_samples,
    read_scenario_text,
    read_steps,
    write_atomic,
)
from cosim.results.summary import load_scenario, summarise
from cosim.results.timeline import SAMPLED, Timeline, timeline

TEMPLATE = "report.html.j2"
SLOW_QUANTILE = 0.95
MAX_LINKS = 40

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
    summary = summarise(directory) if summary is None else summary
    manifest = read_manifest(directory)
    scenario = load_scenario(directory)
    objectives: dict[str, Any] = manifest.get("objectives") or {}
    deadlines_ns: dict[str, int] = objectives.get("sla") or {}
    deadlines_ms = {name: ns / NS_PER_MS for name, ns in deadlines_ns.items()}
    tiers: dict[str, dict[str, Any]] = summary["tiers"]
    population = populate(read_requests(directory), tiers, deadlines_ns.values())
    distributions = {name: observe(population, name) for name in tiers}
    slow_parts = _slow_parts(population, tiers)
    return template(TEMPLATE).render(
        summary=summary,
        headline=headline(tiers),
        steps={name: cell(tier) for name, tier in tiers.items()},
        engine_steps={name: cell(engine) for name, engine in summary["engines"].items()},
        verdict_text=verdict_text(summary, manifest, objectives.get("validity") or {}),
        unanswered=[text for name, found in distributions.items() if (text := unanswered_text(name, found))],
        grounds=grounds(summary, manifest, scenario),
        ground_kinds=KINDS,
        paths=[(name, link["preset"], figure) for name, link in summary["paths"].items() for figure in link["figures"]],
        method=METHOD,
        tiers=tiers,
        loops=loop_text(summary["loop"]),
        coverage={source: share for source, share in summary["step_coverage"].items() if share},
        assumption=ASSUMPTION,
        sla=[
            (row, charts.interval(row["sla_hit_rate"], row["wilson_low"], row["wilson_high"])) for row in summary["sla"]
        ],
        waterfall=charts.waterfall(list(_bars(tiers, slow_parts))),
        parts=_parts(tiers, slow_parts),
        slow_requests={name: request_id for name, (request_id, _) in slow_parts.items()},
        cdf=cdf(distributions, deadlines_ms),
        distributions=_distribution_rows(distributions, deadlines_ms),
        deadlines=deadlines_ms,
        quantiles=QUANTILES,
        timeline=_timeline(directory, population, manifest, scenario, tiers),
        slowest=_slow_rows(slowest(population)),
        latencies=LATENCIES,
        rates=RATES,
        statistics=STATISTICS,
        bounds={"p95": bounded_from(0.95), "p99": bounded_from(0.99)},
        hygiene={name: engine.get("hygiene") for name, engine in summary["engines"].items()},
        links=[link for link in _links(manifest) if link["packets"]][:MAX_LINKS],
        quiet_links=sum(not link["packets"] for link in _links(manifest)),
        busy_links=sum(bool(link["packets"]) for link in _links(manifest)),
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


def events(scenario: dict[str, Any]) -> list[tuple[int, str]]:
    """The entries of a scenario's `timeline`, the gaps between UEs and a cell and outages of paths: time (ns), what."""
    entries = scenario.get("timeline") or []
    found = [
        (_ns(entry["at"]), ", ".join(f"{key} = {value}" for key, value in entry["set"].items())) for entry in entries
    ]
    for name, group in (_access(scenario).get("ues") or {}).items():
        for gap in group.get("interruptions") or []:
            found.append((_ns(gap["at"]), f"{name}: {gap['cause']}, {gap['duration']}"))
    network = mapping(scenario.get("network"))
    for name, path in {"core": network.get("core"), **mapping(network.get("paths"))}.items():
        for gap in mapping(path).get("outages") or []:
            found.append((_ns(gap["at"]), f"{name}: outage, {gap['duration']}"))
    return found


def _access(scenario: dict[str, Any]) -> dict[str, Any]:
    """The scenario's access network."""
    return mapping(mapping(scenario.get("network")).get("access"))


def kpi_interval_ns(scenario: dict[str, Any]) -> int:
    """The windows of radio samples."""
    return _ns(_access(scenario).get("kpi_interval", "100ms"))


def _ns(duration: str) -> int:
    from pydantic import TypeAdapter

    from cosim.scenario.units import Duration

    adapter: TypeAdapter[int] = TypeAdapter(Duration)
    return adapter.validate_python(duration)


def _timeline(
    directory: Path,
    population: Population,
    manifest: dict[str, Any],
    scenario: dict[str, Any],
    tiers: dict[str, dict[str, Any]],
) -> Timeline:
    virtual_ns = manifest.get("virtual_ns")
    ends_ns = [*population.end_ns, virtual_ns if isinstance(virtual_ns, int) else 0]
    return timeline(
        population,
        read_steps(directory),
        read_samples(directory, SAMPLED),
        [engine for tier in tiers.values() for engine in tier["engines"]],
        max(ends_ns),
        events(scenario),
        kpi_interval_ns(scenario),
    )


def _slow_parts(population: Population, tiers: dict[str, Any]) -> dict[str, tuple[str, dict[str, float]]]:
    """Per tier with an ok request: the id of the one at SLOW_QUANTILE, and its parts in ms."""
    found = {}
    for name in tiers:
        place = percentile_request(population, name, SLOW_QUANTILE)
        if place is not None:
            parts_ns = population.parts_of(place)
            found[name] = (population.request_id[place], {part: ns / NS_PER_MS for part, ns in parts_ns.items()})
    return found


def _bars(
    tiers: dict[str, dict[str, Any]], slow_parts: dict[str, tuple[str, dict[str, float]]]
) -> Iterator[charts.Bar]:
    for name, tier in tiers.items():
        if tier["parts_ms"]:
            few = f" ({tier['completed']} of {tier['n']} ok)" if tier["completed"] < tier["n"] else ""
            yield charts.Bar(name, tier["parts_ms"], note=few)
        elif tier["n"]:
            yield charts.Bar(name, {}, note=f"{tier['completed']} of {tier['n']} ok")
        if name in slow_parts:
            yield charts.Bar(f"{name} p95", slow_parts[name][1], second=True)


def _parts(
    tiers: dict[str, dict[str, Any]], slow_parts: dict[str, tuple[str, dict[str, float]]]
) -> list[dict[str, Any]]:
    """Every part, of the contract or found in the run: colour, what it covers, per tier mean, share, p95 request's."""
    found = {name for tier in tiers.values() for name in tier["parts_ms"]}
    refined = {contract_part(name) for name in found} - found
    names = in_order(found | {part.name for part in PARTS if part.name not in refined})
    totals = {name: sum(tier["parts_ms"].values()) for name, tier in tiers.items()}
    rows = []
    for name in names:
        cells = []
        for tier_name, tier in tiers.items():
            ms = tier["parts_ms"].get(name)
            share = ms / totals[tier_name] if ms is not None and totals[tier_name] else None
            slow_ms = slow_parts[tier_name][1].get(name, 0.0) if tier_name in slow_parts else None
            cells.append((ms, share, slow_ms))
        covers = part_of(name).covers
        drawn = any(ms or slow_ms for ms, _, slow_ms in cells)
        colour = charts.part_colour(name)
        rows.append({"name": name, "colour": colour, "covers": covers, "tiers": cells, "drawn": drawn})
    return rows


def _distribution_rows(
    distributions: dict[str, Distribution], deadlines_ms: dict[str, float]
) -> list[dict[str, object]]:
    return [
        {
            "tier": name,
            "n": found.n,
            "answered": len(found.answered),
            "censored": len(found.censored),
            "never": found.never,
            "cancelled": found.cancelled,
            "within": [share_text(found, ms) for ms in deadlines_ms.values()],
            "quantiles": [(quantile_text(found, share), quantile_interval_text(found, share)) for share in QUANTILES],
        }
        for name, found in distributions.items()
    ]


def _slow_rows(requests: list[Slow]) -> list[dict[str, object]]:
    """The slowest requests as a table has them, with their bars on the scale of the slowest of their tier."""
    longest_ms: dict[str, float] = {}
    for slow in requests:
        longest_ms.setdefault(slow.tier, slow.e2el_ns / NS_PER_MS)
    return [
        {
            "slow": slow,
            "e2el_ms": slow.e2el_ns / NS_PER_MS,
            "scheduled_s": slow.scheduled_ns / NS_PER_S,
            "from_ms": (slow.scheduled_ns - 0.1 * (slow.end_ns - slow.scheduled_ns)) / NS_PER_MS,
            "to_ms": (slow.end_ns + 0.1 * (slow.end_ns - slow.scheduled_ns)) / NS_PER_MS,
            "bar": charts.strip({name: ns / NS_PER_MS for name, ns in slow.parts_ns.items()}, longest_ms[slow.tier]),
            "unusual": _unusual(slow.unusual),
        }
        for slow in requests
    ]


def _unusual(parts: list[Excess] | None) -> str:
    """What stood out in a request, in words."""
    if parts is None:
        return "no ok request to compare with"
    texts = [
        f"{part.part} {part.value_ns / NS_PER_MS:.1f} ms (median {part.median_ns / NS_PER_MS:.1f} ms)" for part in parts
    ]
    return ", ".join(texts) or "nothing"


def _links(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    return list(manifest.get("links") or [])
