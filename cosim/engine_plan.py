"""Which engines a scenario has, and which of them share a process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cosim.bridge import engine_messages as messages
from cosim.clients.build import client_names
from cosim.environment import vllm_hardware
from cosim.profile.base import Profile
from cosim.profile.models import read_config
from cosim.results.store import read_manifest
from cosim.scenario.engines import ConfigModel, RemoteHardware
from cosim.scenario.engines import ProfiledExecutor as ProfiledSettings
from cosim.scenario.engines import ReplayEngine as ReplaySettings
from cosim.scenario.engines import StubEngine as StubSettings
from cosim.scenario.engines import VllmEngine as VllmSettings
from cosim.scenario.model import Scenario


@dataclass(frozen=True, slots=True)
class EnginePlan:
    """One engine, perhaps of several replicas: its name, its tier, and for an engine per client whose it is."""

    name: str
    tier: str
    client: str | None
    settings: VllmSettings | StubSettings | ReplaySettings
    recorded_hardware: str | None = None
    profile: Profile | None = None

    @property
    def hardware(self) -> str:
        """The piece of hardware that the engine's times are of: what its profile stands for, or where it is executed.

        In a replay it is the recorded run's: engines take turns as they did there, whatever this machine has.
        """
        if self.recorded_hardware is not None:
            return self.recorded_hardware
        if self.executor is not None:
            return self.executor.profile if self.profile is None else self.profile.label
        return self.executed_on

    @property
    def executed_on(self) -> str:
        """Hardware of its process, `auto` made out; of another machine, its address and what of it is not `auto`."""
        wanted = self.settings.hardware
        if isinstance(wanted, RemoteHardware):
            return wanted.address if wanted.hardware == "auto" else f"{wanted.address} {wanted.hardware}"
        return (vllm_hardware() or "cpu") if wanted == "auto" else wanted

    @property
    def executor(self) -> ProfiledSettings | None:
        """What stands for a forward pass; None where steps are executed."""
        return self.settings.executor if isinstance(self.settings, VllmSettings) else None

    @property
    def steps_from(self) -> str:
        """What its steps' durations come from, for a reader."""
        settings = self.settings
        if self.recorded_hardware is not None:
            return "repeated from a recorded run"
        if isinstance(settings, StubSettings):
            return "constant times of the scenario"
        if isinstance(settings, ReplaySettings):
            return f"the steps of {settings.run}"
        if settings.executor is None:
            return f"executed on {self.executed_on}"
        if self.profile is None:
            return f"the profile {settings.executor.profile}"
        if self.profile.describe()["kind"] == "roofline":
            return f"predicted by a roofline of {self.profile.label}"
        return f"drawn by seed from the recorded profile {settings.executor.profile} of {self.profile.label}"

    @property
    def remote(self) -> RemoteHardware | None:
        """The hardware if it is of another machine."""
        wanted = self.settings.hardware
        return wanted if isinstance(wanted, RemoteHardware) else None


def recorded_hardware(directory: Path | None) -> dict[str, str]:
    """What hardware the tiers of a recorded run had; nothing without one. Raises ResultsError without a manifest."""
    if directory is None:
        return {}
    manifest: dict[str, Any] = read_manifest(directory)
    tiers = (manifest.get("objectives") or {}).get("tiers") or {}
    return {name: tier["hardware"] for name, tier in tiers.items() if tier.get("hardware") is not None}


def engine_plans(scenario: Scenario, recorded: Mapping[str, str] = MappingProxyType({})) -> list[EnginePlan]:
    """Every engine that can get a request: tiers without clients have none. `recorded`: hardware by tier."""
    fixed = scenario.placement.kind == "fixed"
    plans = []
    for name, tier in scenario.tiers.items():
        groups = [group for group in scenario.clients if name in group.tiers or not fixed]
        clients = [client for group in groups for client in client_names(group)]
        if tier.per_client:
            plans += [
                EnginePlan(f"{name}/{client}", name, client, tier.engine, recorded.get(name)) for client in clients
            ]
        elif clients:
            names = [name] if tier.replicas == 1 else [f"{name}/replica-{index}" for index in range(tier.replicas)]
            plans += [EnginePlan(replica, name, None, tier.engine, recorded.get(name)) for replica in names]
    return plans


def host_plans(plans: list[EnginePlan]) -> dict[str, list[EnginePlan]]:
    """Engine hosts by role: one for each piece of hardware, one for profiled engines, one for each with `isolate`."""
    hosts: dict[str, list[EnginePlan]] = {}
    for plan in plans:
        if isinstance(plan.settings, VllmSettings):
            hosts.setdefault(_role(plan, plan.settings), []).append(plan)
    return hosts


def _role(plan: EnginePlan, settings: VllmSettings) -> str:
    if settings.isolate:
        return f"engine {plan.name}"
    if settings.executor is not None and plan.remote is None:
        return "engines profiled"
    return f"engines {plan.executed_on}"


def engine_spec(plan: EnginePlan, *, tls: bool) -> messages.EngineSpec:
    """What an engine host is told of a vLLM engine. Raises ConfigError for a model whose config cannot be read."""
    assert isinstance(plan.settings, VllmSettings)
    model = plan.settings.model
    wanted: messages.SyntheticModel | messages.ConfigModel | messages.HubModel
    if isinstance(model, str):
        wanted = messages.HubModel(model)
    elif isinstance(model, ConfigModel):
        wanted = messages.ConfigModel(*read_config(model.config))
    else:
        wanted = messages.SyntheticModel(**model.model_dump(exclude={"kind"}))
    executor = plan.profile.executor if plan.profile is not None else None
    return messages.EngineSpec(plan.name, wanted, plan.settings.served_name, plan.settings.args, tls, executor)
