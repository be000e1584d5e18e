"""The engines of a run with the profiles that they are charged by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from cosim.engine_plan import EnginePlan, engine_plans, engine_spec, recorded_hardware
from cosim.profile.base import Profile
from cosim.profile.load import ProfileError, load_profile
from cosim.profile.models import ConfigError
from cosim.scenario.errors import Problem, ScenarioError
from cosim.scenario.load import Loaded


def planned_engines(loaded: Loaded, *, recorded: Path | None) -> list[EnginePlan]:
    """Every engine of a run; a replay (`recorded`) needs no profile. Raises ScenarioError with every fault found."""
    plans = engine_plans(loaded.scenario, recorded_hardware(recorded))
    return plans if recorded is not None else with_profiles(loaded, plans)


def with_profiles(loaded: Loaded, plans: Sequence[EnginePlan]) -> list[EnginePlan]:
    """Plans with their profiles; engines of one tier share one. Raises ScenarioError with every fault found."""
    profiles: dict[str, Profile] = {}
    problems: list[Problem] = []
    for plan in {plan.tier: plan for plan in plans if plan.executor is not None}.values():
        assert plan.executor is not None
        try:
            profiles[plan.tier] = load_profile(
                plan.executor.profile, engine_spec(plan, tls=False), quantization=plan.executor.quantization
            )
        except ConfigError:
            continue  # The model's own fault, told where models are checked.
        except ProfileError as error:
            problems += [_problem(loaded, plan, fault) for fault in error.faults]
    if problems:
        raise ScenarioError(problems)
    return [replace(plan, profile=profiles.get(plan.tier)) for plan in plans]


def _problem(loaded: Loaded, plan: EnginePlan, fault: ProfileError) -> Problem:
    """A fault at the profile's own file and line, or where the scenario names it."""
    if fault.place is None:
        keys = ("tiers", plan.tier, "engine", "executor", "profile")
        return loaded.problem(keys, fault.what, fault.allowed)
    file, _, line = fault.place.rpartition(":")
    if line.isdecimal():
        return Problem(file, int(line), "", fault.what, fault.allowed)
    return Problem(fault.place, None, "", fault.what, fault.allowed)
