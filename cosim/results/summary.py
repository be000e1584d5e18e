"""summary.json: aggregates of a run, a pure function of the files in its directory."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import yaml

from cosim.clock import NS_PER_MS, NS_PER_S
from cosim.results.coverage import Coverage, step_coverage, together
from cosim.results.hygiene import EngineHygiene
from cosim.results.manifest import mapping
from cosim.results.metrics import TierMetrics
from cosim.results.parts import in_order
from cosim.results.qualifiers import qualifiers
from cosim.results.records import EgressRecord, FrontendRecord, PromptRecord, RequestRecord, Status, StepRecord
from cosim.results.sla import SlaTally
from cosim.results.store import (
    SCENARIO,
    SUMMARY,
    ResultsError,
    read_manifest,
    read_requests,
    read_scenario_text,
    read_steps,
    write_atomic,
)
from cosim.results.verdict import Evidence, TierCount, disturbances, judge

SCHEMA_VERSION = 1
DECIMALS = 6
# Ten times as fast, where PyYAML was built with it.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
STATUSES: tuple[Status, ...] = get_args(Status)
WALL_PARTS = ("engine", "network", "conductor", "startup")


@dataclass(slots=True)
class _Tier:
    metrics: TierMetrics = field(default_factory=TierMetrics)
    statuses: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STATUSES, 0))
    parts_ns: dict[str, int] = field(default_factory=dict)

    def add(self, record: RequestRecord) -> None:
        self.metrics.add(record)
        self.statuses[record.status] += 1
        if record.status == "ok":
            for name, value_ns in record.parts.items():
                self.parts_ns[name] = self.parts_ns.get(name, 0) + value_ns


@dataclass(slots=True)
class _Engine:
    steps: int = 0
    busy_ns: int = 0
    prefill_tokens: int = 0
    tokens: int = 0
    frontend: int = 0
    frontend_ns: int = 0
    egress_ns: int = 0
    hygiene: EngineHygiene = field(default_factory=EngineHygiene)
    coverage: Coverage = field(default_factory=Coverage)


def summarise(directory: Path) -> dict[str, Any]:
    """The content of summary.json. Raises ResultsError for a missing or damaged file."""
    manifest = read_manifest(directory)
    scenario = load_scenario(directory)
    objectives: dict[str, Any] = manifest.get("objectives") or {}
    tier_infos: dict[str, dict[str, Any]] = objectives.get("tiers") or {}
    validity = objectives.get("validity") or {}
    virtual_ns = _integer(manifest.get("virtual_ns"))

    with_clients = _tiers_with_clients(scenario)
    tiers = {name: _Tier() for name in tier_infos if name in with_clients}
    sla = SlaTally(objectives.get("sla") or {}, list(tiers))
    statuses = dict.fromkeys(STATUSES, 0)
    warmup = 0
    evidence = Evidence(
        status=_text(manifest.get("status")),
        issued=_integer(manifest.get("issued")),
        lines={str(name): n for name, n in mapping(manifest.get("lines")).items() if isinstance(n, int)},
        broken=[str(text) for text in (mapping(manifest.get("invariants")).get("broken") or [])],
        recorded=[str(reason) for reason in manifest.get("recorded_disturbances") or []],
        profiles=_recordings(mapping(manifest.get("children"))),
        min_requests=validity.get("min_requests"),
        max_error_share=validity.get("max_error_share"),
        max_cpu_wait_share=validity.get("max_cpu_wait_share"),
        max_other_load=validity.get("max_other_load"),
        max_step_drift=validity.get("max_step_drift"),
        allow_extrapolated=list(validity.get("allow_extrapolated") or []),
    )
    for record in read_requests(directory):
        statuses[record.status] += 1
        evidence.ended += 1
        difference_ns = record.e2el_ns - sum(record.parts.values())
        # In real time the parts come from clocks of several processes, so only lockstep can be held to the ns.
        if manifest.get("clock") == "lockstep" and (difference_ns or min(record.parts.values(), default=0) < 0):
            evidence.parts_off.add(f"{record.request_id} ({difference_ns:+d} ns)")
        if record.warmup:
            warmup += 1
            continue
        sla.add(record)
        if record.tier is not None:
            tiers.setdefault(record.tier, _Tier()).add(record)

    for name, tier in tiers.items():
        evidence.tiers[name] = TierCount(tier.metrics.n, tier.statuses["error"], tier.statuses["cancelled"])
    engines = _engines(directory, evidence, _stubs(tier_infos))
    evidence.coverage = _tier_coverage(engines, tier_infos)
    engine_summaries = {name: _engine_summary(engines[name], virtual_ns) for name in sorted(engines)}
    evidence.hygiene = {name: engine["hygiene"] for name, engine in engine_summaries.items() if engine["hygiene"]}
    machine_use = _machine_use(mapping(manifest.get("machine_use")))
    evidence.elsewhere = _engines_elsewhere(tier_infos)
    evidence.machine_use = machine_use if evidence.hygiene.keys() - evidence.elsewhere.keys() else None
    n_bytes = _bytes(manifest, evidence)
    verdict = judge(evidence)
    tier_summaries = {
        name: _tier_summary(tier, tier_infos.get(name) or {}, evidence.coverage.get(name) or Coverage())
        for name, tier in tiers.items()
    }
    summary: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "name": manifest.get("name"),
        "verdict": verdict.verdict,
        "reasons": verdict.reasons,
        "qualifiers": qualifiers(tier_summaries, evidence.allow_extrapolated),
        "clock": manifest.get("clock"),
        "seed": manifest.get("seed"),
        "virtual_s": _seconds(virtual_ns),
        "wall_s": _seconds(manifest.get("wall_ns")),
        "wall_parts_s": {part: _seconds(mapping(manifest.get("wall_ns_by_part")).get(part)) for part in WALL_PARTS},
        "requests": {
            "issued": evidence.issued,
            **statuses,
            "unfinished": None if evidence.issued is None else evidence.issued - evidence.ended,
            "warmup": warmup,
        },
        "sla": sla.rows(),
        "tiers": tier_summaries,
        "step_coverage": step_coverage(together(engine.coverage for engine in engines.values())),
        "bytes": n_bytes,
        "engines": engine_summaries,
        "machine_use": machine_use,
        "loop": objectives.get("loop") or {},
        "paths": mapping(manifest.get("paths")),
        "replay_of": manifest.get("replay_of"),
    }
    rounded: dict[str, Any] = _rounded(summary)
    return rounded


def read_disturbances(directory: Path) -> list[str]:
    """What the summary of a recorded run says against its durations, computed where there is no summary to read.

    Raises ResultsError if neither can be had.
    """
    try:
        summary = json.loads((directory / SUMMARY).read_bytes())
        reasons = summary["reasons"]
    except (OSError, ValueError, LookupError, TypeError):
        reasons = None
    if not isinstance(reasons, list):
        reasons = summarise(directory)["reasons"]
    return disturbances([str(reason) for reason in reasons])


def write_summary(directory: Path) -> dict[str, Any]:
    """Write summary.json atomically and return its content; the same files give the same bytes."""
    summary = summarise(directory)
    write_atomic(directory / SUMMARY, summary_bytes(summary))
    return summary


def summary_bytes(summary: dict[str, Any]) -> bytes:
    """A summary as the bytes of summary.json."""
    return (json.dumps(summary, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def load_scenario(directory: Path, name: str = SCENARIO) -> dict[str, Any]:
    """scenario.resolved.yaml, or another file there, as plain data.

    Raises ResultsError if it is missing or no mapping.
    """
    try:
        scenario = yaml.load(read_scenario_text(directory, name), _LOADER)
    except yaml.YAMLError as error:
        raise ResultsError(f"{directory / name}: {error}; restore the file or run the scenario again") from None
    if not isinstance(scenario, dict):
        raise ResultsError(f"{directory / name}: holds no mapping; restore the file or run the scenario again")
    return scenario


def _tiers_with_clients(scenario: dict[str, Any]) -> set[str]:
    """Tiers that a client group names; a group that leaves the choice to placement names none."""
    return {client["tier"] for client in scenario.get("clients") or [] if client.get("tier") is not None}


def _engines(directory: Path, evidence: Evidence, stubs: set[str]) -> dict[str, _Engine]:
    engines: dict[str, _Engine] = {}
    for line in read_steps(directory):
        evidence.step_lines += 1
        if isinstance(line, PromptRecord):
            continue
        engine = engines.setdefault(line.engine, _Engine(coverage=Coverage(stub=line.engine in stubs)))
        engine.coverage.add(line)
        if isinstance(line, StepRecord):
            engine.steps += 1
            engine.busy_ns += line.duration_ns
            engine.prefill_tokens += line.signature.prefill_tokens
            engine.tokens += sum(count for count, _, _ in line.tokens.values())
        elif isinstance(line, FrontendRecord):
            engine.frontend += 1
            engine.frontend_ns += line.duration_ns
        else:
            engine.egress_ns += sum(line.durations_ns.values())
        if not isinstance(line, EgressRecord):
            engine.hygiene.add(line)
    return engines


def _stubs(tier_infos: dict[str, dict[str, Any]]) -> set[str]:
    """Engines whose times are a scenario's: this one's, or that of the run whose steps they repeat."""
    stubs = [info for info in tier_infos.values() if "stub" in (info.get("kind"), info.get("repeats"))]
    return {name for info in stubs for name in info.get("engines") or []}


def _recordings(children: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """By file what recorded profiles of a run's engines say of the machine that they were measured on."""
    found = {}
    for engines in children.values():
        for engine in mapping(engines).values():
            profile = mapping(mapping(engine).get("profile"))
            if isinstance(profile.get("recording"), dict):
                found[str(profile.get("file"))] = profile["recording"]
    return found


