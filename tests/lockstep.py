"""Runs a scenario with the doubles in this process and keeps everything it recorded."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Any

import yaml

from cosim.assembly import Assembly
from cosim.bridge.messages import Accounted
from cosim.clock import Agenda
from cosim.conductor import Conductor
from cosim.invariants import Invariants
from cosim.profiled_plans import planned_engines
from cosim.results.records import RequestRecord, StepRecord, StepsLine
from cosim.scenario.load import Loaded, load

MS = 1_000_000


@dataclass
class Recorded:
    """A recorder in memory, and what else a test may ask of a run."""

    requests: list[RequestRecord] = field(default_factory=list)
    lines: list[StepsLine] = field(default_factory=list)
    gauges: list[tuple[int, str, float]] = field(default_factory=list)  # ns, metric, value
    trace: list[tuple[int, str]] = field(default_factory=list)
    invariants: Invariants = field(default_factory=Invariants)
    account: Accounted | None = None
    virtual_ns: int = 0

    def request(self, record: RequestRecord) -> None:
        self.requests.append(record)

    def step(self, record: StepsLine) -> None:
        self.lines.append(record)

    def gauge(self, t_ns: int, source: str, metric: str, labels: dict[str, str], value: float) -> None:
        self.gauges.append((t_ns, metric, value))

    def observe(self, t_ns: int, text: str) -> None:
        self.trace.append((t_ns, text))

    def steps(self, engine: str) -> list[StepRecord]:
        return [line for line in self.lines if isinstance(line, StepRecord) and line.engine == engine]

    def events(self) -> str:
        """The order of events as text: milliseconds, then what happened."""
        ordered = sorted(self.trace, key=lambda entry: entry[0])
        return "\n".join(f"{t_ns / MS:g} {text}" for t_ns, text in ordered)


def scenario(**overrides: Any) -> dict[str, Any]:
    """One camera without pictures that asks an edge server every 100 ms, three times; round numbers throughout."""
    data: dict[str, Any] = {
        "schema_version": 1,
        "duration": "300ms",
        "network": {
            "kind": "pipe",
            "access": {"kind": "link", "uplink": {"delay": "8ms"}, "downlink": {"delay": "4ms"}},
            "core": {"delay": "1ms"},
            "paths": {"edge": {}, "cloud": {"delay": "20ms"}},
            "transport": {"tls": False},
        },
        "tiers": {"edge": {"path": "edge", "engine": stub()}},
        "clients": [chat("user")],
        "sla": {"premium": {"e2el": "500ms"}},
    }
    return {**data, **overrides}


def stub(**overrides: Any) -> dict[str, Any]:
    """A stub engine with round times."""
    times = {"frontend": "2ms", "prefill": "10ms", "decode": "5ms", "egress": "1ms"}
    return {"kind": "stub", **times, **overrides}


def chat(name: str, **overrides: Any) -> dict[str, Any]:
    """A user who asks ten times a second, for two tokens."""
    arrivals = {"kind": "constant", "rate": "10/s"}
    return {"name": name, "kind": "chat", "tier": "edge", "arrivals": arrivals, "output_tokens": 2, **overrides}


def lines(text: str) -> str:
    """An expected order of events, as it is written in a test."""
    return dedent(text).strip()


def said(loaded: Loaded) -> list[str]:
    """Warnings, but for paths that `scenario` has and nothing uses."""
    return [warning for warning in loaded.warnings if "no tier uses" not in warning]


def simulate(data: dict[str, Any], assembly_of: type[Assembly] = Assembly) -> Recorded:
    """Run a scenario; its network and engines must be doubles, or `assembly_of` brings the engines."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "scenario.yaml"
        file.write_text(yaml.safe_dump(data))
        loaded = load(file, environment={})
        plans = planned_engines(loaded, recorded=None)
        assembly = assembly_of(loaded, plans, run_directory=Path(folder), recorded=None)
        try:
            assembly.start()
            return _run(assembly)
        finally:
            assembly.stop(politely=True)


def _run(assembly: Assembly) -> Recorded:
    agenda, recorded = Agenda(), Recorded()
    servings = assembly.servings(agenda, recorded, recorded.observe)
    conductor = Conductor(
        agenda=agenda,
        clients=assembly.clients(),
        placement=assembly.placement(),
        sites=assembly.sites(servings),
        servings=servings.values(),
        network=assembly.network,
        recorder=recorded,
        invariants=recorded.invariants,
        warmup_ns=assembly.scenario.warmup,
        keepalive_ns=assembly.scenario.network.transport.keepalive,
        server_keepalive_ns=assembly.scenario.network.transport.server_keepalive,
        multiplexed=assembly.multiplexed_paths(),
        knobs=assembly.knobs(),
        observe=recorded.observe,
    )
    conductor.run()
    recorded.virtual_ns = conductor.clock.now_ns
    recorded.account = assembly.network.account()
    return recorded
