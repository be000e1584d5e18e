"""What a run needs beyond a valid file: packages, a policy, models, engine arguments that vLLM has."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from cosim.bridge.keys import KeyFileError, client_keys
from cosim.clients.trace_requests import TraceFileError, TraceReader, TraceUse
from cosim.engine_plan import EnginePlan, engine_plans, engine_spec, host_plans
from cosim.environment import vllm_hardware
from cosim.placement.base import known_policies, load_policy
from cosim.profile.models import ConfigError, read_config
from cosim.profiled_plans import with_profiles
from cosim.scenario.engines import ConfigModel, VllmEngine
from cosim.scenario.errors import Problem, ScenarioError
from cosim.scenario.load import Loaded
from cosim.scenario.sharegpt import ShareGpt, conversations
from cosim.scenario.source import dotted
from cosim.scenario.traces import Trace


class MissingExtraError(Exception):
    """A scenario needs packages that are not installed; the text has the line that brings them."""

    def __init__(self, whats: list[str], extras: list[str]) -> None:
        line = f"pip install 'cosim[{','.join(extras)}]'"
        super().__init__(f"{' and '.join(whats)} not installed; type: {line}  (in a clone of cosim: scripts/setup)")


def check_runnable(loaded: Loaded, *, replay: bool) -> None:
    """Check all that can be known before anything is started.

    Raises MissingExtraError for packages that this machine lacks, ScenarioError for a policy, a piece of hardware or
    engine arguments that do not exist.
    """
    missing = {}
    if loaded.scenario.network.kind == "ns3" and (find_spec("ns3") is None or find_spec("cppyy") is None):
        missing["ns3"] = "ns-3 (network.kind: ns3)"
    plans = [plan for host in host_plans(engine_plans(loaded.scenario)).values() for plan in host]
    if not replay and any(plan.remote is None for plan in plans) and find_spec("vllm") is None:
        missing["cpu"] = "vLLM (engine.kind: vllm)"
    if missing:
        raise MissingExtraError(list(missing.values()), list(missing))
    check_names(loaded, replay=replay)


def check_names(loaded: Loaded, *, replay: bool = False) -> None:
    """Check what lies outside the file: policies, keys, and engine arguments where vLLM is installed.

    Raises ScenarioError with every fault found.
    """
    problems = [*_placement_problems(loaded)]
    if not replay:
        problems += trace_uses(loaded)[1]
        problems += _conversation_problems(loaded)
        problems += _key_problems(loaded)
        problems += _model_problems(loaded)
        problems += _profile_problems(loaded)
    if not replay and find_spec("vllm") is not None:
        problems += _engine_problems(loaded)
    if problems:
        raise ScenarioError(list(dict.fromkeys(problems)))


def trace_uses(loaded: Loaded) -> tuple[dict[str, TraceUse], list[Problem]]:
    """Read what a run would use of each trace: by group what that is, and every fault found."""
    scenario = loaded.scenario
    uses: dict[str, TraceUse] = {}
    problems: list[Problem] = []
    for index, group in enumerate(scenario.clients):
        if not isinstance(group, Trace):
            continue
        reader = TraceReader(group, scenario.warmup + scenario.duration)
        try:
            deque(reader.requests(), maxlen=0)
            uses[group.name] = reader.use
        except TraceFileError as error:
            problems.append(loaded.problem(("clients", index, "file"), str(error), "a CSV or JSON Lines file"))
        except ScenarioError as error:
            problems += error.problems
    return uses, problems


def _conversation_problems(loaded: Loaded) -> Iterator[Problem]:
    """Files of conversations that cannot be used."""
    for index, group in enumerate(loaded.scenario.clients):
        if isinstance(group, ShareGpt):
            keys = ("clients", index, "file")
            try:
                conversations(group, dotted(keys), loaded.source.place(keys))
            except ScenarioError as error:
                yield from error.problems


def _placement_problems(loaded: Loaded) -> Iterator[Problem]:
    placement = loaded.scenario.placement
    if placement.kind not in known_policies():
        allowed = f"allowed: {', '.join(known_policies())}"
        yield loaded.problem(("placement", "kind"), f"no policy {placement.kind!r}", allowed)
        return
    try:
        load_policy(placement.kind, placement.options)
    except TypeError as error:
        yield loaded.problem(("placement", "options"), str(error), f"the options of {placement.kind}")


def _key_problems(loaded: Loaded) -> Iterator[Problem]:
    """Keys of engine hosts on other machines; one host is asked with one key."""
    keys: dict[str, str] = {}
    for plan in engine_plans(loaded.scenario):
        if plan.remote is None:
            continue
        place = ("tiers", plan.tier, "engine", "hardware", "key")
        try:
            client_keys(Path(plan.remote.key))
        except KeyFileError as error:
            yield loaded.problem(place, str(error), "the keys that `cosim keys` made")
        if keys.setdefault(plan.remote.address, plan.remote.key) != plan.remote.key:
            yield loaded.problem(place, f"another key for {plan.remote.address}", keys[plan.remote.address])


def _model_problems(loaded: Loaded) -> Iterator[Problem]:
    """Models by config.json: names that are not shipped, files that are no config."""
    for plan in engine_plans(loaded.scenario):
        if isinstance(plan.settings, VllmEngine) and isinstance(plan.settings.model, ConfigModel):
            try:
                read_config(plan.settings.model.config)
            except ConfigError as error:
                what = error.what if error.place is None else f"{error.place}: {error.what}"
                yield loaded.problem(("tiers", plan.tier, "engine", "model", "config"), what, error.allowed)


def _profile_problems(loaded: Loaded) -> list[Problem]:
    try:
        with_profiles(loaded, engine_plans(loaded.scenario))
    except ScenarioError as error:
        return error.problems
    return []


def _engine_problems(loaded: Loaded) -> Iterator[Problem]:
    build = vllm_hardware()
    for plan in engine_plans(loaded.scenario):
        # Another machine has a vLLM of its own, which knows its arguments.
        if isinstance(plan.settings, VllmEngine) and plan.remote is None:
            if build is not None and plan.executed_on.partition(":")[0] != build:
                what = f"{plan.executed_on!r}, but the {build.upper()} build of vLLM is installed"
                yield loaded.problem(("tiers", plan.tier, "engine", "hardware"), what, f"allowed: auto, {build}")
            yield from _argument_problems(loaded, plan)


def _argument_problems(loaded: Loaded, plan: EnginePlan) -> Iterator[Problem]:
    from cosim.inference.vllm_arguments import argument_errors

    try:
        spec = engine_spec(plan, tls=False)
    except ConfigError:
        # The model's own problem.
        return
    for error in argument_errors(spec):
        keys = ("tiers", plan.tier, "engine", "args", error.argument)
        near = f"did you mean {' or '.join(error.matches)}? " if error.matches else ""
        yield loaded.problem(
            keys, "is not an engine argument of vLLM", f"{near}allowed: the fields of vLLM's EngineArgs"
        )
