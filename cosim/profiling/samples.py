"""What was measured, by shape, until there is enough of it for a profile."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median
from typing import TypeVar

import msgspec

from cosim.bridge.engine_messages import Signature
from cosim.profile.base import ChunkPosition
from cosim.profile.graphs import padding
from cosim.profile.grid import omit
from cosim.profile.records import (
    FEWEST_SAMPLES,
    POSITIONS,
    EgressLine,
    EngineConfiguration,
    FrontendLine,
    Grid,
    StepLine,
)
from cosim.profile.shapes import Plan, Point

# Of each shape, evenly over the time of the recording, so that a file stays below some hundred kB.
MOST_STEPS = 120
MOST_FRONTENDS = 40
MOST_EGRESS = 400

Item = TypeVar("Item")


class Samples:
    """Durations in the order in which they were measured."""

    def __init__(self) -> None:
        self.steps: dict[Point, list[tuple[Signature, int]]] = {}
        self.other_shapes: dict[Point, list[Signature]] = {}
        self._frontends: dict[tuple[int, int, int], list[int]] = {}
        self._egress: dict[ChunkPosition, list[int]] = {position: [] for position in POSITIONS}

    def step(self, point: Point, signature: Signature, duration_ns: int) -> None:
        """A step that has the shape of a point."""
        self.steps.setdefault(point, []).append((signature, duration_ns))

    def other_shape(self, point: Point, signature: Signature) -> None:
        """A step that was to have the shape of a point and has another."""
        self.other_shapes.setdefault(point, []).append(signature)

    def frontend(self, *, images: int, encoder_tokens: int, prompt_tokens: int, duration_ns: int) -> None:
        """One request's front end."""
        self._frontends.setdefault((images, encoder_tokens, prompt_tokens), []).append(duration_ns)

    def egress(self, position: ChunkPosition, duration_ns: int) -> None:
        """One chunk's output processing and encoding."""
        self._egress[position].append(duration_ns)

    def missing(self, plan: Plan) -> list[Point]:
        """Points that did not come about often enough."""
        return [point for point in plan.points() if len(self.steps.get(point, ())) < FEWEST_SAMPLES]

    def grids(self, plan: Plan) -> list[Grid]:
        """The plan's grids without what did not come about."""
        gone = self.missing(plan)
        left = [omit(grid, [point.at for point in gone if point.grid == grid.name]) for grid in plan.grids]
        return [grid for grid in left if grid is not None]

    def step_lines(self, plan: Plan, engine: EngineConfiguration) -> list[StepLine]:
        """A line for each point that came about."""
        gone = set(self.missing(plan))
        return [self._step_line(point, engine) for point in plan.points() if point not in gone]

    def _step_line(self, point: Point, engine: EngineConfiguration) -> StepLine:
        measured = self.steps[point]
        signature = _median(signature for signature, _ in measured)
        padded = padding(
            signature,
            mode=engine.cudagraph_mode,
            sizes=engine.cudagraph_capture_sizes,
            max_num_seqs=engine.max_num_seqs,
        )
        durations_ns = sorted(duration_ns for _, duration_ns in thinned(measured, MOST_STEPS))
        return StepLine(point.grid, list(point.at), signature, padded.tokens, padded.graph_mode, durations_ns)

    def frontend_lines(self) -> list[FrontendLine]:
        """A line for each size of requests that there are enough of."""
        return [
            FrontendLine(prompt_tokens, encoder_tokens, images, sorted(thinned(durations_ns, MOST_FRONTENDS)))
            for (images, encoder_tokens, prompt_tokens), durations_ns in sorted(self._frontends.items())
            if len(durations_ns) >= FEWEST_SAMPLES
        ]

    def egress_lines(self) -> list[EgressLine]:
        """A line for each position of a chunk."""
        return [EgressLine(position, sorted(thinned(self._egress[position], MOST_EGRESS))) for position in POSITIONS]


def thinned(items: Sequence[Item], most: int) -> list[Item]:
    """At most so many items, evenly spread."""
    if len(items) <= most:
        return list(items)
    return [items[index * len(items) // most] for index in range(most)]


def _median(signatures: Iterable[Signature]) -> Signature:
    """The median of each field, rounded down to one that there is."""
    values = zip(*map(msgspec.structs.astuple, signatures), strict=True)
    return Signature(*(int(median(field)) for field in values))
