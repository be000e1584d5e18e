"""From a scenario to the parts of a run: network, engine hosts, engines, clients."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from cosim import wire
from cosim.balancing import BALANCERS, Balancer
from cosim.bridge.child import Runtime
from cosim.bridge.keys import client_keys
from cosim.bridge.messages import Topology
from cosim.clients.base import Client, Question
from cosim.clients.build import build_clients, client_names
from cosim.clients.conversation_store import store_conversations
from cosim.clients.trace_store import StoredTrace, store_traces
from cosim.clock import NS_PER_S, Agenda
from cosim.engine_plan import EnginePlan, engine_spec, host_plans
from cosim.entry_store import EntryStore, user_cache
from cosim.inference.base import Engine
from cosim.inference.replay import Recording, ReplayEngine
from cosim.inference.stub import StubEngine
from cosim.kept_children import KeptChildren
from cosim.network.base import Gauge, KnobChange, Network
from cosim.network.pipe import PipeNetwork
from cosim.network.schedule import State, knob_changes
from cosim.network.topology import topology
from cosim.placement.base import Placement, load_policy
from cosim.results.store import read_steps
from cosim.scenario.engines import ReplayEngine as ReplaySettings
from cosim.scenario.engines import StubEngine as StubSettings
from cosim.scenario.engines import VllmEngine as VllmSettings
from cosim.scenario.load import Loaded
from cosim.scenario.network import Network as NetworkSection
from cosim.scenario.sharegpt import Conversation
from cosim.serving import Hardware, Recorder, Serving
from cosim.signals import unbroken

if TYPE_CHECKING:
    from cosim.inference.vllm import EngineHost
    from cosim.network.ns3 import Ns3Network

FRAMES_LIMIT_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class TierSite:
    """A tier as the conductor sees it; see `conductor.Site`."""

    path: str | None
    servings: dict[str | None, Serving]
    balancer: Balancer | None
    size: Callable[[Question], int]
    tls: bool
    http2: bool

    def only_serving(self, client: str) -> Serving | None:
        """The client's own engine, or the one that all share; None where a balancer chooses."""
        return None if self.balancer else self.servings.get(client) or self.servings[None]

    def choose_serving(self, question: Question) -> Serving:
        """The engine that takes a prompt which has arrived now."""
        if self.balancer is not None:
            return self.balancer.choose(question)
        return self.servings.get(question.client) or self.servings[None]

    def wire_bytes(self, question: Question) -> int:
        """Size of a request on the wire."""
        return self.size(question)

    def answer_bytes(self, n_bytes: int, *, first: bool, last: bool) -> int:
        """Size of a chunk on the wire; a gateway puts what the engine wrote in HTTP/1.1 into HTTP/2's frames."""
        return wire.reframed_bytes(n_bytes, first=first, last=last) if self.http2 else n_bytes

    def refusal_bytes(self, text: str) -> int:
        """Size of an error answer on the wire."""
        return wire.http2_error_bytes(text) if self.http2 else wire.error_bytes(text, tls=self.tls)


