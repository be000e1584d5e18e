"""From a file, the environment and flags to a validated scenario, and back to a file with every default."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from cosim.scenario.errors import Problem, ScenarioError
from cosim.scenario.explain import explain
from cosim.scenario.link_traces import take_in
from cosim.scenario.links import Outage
from cosim.scenario.live import is_trace, live_section, refusal
from cosim.scenario.model import Scenario
from cosim.scenario.network import Ns3Network, PipeNetwork
from cosim.scenario.nr import NrAccess
from cosim.scenario.nr_trace import read_trace
from cosim.scenario.nr_ues import Interruption
from cosim.scenario.override import apply_environment, apply_settings
from cosim.scenario.section import Section
from cosim.scenario.source import KeyPath, Source, dotted, literal, read

PROFILE_FILE = re.compile(r"\.(jsonl|ya?ml)(/[^/]+)?$")  # With a slice behind a hardware file.
SCHEMA_FILE = Path(__file__).parent / "schema.json"


@dataclass(frozen=True, slots=True)
class Knobs:
    """The network as it is from a time on."""

    at_ns: int
    network: Ns3Network | PipeNetwork


@dataclass(frozen=True, slots=True)
class Loaded:
    """A scenario, its timeline as states of the network, warnings for the user, and where each key was written."""

    scenario: Scenario
    timeline: tuple[Knobs, ...]
    warnings: tuple[str, ...]
    source: Source

    def problem(self, keys: KeyPath, what: str, allowed: str) -> Problem:
        """A fault at a key that only became clear after loading."""
        origin, line = self.source.place(keys)
        return Problem(origin, line, dotted(keys), what, allowed)

    def resolved_yaml(self) -> str:
        """The scenario with every default filled in, as a file that `cosim run` takes."""
        head = f"# yaml-language-server: $schema={SCHEMA_FILE.name}\n"
        # ASCII, since PyYAML writes some line breaks of Unicode so that they read back as others.
        return head + yaml.safe_dump(literal(self.data()), sort_keys=False, width=110)

    def data(self) -> dict[str, Any]:
        """The scenario as plain data with units."""
        data = self.scenario.model_dump(mode="json")
        if data["sweep"] is None:  # So that a run reads the same whether or not it is one of a sweep.
            del data["sweep"]
        return data

    def base(self) -> Loaded:
        """Without its sweep: what the file says beside it."""
        return replace(self, scenario=self.scenario.model_copy(update={"sweep": None}))

    def hash(self) -> str:
        """SHA-256 of the resolved scenario."""
        return hash_of(self.data())


def hash_of(data: dict[str, Any]) -> str:
    """SHA-256 of a resolved scenario, as `Loaded.data` gives it."""
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def load(
    path: Path,
    *,
    settings: Iterable[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Loaded:
    """Read and check a scenario. Precedence: `settings` (flags), environment, file, defaults.

    Raises ScenarioError with every fault found, each at its file and line, variable or flag.
    """
    environment = os.environ if environment is None else environment
    source = read(path, environment)
    warnings = apply_environment(source, environment, Scenario.model_fields)
    apply_settings(source, settings)
    return load_source(source, warnings)


def load_source(source: Source, warnings: Iterable[str] = ()) -> Loaded:
    """Check data that were read from a file. Raises ScenarioError with every fault found."""
    scenario = _validate(source)
    scenario = _absolute_paths(scenario, Path(source.file).parent, source)
    timeline = _timeline(scenario, source)
    warnings = list(warnings)
    networks = [scenario.network, *(state.network for state in timeline)]
    if any(isinstance(network, PipeNetwork) and network.drops() for network in networks):
        ignored = "every loss, queue, discipline, outage and mahimahi rate"
        warnings.append(f"network.kind: pipe moves messages, not packets: it ignores {ignored}; use ns3")
    if scenario.sweep is None:  # Else each point says it, with its own values.
        warnings += _idle_parts(scenario)
    return Loaded(scenario, timeline, tuple(warnings), source)


def load_resolved(data: dict[str, Any], file: str) -> Loaded:
    """A scenario from what `Loaded.data` gave, in which nothing is left to find; `file` names it in errors."""
    source = Source(file, data)
    scenario = _validate(source)
    return Loaded(scenario, _timeline(scenario, source), (), source)


def _idle_parts(scenario: Scenario) -> Iterator[str]:
    """What is written but can have no effect: often a name that is spelled in two ways."""
    used = {tier.path for tier in scenario.tiers.values()}
    for name in scenario.network.paths:
        if name not in used:
            yield f"network.paths.{name}: no tier uses this path (tiers use: {', '.join(sorted(filter(None, used)))})"
    for name, path in scenario.network.paths.items():
        if path.preset is not None and not path.from_preset():
            yield f"network.paths.{name}.preset: changes nothing, since every value of it is given beside it"
    asked = {tier for group in scenario.clients for tier in group.tiers}
    for name in scenario.tiers:
        if name not in asked and scenario.placement.kind == "fixed":
            yield f"tiers.{name}: no client asks this tier"
        if scenario.tiers[name].replicas == 1 and scenario.tiers[name].balancing != "round-robin":
            yield f"tiers.{name}.balancing: has nothing to choose from, since replicas is 1"
    end_ns = scenario.warmup + scenario.duration
    for index, group in enumerate(scenario.clients):
        late = group.count - sum(group.joins_at(k) < end_ns for k in range(group.count))
        if late:
            yield f"clients.{index}.join: {late} client(s) join after the last request is issued, at {end_ns / 1e9:g} s"
    for index, entry in enumerate(scenario.timeline):
        if entry.at >= end_ns:
            yield f"timeline.{index}: comes after the last request is issued, at {end_ns / 1e9:g} s"
    for keys, at_ns in _gaps(scenario):
        if at_ns >= end_ns:
            yield f"{keys}: comes after the last request is issued, at {end_ns / 1e9:g} s"
    access = scenario.network.access
    for name, others in access.background.items() if isinstance(access, NrAccess) else ():
        if others.uplink is None and others.downlink is None and not _is_turned_on(scenario, name):
            yield f"network.access.background.{name}: has neither uplink nor downlink, so it takes nothing of the cell"


def _gaps(scenario: Scenario) -> Iterator[tuple[str, int]]:
    """Outages of paths and interruptions of UEs: where they are written, and when they begin."""
    network = scenario.network
    groups = network.access.ues if isinstance(network.access, NrAccess) else {}
    gaps: dict[str, Sequence[Outage | Interruption]] = {"network.core.outages": network.core.outages}
    gaps |= {f"network.paths.{name}.outages": path.outages for name, path in network.paths.items()}
    gaps |= {f"network.access.ues.{name}.interruptions": group.interruptions for name, group in groups.items()}
    yield from ((f"{key}.{index}", gap.at) for key, several in gaps.items() for index, gap in enumerate(several))


def _is_turned_on(scenario: Scenario, name: str) -> bool:
    """Whether the timeline gives traffic to a background group."""
    paths = [path for entry in scenario.timeline for path in entry.set]
    return any(path.startswith(f"network.access.background.{name}.") and path.endswith("link") for path in paths)


def json_schema() -> dict[str, Any]:
    """JSON Schema of a scenario, for editors."""
    schema = Scenario.model_json_schema()
    # Pydantic gives a default as it is held, where a file has it with its unit, and leaves names open.
    sections = {section.__name__: section for section in _sections(Section)}
    for name, part in [("Scenario", schema), *schema["$defs"].items()]:
        defaults = sections[name].model_construct().model_dump(mode="json")
        for key, held in part["properties"].items():
            if "default" in held:
                held["default"] = defaults[key]
            if "patternProperties" in held:
                held["additionalProperties"] = False
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "cosim scenario", **schema}


def _sections(base: type[Section]) -> Iterator[type[Section]]:
    for section in base.__subclasses__():
        yield section
        yield from _sections(section)


def _validate(source: Source) -> Scenario:
    try:
        return Scenario.model_validate(source.data)
    except ValidationError as error:
        raise ScenarioError(explain(error, source, Scenario)) from None


def _absolute_paths(scenario: Scenario, base: Path, source: Source) -> Scenario:
    """Make file names independent of where the resolved copy will lie, and check that they exist; take traces in.

    A name in the file is relative to the file, one in a flag or in the environment to the working directory.
    """
    problems: list[Problem] = []

    def absolute(text: str, keys: KeyPath) -> str:
        in_file = source.place(keys)[1] is not None
        return os.path.realpath(base / text if in_file else text)

    def checked(text: str, keys: KeyPath, wanted: str) -> str:
        path = absolute(text, keys)
        if not os.path.isdir(path):
            origin, line = source.place(keys)
            problems.append(Problem(origin, line, dotted(keys), f"no folder {text!r}", wanted))
        return path

    data = scenario.model_dump(mode="json")
    for index, group in enumerate(data["clients"]):
        if group.get("folder") is not None:
            group["folder"] = checked(group["folder"], ("clients", index, "folder"), "a folder with JPEG images")
        if group["kind"] in ("sharegpt", "trace"):
            group["file"] = absolute(group["file"], ("clients", index, "file"))
    for name, tier in data["tiers"].items():
        engine, keys = tier["engine"], ("tiers", name, "engine")
        if engine["kind"] == "replay":
            engine["run"] = checked(engine["run"], (*keys, "run"), "the directory of a run")
        elif isinstance(engine["hardware"], dict):
            # The model lies on the other machine; whether the key can be read matters only when a run starts.
            key = engine["hardware"]["key"]
            engine["hardware"]["key"] = absolute(os.path.expanduser(key), (*keys, "hardware", "key"))
        elif engine["kind"] == "vllm" and isinstance(engine["model"], str):
            folder = absolute(engine["model"], (*keys, "model"))
            engine["model"] = folder if os.path.isdir(folder) else engine["model"]
        elif engine["kind"] == "vllm" and engine["model"]["kind"] == "config":
            config = engine["model"]["config"]
            if config.endswith(".json"):
                engine["model"]["config"] = absolute(config, (*keys, "model", "config"))
        executor = engine.get("executor")
        if executor is not None and PROFILE_FILE.search(executor["profile"]):
            executor["profile"] = absolute(executor["profile"], (*keys, "executor", "profile"))
    problems += take_in(data["network"], absolute, source)
    access = data["network"]["access"]
    for kind in ("ues", "background"):
        for name, group in access.get(kind, {}).items():
            if isinstance(group["trace"], str):
                at = ("network", "access", kind, name, "trace")
                try:
                    group["trace"] = read_trace(Path(absolute(group["trace"], at)), dotted(at), source.place(at))
                except ScenarioError as error:
                    problems += error.problems
    if problems:
        raise ScenarioError(problems)
    return Scenario.model_validate(data)


def _timeline(scenario: Scenario, source: Source) -> tuple[Knobs, ...]:
    """The network after each entry of the timeline, in order of time; entries add up."""
    if not scenario.timeline:
        return ()
    data = scenario.model_dump(mode="json")
    states: list[Knobs] = []
    problems: list[Problem] = []
    order = sorted(range(len(scenario.timeline)), key=lambda index: scenario.timeline[index].at)
    for index in order:
        entry = scenario.timeline[index]
        for path, value in entry.set.items():
            keys = ("timeline", index, "set", path)
            origin, line = source.place(keys)
            section = live_section(data, path)
            if section is None:
                what, allowed = refusal(data, path)
                problems.append(Problem(origin, line, f"timeline.{index}.set", f"{path!r} {what}", allowed))
                continue
            if is_trace(value):
                what = f"{path!r} cannot become a trace in a run"
                allowed = "the trace under network, where it begins with the run; here a value without a file"
                problems.append(Problem(origin, line, f"timeline.{index}.set", what, allowed))
                continue
            knob = path.rpartition(".")[2]
            if section.get(f"{knob}_up") is not None and section.get(f"{knob}_down") is not None:
                what = f"changes nothing, since {knob}_up and {knob}_down are given"
                problems.append(Problem(origin, line, path, what, f"{path}_up and {path}_down"))
                continue
            before, section[knob] = section[knob], value
            try:
                Scenario.model_validate(data)
            except ValidationError as error:
                found = explain(error, Source(source.file, data), Scenario)
                problems += [replace(problem, origin=origin, line=line, key=path) for problem in found]
                section[knob] = before
        if not problems:
            states.append(Knobs(entry.at, Scenario.model_validate(data).network))
    if problems:
        raise ScenarioError(problems)
    return tuple(states)
