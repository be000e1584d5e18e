"""What durations rest on: executed, drawn from a profile, predicted; of a replay, what it repeats rested on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, get_args

from cosim.inference.base import StepSource
from cosim.results.records import EgressRecord, FrontendRecord, StepRecord

Stage = Literal["steps", "frontends", "egress"]
STAGES: tuple[Stage, ...] = get_args(Stage)
SOURCES: tuple[StepSource, ...] = get_args(StepSource)
# What a duration rests on: a source, and `constant` for the times that a scenario gives a stub.
GROUNDS = ("executed", "constant", "interpolated", "extrapolated", "predicted", "replayed")
# Fields of a signature that say which shape lies outside a profile.
SHAPE = ("prefill_tokens", "decode_sequences", "context_tokens", "encoder_tokens")

Basis = dict[Stage, dict[str, int]]
"""How many durations of each stage rest on each of GROUNDS; what none rests on is left out."""


@dataclass(slots=True)
class Coverage:
    """Durations of an engine or a tier by stage and source, and by what they rest on.

    `inside`, `outside`: the largest steps that are interpolated and extrapolated, by field of their signatures.
    """

    stub: bool = False
    sources: dict[StepSource, int] = field(default_factory=lambda: dict.fromkeys(SOURCES, 0))
    rests_on: Basis = field(default_factory=lambda: {stage: dict.fromkeys(GROUNDS, 0) for stage in STAGES})
    inside: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SHAPE, 0))
    outside: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SHAPE, 0))

    def add(self, line: StepRecord | FrontendRecord | EgressRecord) -> None:
        """Count a line of steps.jsonl; an egress counts for each request that got a chunk."""
        if isinstance(line, FrontendRecord):
            self.rests_on["frontends"][self._ground(line)] += 1
        elif isinstance(line, EgressRecord):
            self.rests_on["egress"][self._ground(line)] += len(line.durations_ns)
        else:
            ground = self._ground(line)
            self.sources[line.source] += 1
            self.rests_on["steps"][ground] += 1
            largest = {"interpolated": self.inside, "extrapolated": self.outside}.get(ground, {})
            for name, value in largest.items():
                largest[name] = max(value, getattr(line.signature, name))

    def basis(self) -> Basis:
        """What the durations rest on, without what none rests on."""
        return {stage: {ground: n for ground, n in by.items() if n} for stage, by in self.rests_on.items()}

    def _ground(self, line: StepRecord | FrontendRecord | EgressRecord) -> str:
        source = line.recorded_source or line.source
        return "constant" if self.stub and source == "predicted" else source


def together(parts: Iterable[Coverage]) -> Coverage:
    """The coverage of several engines."""
    whole = Coverage()
    for part in parts:
        for source, n in part.sources.items():
            whole.sources[source] += n
        for stage, by in part.rests_on.items():
            for ground, n in by.items():
                whole.rests_on[stage][ground] += n
        for name in SHAPE:
            whole.inside[name] = max(whole.inside[name], part.inside[name])
            whole.outside[name] = max(whole.outside[name], part.outside[name])
    return whole


def step_coverage(coverage: Coverage) -> dict[StepSource, float | None]:
    """Share of the steps by source; None without a step."""
    total = sum(coverage.sources.values())
    return {source: n / total if total else None for source, n in coverage.sources.items()}