class Assembly:
    """The parts of one run. `start` starts the children; `wait_ready` waits for them; `stop` ends them, in any case."""

    def __init__(
        self,
        loaded: Loaded,
        plans: list[EnginePlan],
        *,
        run_directory: Path,
        recorded: Path | None,
        gauge: Gauge = lambda t_ns, source, metric, labels, value: None,
        kept: KeptChildren | None = None,
    ) -> None:
        self.scenario = loaded.scenario
        self.hosts: dict[str, EngineHost] = {}
        self.ns3: Ns3Network | None = None
        self.children: dict[str, dict[str, object]] = {}
        self.versions: dict[str, str] = {}
        self.engine_hosts: dict[str, dict[str, Any]] = {}
        self.traces: dict[str, StoredTrace] = {}
        self._conversations: dict[str, Sequence[Conversation]] = {}
        self._loaded = loaded
        self._logs = run_directory / "logs"
        self._plans = plans
        self._recording: Recording | None = None
        if recorded is not None:
            self._recording = Recording(read_steps(recorded), [plan.name for plan in self._plans], prompts=True)
        self._run_directory = run_directory
        self._recorded = recorded
        self._gauge = gauge
        self._kept = kept
        self._runtime: Runtime | None = None

    def start(self) -> None:
        """Store what clients ask from files and start the children.

        Raises ScenarioError for such a file, ChildError; `stop` ends those that were started.
        """
        scenario = self.scenario
        self.traces = store_traces(
            scenario.clients, scenario.warmup + scenario.duration, self._run_directory, recorded=self._recorded
        )
        self._conversations = store_conversations(scenario.clients, self._run_directory, recorded=self._recorded)
        with unbroken:
            self._runtime = Runtime()
        self.network = self._start_network(self._runtime)
        if self._recording is None:
            self._start_hosts(self._runtime)

    def wait_ready(self) -> None:
        """Wait until the network stands and every engine is warm. Raises ChildError."""
        limit_s = self.scenario.limits.start / NS_PER_S
        if self.ns3 is not None:
            ready = self.ns3.wait_ready(limit_s=limit_s)
            self.versions.update(ready.versions)
            self.children["network ns3"] = dict(ready.versions)
        for role, host in self.hosts.items():
            engines = host.wait_ready(limit_s=limit_s)
            if host.elsewhere is None:
                self.versions.update(engines.versions)
            else:
                self.engine_hosts[role] = host.elsewhere | {"versions": host.elsewhere["versions"] | engines.versions}
            profiles = {plan.name: {"profile": plan.profile.describe()} for plan in self._plans if plan.profile}
            self.children[role] = {name: values | profiles.get(name, {}) for name, values in engines.resolved.items()}

    def refused_messages(self) -> dict[str, int]:
        """How many messages of each child were no messages."""
        network = {"network ns3": self.ns3.refused_messages} if self.ns3 is not None else {}
        return network | {role: host.child.refused_messages for role, host in self.hosts.items()}

    def engines_wall_ns(self) -> int:
        """Wall time spent waiting for engine hosts."""
        return sum(host.wall_ns for host in self.hosts.values())

    def servings(
        self, agenda: Agenda, recorder: Recorder, observe: Callable[[int, str], None] = lambda t_ns, text: None
    ) -> dict[str, Serving]:
        """Every engine with its stages, by name."""
        hardware: dict[str, Hardware] = {}
        servings = {}
        for plan in self._plans:
            shared = None
            if plan.settings.sharing == "timeslice":
                shared = hardware.setdefault(plan.hardware, Hardware(plan.hardware))
            servings[plan.name] = Serving(
                self._engine(plan), hardware=shared, agenda=agenda, recorder=recorder, observe=observe
            )
        return servings

    def sites(self, servings: dict[str, Serving]) -> dict[str, TierSite]:
        """Tiers with their engines."""
        sites = {}
        for name, tier in self.scenario.tiers.items():
            plans = [plan for plan in self._plans if plan.tier == name]
            of_tier = {plan.client: servings[plan.name] for plan in plans}
            balancer = None
            if tier.replicas > 1:
                balancer = BALANCERS[tier.balancing]([servings[plan.name] for plan in plans])
            sites[name] = TierSite(tier.path, of_tier, balancer, self._sizes(name), self._tls(name), self._http2(name))
        return sites

    def clients(self) -> list[Client]:
        """Every client of every group."""
        scenario = self.scenario
        # Without a forward pass, encoding pictures would be most of what is computed.
        profiled = any(isinstance(plan.settings, VllmSettings) and plan.settings.executor for plan in self._plans)
        return build_clients(
            scenario.clients,
            seed=scenario.seed,
            end_ns=scenario.warmup + scenario.duration,
            models={name: tier.engine.served_name for name, tier in scenario.tiers.items()},
            images=self._recording is None,
            kept_frames=EntryStore(user_cache() / "frames", limit_bytes=FRAMES_LIMIT_BYTES) if profiled else None,
            traces=self.traces,
            conversations=self._conversations,
        )

    def placement(self) -> Placement:
        """The policy."""
        return load_policy(self.scenario.placement.kind, self.scenario.placement.options)

    def knobs(self) -> Iterator[KnobChange]:
        """What changes in the network, in order of time."""
        states = [State(0, self.scenario.network)]
        states += [State(state.at_ns, state.network) for state in self._loaded.timeline]
        return knob_changes(states, self._ues(), self._topology)

    def check_recording_is_used_up(self) -> None:
        """Raise ReplayError if a replay has left something of its recording."""
        if self._recording is not None:
            self._recording.check_used_up()

    def stop(self, *, politely: bool) -> None:
        """End every child and remove the sockets. Never raises."""
        if self.ns3 is not None:
            self.ns3.stop(politely=politely)
        for host in self.hosts.values():
            host.stop(politely=politely)
        if self._runtime is not None:
            with contextlib.suppress(OSError):
                self._runtime.close()

    def _ues(self) -> dict[str, str]:
        """The group of clients of each UE."""
        return {name: group.name for group in self.scenario.clients for name in client_names(group)}

    def _topology(self, network: NetworkSection) -> Topology:
        pcap = str(self._run_directory / "pcap") if network.kind == "ns3" and network.pcap else None
        return topology(network, self._ues(), seed=self.scenario.seed, pcap_directory=pcap)

    def _start_network(self, runtime: Runtime) -> Network:
        scenario = self.scenario
        shape = self._topology(scenario.network)
        if scenario.network.kind == "pipe":
            return PipeNetwork(shape, gauge=self._gauge)
        from cosim.network.ns3 import Ns3Network

        self.ns3 = Ns3Network(
            shape,
            runtime=runtime,
            log=self._logs / "ns3.log",
            silence_limit_s=scenario.limits.silence / NS_PER_S,
            gauge=self._gauge,
            kept=self._kept,
        )
        return self.ns3

    def _start_hosts(self, runtime: Runtime) -> None:
        run = uuid4().hex
        for role, plans in host_plans(self._plans).items():
            from cosim.inference.vllm import Elsewhere, EngineHost

            remote = plans[0].remote
            name = self.scenario.name
            elsewhere = Elsewhere(remote.address, client_keys(Path(remote.key)), run, name) if remote else None
            self.hosts[role] = EngineHost(
                remote.hardware if remote else plans[0].executed_on,
                [engine_spec(plan, tls=self._tls(plan.tier)) for plan in plans],
                seed=self.scenario.seed,
                runtime=runtime,
                log=self._logs / log_name(role),
                silence_limit_s=self.scenario.limits.silence / NS_PER_S,
                role=role,
                elsewhere=elsewhere,
                kept=self._kept,
            )

    def _engine(self, plan: EnginePlan) -> Engine:
        settings = plan.settings
        if self._recording is not None:
            return ReplayEngine(plan.name, settings.served_name, self._recording)
        if isinstance(settings, StubSettings):
            return StubEngine(plan.name, settings, tls=self._tls(plan.tier))
        if isinstance(settings, ReplaySettings):
            recording = Recording(read_steps(Path(settings.run)), [plan.name], prompts=False)
            return ReplayEngine(plan.name, settings.served_name, recording)
        from cosim.inference.vllm import VllmEngine

        host = next(self.hosts[role] for role, plans in host_plans(self._plans).items() if plan in plans)
        if plan.profile is None:
            return VllmEngine(host, plan.name, settings.served_name, time_scale=settings.time_scale)
        from cosim.inference.profiled import ProfiledEngine

        engine = VllmEngine(host, plan.name, settings.served_name)
        return ProfiledEngine(engine, plan.profile, seed=self.scenario.seed, time_scale=settings.time_scale)

    def _tls(self, tier: str) -> bool:
        return self.scenario.tiers[tier].path is not None and self.scenario.network.transport.tls

    def multiplexed_paths(self) -> frozenset[str]:
        """Paths on which clients speak HTTP/2."""
        return frozenset(name for name, path in self.scenario.network.paths.items() if path.gateway is not None)

    def _http2(self, tier: str) -> bool:
        return self.scenario.tiers[tier].path in self.multiplexed_paths()

    def _sizes(self, tier: str) -> Callable[[Question], int]:
        """Sizes of requests to a tier; where steps are repeated they are read.

        An encoder may give other sizes elsewhere, and of recorded answers, which are part of later turns, no text is
        known.
        """
        recording, engine = self._recording, self.scenario.tiers[tier].engine
        if recording is None and isinstance(engine, ReplaySettings):
            recording = Recording(read_steps(Path(engine.run)), [], prompts=True)
        if recording is not None:
            return lambda question: recording.wire_bytes(question.request_id)
        tls = self._tls(tier)
        if self._http2(tier):
            return lambda question: wire.http2_request_bytes(len(question.body()))
        return lambda question: wire.request_bytes(len(question.body()), host=f"{tier}.example", tls=tls)


def log_name(role: str) -> str:
    """The file of an engine host's log; no two roles share one, since no name of a tier or client has a dot."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", re.sub(r"(?<=\w)/(?=\w)", ".", role)) + ".log"
