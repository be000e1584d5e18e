"""What a run would start, send and measure, as text."""

from __future__ import annotations

from collections.abc import Iterator

from cosim.clients.build import client_names
from cosim.clients.trace_requests import TraceUse
from cosim.clock import NS_PER_MS, NS_PER_S
from cosim.engine_plan import EnginePlan, host_plans
from cosim.link_words import link_words
from cosim.path_basis import path_basis
from cosim.plan_clients import client_lines
from cosim.profiled_plans import planned_engines
from cosim.requirements import trace_uses
from cosim.scenario.errors import ScenarioError
from cosim.scenario.load import Loaded
from cosim.scenario.network import LinkAccess
from cosim.scenario.nr import NrAccess
from cosim.scenario.nr_carrier import SUBCARRIER_SPACING_HZ


def plan_lines(loaded: Loaded) -> Iterator[str]:
    """Lines for a terminal; nothing is started. Raises ScenarioError for a trace or a profile that cannot be used."""
    scenario = loaded.scenario
    plans = planned_engines(loaded, recorded=None)
    uses, problems = trace_uses(loaded)
    if problems:
        raise ScenarioError(problems)
    length_s = (scenario.warmup + scenario.duration) / NS_PER_S
    yield f"{scenario.name}: {length_s:g} s of virtual time (of it {scenario.warmup / NS_PER_S:g} s warm-up),"
    yield f"  seed {scenario.seed}, clock {scenario.clock.kind}"
    yield "would start"
    if scenario.network.kind == "ns3":
        yield "  network ns3: an ns-3 process"
    for role, members in host_plans(plans).items():
        where = " on the engine host there" if members[0].remote else ""
        yield f"  {role}: a process{where} with {', '.join(plan.name for plan in members)}"
    for name, tier in scenario.tiers.items():
        if tier.replicas > 1:
            yield f"  {name}: {tier.replicas} replicas behind a {tier.balancing} load balancer that takes no time"
    if scenario.network.kind == "pipe" and not host_plans(plans):
        yield "  no process: network and engines are doubles in process"
    yield "would send"
    for group in scenario.clients:
        tier = scenario.tiers[group.tier]
        way = "local" if tier.path is None else f"over access, core and path {tier.path}"
        if tier.path is not None and scenario.network.paths[tier.path].gateway is not None:
            way += ", HTTP/2 to its gateway"
        yield f"  {group.name}: {len(client_names(group))} client(s) of kind {group.kind} to {group.tier}, {way}"
        yield from (f"    {line}" for line in client_lines(group))
        if group.name in uses:
            yield f"    {_trace(uses[group.name])}"
    yield "network"
    yield f"  {_access(scenario.network.access)}"
    for name, path in [("core", scenario.network.core), *scenario.network.paths.items()]:
        label = name if path is scenario.network.core else f"path {name}"
        yield f"  {label} up {link_words(path.direction(up=True))}; down {link_words(path.direction(up=False))}"
        for outage in path.outages:
            yield f"    outage at {outage.at / NS_PER_S:g} s for {outage.duration / NS_PER_S:g} s"
    yield from _basis_lines(loaded)
    for state in loaded.timeline:
        yield f"  changes at {state.at_ns / NS_PER_S:g} s"
    yield "would measure"
    for name, objective in scenario.sla.items():
        deadline_ms = objective.e2el / NS_PER_MS
        yield f"  {name}: share of requests that end within {deadline_ms:g} ms of the time at which they were due"
    for plan in plans:
        settings = plan.settings
        charged = f"time_scale {settings.time_scale:g}, {settings.sharing}"
        yield f"  {plan.name}: {settings.kind} {settings.served_name}, {charged}"
        yield f"    steps: {plan.steps_from}{_kv_cache(plan)}"


def _basis_lines(loaded: Loaded) -> Iterator[str]:
    """What the values of links with a preset or a trace rest on."""
    for name, basis in path_basis(loaded.scenario.network).items():
        figures = [figure for figure in basis["figures"] if basis["preset"] or figure["kind"] == "trace"]
        if figures:
            yield f"  {name} rests on " + (f"preset {basis['preset']}" if basis["preset"] else "a trace")
        for figure in figures:
            rests = [figure[part] for part in ("kind", "percentile", "source", "date", "why")]
            yield f"    {figure['key']} {figure['value']}: {', '.join(filter(None, rests))}"


def _kv_cache(plan: EnginePlan) -> str:
    """The KV cache of a profiled engine, whose size is known before it starts."""
    if plan.profile is None:
        return ""
    size = f"; KV cache {plan.profile.executor.kv_cache_bytes / 2**30:.2f} GiB"
    blocks = plan.profile.describe().get("kv_blocks")
    return size if blocks is None else f"{size}, {blocks} blocks"


def _trace(use: TraceUse) -> str:
    last_s = (use.last_due_ns or 0) / NS_PER_S
    return (
        f"{use.requests} request(s), lines {use.first_line} to {use.last_line} of the trace ({use.format}), the last "
        f"at {last_s:g} s; {use.clipped} clipped, {use.dropped} dropped"
    )


def _access(access: LinkAccess | NrAccess) -> str:
    if isinstance(access, LinkAccess):
        return f"access up {link_words(access.uplink)}; down {link_words(access.downlink)}"
    carrier, others = access.carrier, sum(group.count for group in access.background.values())
    spacing_khz = SUBCARRIER_SPACING_HZ[carrier.numerology] // 1000
    return (
        f"access NR cell, preset {access.preset}: {carrier.bandwidth / 1e6:g} MHz ({carrier.n_rb} RBs of {spacing_khz} "
        f"kHz), {carrier.duplex}, {access.gnb.scheduler}, {others} background UE(s)"
    )
