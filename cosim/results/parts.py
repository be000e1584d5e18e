"""The parts that a request's latency is made of: their order and what each one covers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Stage = Literal["up", "engine", "down"]


@dataclass(frozen=True, slots=True)
class Part:
    """One part; `covers` is its definition in one line."""

    name: str
    stage: Stage
    covers: str


PARTS = (
    Part("up_pool", "up", "waiting for a free connection"),
    Part("up_retry", "up", "attempts that failed and the waits after them, until the last attempt was sent"),
    Part("up_connect", "up", "TCP and TLS handshakes that this request waited for"),
    Part("up_transport", "up", "until TCP emitted the segment that completed the request at the server"),
    Part("up_access", "up", "that segment's way over the access network (radio)"),
    Part("up_core", "up", "that segment's way through the core"),
    Part("up_wan", "up", "that segment's way over the path to the server"),
    Part("frontend", "engine", "tokenising and image processing, queue included, until the scheduler has the request"),
    Part("queue", "engine", "in the scheduler's queue, until the first step with this request starts"),
    Part("prefill", "engine", "until the step that yields the first token ends"),
    Part("decode", "engine", "until the step that yields the last token ends"),
    Part("egress", "engine", "output processing and SSE of the last chunk, queue included"),
    Part("down_transport", "down", "until TCP emitted the segment that completed the last chunk at the client"),
    Part("down_access", "down", "that segment's way over the access network (radio)"),
    Part("down_core", "down", "that segment's way through the core"),
    Part("down_wan", "down", "that segment's way over the path from the server"),
)

_PLACE = {part.name: place for place, part in enumerate(PARTS)}


def part_of(name: str) -> Part:
    """The part that a key belongs to: itself, or for a finer key (`up_access_sr_wait`) the part it refines.

    A key of nobody's knowledge comes back as a part of its own.
    """
    if name in _PLACE:
        return PARTS[_PLACE[name]]
    for part in PARTS:
        if name.startswith(part.name + "_"):
            return part
    stage: Stage = "up" if name.startswith("up_") else "down" if name.startswith("down_") else "engine"
    return Part(name, stage, "not described by this version of cosim")


def in_order(names: Iterable[str]) -> list[str]:
    """Keys of `parts` in the order in which a request passes through them; unknown keys last, by name."""
    return sorted(names, key=lambda name: (_PLACE.get(part_of(name).name, len(PARTS)), name))