def _tier_coverage(engines: dict[str, _Engine], tier_infos: dict[str, dict[str, Any]]) -> dict[str, Coverage]:
    """Of each tier; an engine of which the manifest does not say whose it is stands for itself."""
    members = {tier: list(info.get("engines") or []) for tier, info in tier_infos.items()}
    known = {name for names in members.values() for name in names}
    members |= {name: [*members.get(name, []), name] for name in engines.keys() - known}
    return {
        tier: together(engines[name].coverage for name in names if name in engines) for tier, names in members.items()
    }


def _engine_summary(engine: _Engine, virtual_ns: int | None) -> dict[str, Any]:
    return {
        "steps": engine.steps,
        "busy_s": engine.busy_ns / NS_PER_S,
        "busy_share": engine.busy_ns / virtual_ns if virtual_ns else None,
        "mean_step_ms": engine.busy_ns / engine.steps / NS_PER_MS if engine.steps else None,
        "prefill_tokens": engine.prefill_tokens,
        "output_tokens": engine.tokens,
        "frontend_n": engine.frontend,
        "mean_frontend_ms": engine.frontend_ns / engine.frontend / NS_PER_MS if engine.frontend else None,
        "egress_s": engine.egress_ns / NS_PER_S,
        "step_coverage": step_coverage(engine.coverage),
        "basis": engine.coverage.basis(),
        "hygiene": engine.hygiene.summary(),
    }


