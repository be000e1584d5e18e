"""What a scenario may say: the root of the file, the clock, tiers, objectives, validity and the timeline."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field, model_validator

from cosim.scenario.clients import ClientGroup
from cosim.scenario.engines import Balancing, Engine
from cosim.scenario.network import Network
from cosim.scenario.nr import NrAccess
from cosim.scenario.section import Finding, Name, Section, problem, problems
from cosim.scenario.sweep import Sweep
from cosim.scenario.units import Change, Duration, PositiveDuration, Ratio

SCHEMA_VERSION = 1
LARGEST_SEED = 2**63 - 1


class Lockstep(Section):
    """Virtual time: the run is right however slow the machine is."""

    kind: Literal["lockstep"] = "lockstep"


class Tier(Section):
    """Where requests are served. Without a `path` the tier is local to the client: no byte crosses the network."""

    engine: Engine
    path: Name | None = Field(None, description="Name of a path under network.paths; none: local to the client.")
    per_client: bool = Field(False, description="One engine for each client instead of one for all.")
    replicas: int = Field(1, ge=1, le=256, description="Equal engines behind one load balancer, which takes no time.")
    balancing: Balancing = Field(
        "round-robin",
        description="Which replica takes a prompt when it arrives: each in turn; the one with the fewest requests in "
        "it, of equal ones the first; or the one that had the session (of a client without sessions: the client).",
    )

    @model_validator(mode="after")
    def _one_reason_for_many(self) -> Tier:
        if self.per_client and self.replicas > 1:
            raise problem(("replicas",), "given beside per_client", "one of the two")
        return self


class Placement(Section):
    """The policy that chooses a tier for each request: `fixed`, or one that a package brings as an entry point."""

    kind: Name = "fixed"
    options: dict[str, Any] = Field(default_factory=dict)


class Objective(Section):
    """Deadline of an SLA class, counted from the moment at which the request was due."""

    e2el: PositiveDuration


class Validity(Section):
    """What a run must have to be called VALID."""

    min_requests: int = Field(30, ge=1, description="Counted requests for each tier that has clients.")
    max_error_share: Ratio = Field(0.01, description="Share of a tier's requests that may end in an error.")
    max_cpu_wait_share: Ratio = Field(
        0.1, description="Share of an engine's executed time that may have been spent waiting for a CPU."
    )
    max_other_load: Ratio = Field(
        0.25,
        description="Share of this machine's CPUs that other programs or a hypervisor may have used while engines were "
        "executed on it.",
    )
    max_step_drift: Change = Field(
        0.5, description="Change of the time of equal steps over the run; INVALID if its 95 % interval lies beyond."
    )
    allow_extrapolated: list[Name] = Field(
        default_factory=list, description="Tiers whose steps may leave what their recorded profile measured."
    )


class Limits(Section):
    """How long cosim waits for a peer before it calls it silent."""

    silence: PositiveDuration = Field(60_000_000_000, description="For a reply of a child that is at work.")
    start: PositiveDuration = Field(600_000_000_000, description="For a child to be ready.")


class TimelineEntry(Section):
    """At a time, new values for network knobs, by dotted path from the root."""

    at: Duration
    set: dict[str, Any]


class Scenario(Section):
    """One run: who asks, what stands between, who answers, and what is asked of the answer."""

    schema_version: Literal[1]
    name: Name = "run"
    seed: int = Field(1, ge=0, le=LARGEST_SEED)
    clock: Lockstep = Lockstep()
    duration: PositiveDuration = Field(description="Clients issue requests for this long, after the warm-up.")
    warmup: Duration = Field(0, description="Requests issued before are served but not counted.")
    network: Network
    tiers: dict[Name, Tier] = Field(min_length=1)
    clients: list[ClientGroup] = Field(min_length=1)
    placement: Placement = Placement()
    sla: dict[Name, Objective] = Field(default_factory=dict)
    validity: Validity = Validity()
    limits: Limits = Limits()
    timeline: list[TimelineEntry] = Field(default_factory=list)
    sweep: Sweep | None = None

    @model_validator(mode="after")
    def _references(self) -> Scenario:
        found: list[Finding] = []
        paths = list(self.network.paths)
        for name, tier in self.tiers.items():
            if tier.path is not None and tier.path not in paths:
                found.append((("tiers", name, "path"), f"no path {tier.path!r}", paths))
        for index, name in enumerate(self.validity.allow_extrapolated):
            if name not in self.tiers:
                found.append((("validity", "allow_extrapolated", index), f"no tier {name!r}", list(self.tiers)))
        names = [group.name for group in self.clients]
        for index, group in enumerate(self.clients):
            if group.name in names[:index]:
                found.append((("clients", index, "name"), f"{group.name!r} names two groups", "a name of its own"))
            for keys, asked in group.references():
                if asked not in self.tiers:
                    found.append((("clients", index, *keys), f"no tier {asked!r}", list(self.tiers)))
        if isinstance(self.network.access, NrAccess):
            found += _unbound_ues(self.network.access, names)
        if self.sweep is not None and self.seed + self.sweep.repeats - 1 > LARGEST_SEED:
            what = f"{self.seed} leaves no seed for the last of {self.sweep.repeats} runs of each point"
            found.append((("seed",), what, f"at most {LARGEST_SEED - self.sweep.repeats + 1}"))
        if found:
            raise problems(found)
        return self


def _unbound_ues(access: NrAccess, clients: list[str]) -> Iterator[Finding]:
    """UE groups that name clients which are not there, or that two groups name, and background UEs of their names."""
    for name in access.background:
        taken = [client for client in clients if client == name or re.fullmatch(rf"{name}-\d+(-\d+)?", client)]
        if taken:
            what = f"its UEs would have the names of the clients {taken[0]!r}"
            yield ("network", "access", "background", name), what, "another name"
    bound: dict[str, str] = {}
    for name, group in access.ues.items():
        keys = ("network", "access", "ues", name)
        if name != "default" and not group.clients and name not in clients:
            yield keys, f"no clients are named {name!r}", [*clients, "default"]
        for index, client in enumerate(group.clients):
            if client not in clients:
                yield (*keys, "clients", index), f"no clients are named {client!r}", clients
        for client in group.clients or [name]:
            if client in bound:
                yield keys, f"the clients {client!r} are UEs of {bound[client]!r} already", "one group for each client"
            bound[client] = name