def _machine_use(use: dict[str, Any]) -> dict[str, Any] | None:
    """Shares of the CPUs that the run could use, while it was under way: its own, others', a hypervisor's."""
    if not use:
        return None
    capacity_ns = use["wall_ns"] * use["cpus"]
    return {
        "cpus": use["cpus"],
        "own_share": use["own_ns"] / capacity_ns,
        "other_share": max(0, use["busy_ns"] - use["own_ns"]) / capacity_ns,
        "stolen_share": use["stolen_ns"] / capacity_ns,
    }


def _engines_elsewhere(tier_infos: dict[str, dict[str, Any]]) -> dict[str, str]:
    """The address of each engine whose hardware names one: this machine's load is not theirs."""
    return {
        str(name): str(info["hardware"]).split()[0]
        for info in tier_infos.values()
        if "://" in str(info.get("hardware"))
        for name in info.get("engines") or []
    }


def _tier_summary(tier: _Tier, info: dict[str, Any], coverage: Coverage) -> dict[str, Any]:
    completed = tier.metrics.completed
    return {
        "n": tier.metrics.n,
        "completed": completed,
        **{status: tier.statuses[status] for status in STATUSES if status != "ok"},
        **tier.metrics.summary(),
        "e2el_of_all_ms": tier.metrics.of_all_ms(),
        "duration_s": tier.metrics.duration_s,
        "parts_ms": {name: tier.parts_ns[name] / completed / NS_PER_MS for name in in_order(tier.parts_ns)},
        "step_coverage": step_coverage(coverage),
        "basis": coverage.basis(),
        "kind": info.get("kind"),
        "hardware": info.get("hardware"),
        "path": info.get("path"),
        "sharing": info.get("sharing"),
        "time_scale": info.get("time_scale"),
        "engines": list(info.get("engines") or []),
    }


def _bytes(manifest: dict[str, Any], evidence: Evidence) -> dict[str, Any]:
    """Application bytes over all connections; a connection whose account does not balance goes to the evidence."""
    columns = ("sent", "delivered", "lost", "discarded")
    totals = {direction: dict.fromkeys(columns, 0) for direction in ("up", "down")}
    connections = set()
    for account in manifest.get("connections") or []:
        direction = "up" if account["up"] else "down"
        connections.add(account["connection"])
        for column in columns:
            totals[direction][column] += account[column]
        missing = account["sent"] - account["delivered"] - account["lost"] - account["discarded"]
        if missing:
            evidence.unbalanced.add(f"{account['connection']} {direction} ({missing:+d} bytes)")
    return {"connections": len(connections), **totals}


def _seconds(ns: object) -> float | None:
    return ns / NS_PER_S if isinstance(ns, int) else None


def _integer(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _rounded(value: Any) -> Any:
    """Floats to DECIMALS decimals (1 ns where the unit is ms), so that the last bits of a library do not show."""
    if isinstance(value, float):
        return round(value, DECIMALS)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return value
