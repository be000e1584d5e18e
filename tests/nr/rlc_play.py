"""Two joined RLC bearers on a MAC that does as it is told (rlc_play.h), and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.nr.rig import Cpp

HEADER = Path(__file__).with_suffix(".h")
UP, DOWN = 0, 1
MS = 1_000_000
PARTS = ("sr_wait", "grant_wait", "queue", "air", "harq", "rlc_recovery", "pdcp_reorder", "processing")

CODE = """
cppyy.include(values["header"])
config = nr.RlcConfig()
for key, value in values["config"].items():
    setattr(config, key, value)
play = nr.RlcPlay(config)
for t_ns, side, n_bytes in values["sdus"]:
    sdu = nr.RlcPlay.Sdu()
    sdu.t_ns, sdu.side, sdu.n_bytes = t_ns, side, n_bytes
    play.sdus.push_back(sdu)
for side in range(2):
    play.rooms[side] = values["rooms"][side]
    play.fates[side] = values["fates"][side]
    play.every[side] = values["every"][side]
play.Play(values["slots"])
result = {
    "log": [str(line) for line in play.log],
    "wakes": [str(line) for line in play.Wakes()],
    "arrivals": [list(arrival) for arrival in play.arrivals],
    "inside": [list(play.Inside(side)) for side in range(2)],
    "idle": bool(play.Idle()),
}
"""


@dataclass(frozen=True)
class Delivery:
    """An SDU at the far end; parts in ns."""

    t_ns: int
    side: int
    handle: int
    n_bytes: int
    came_ns: int
    parts: dict[str, int]


@dataclass(frozen=True)
class Played:
    """The log's lines, the wake-ups, and what each direction delivered, in order."""

    log: list[str]
    wakes: list[str]
    inside: list[list[int]]
    idle: bool
    deliveries: list[Delivery] = field(default_factory=list)

    def lines(self, *words: str) -> list[str]:
        """The log's lines that hold any of these words."""
        return [line for line in self.log if any(word in line.split() for word in words)]

    def delivered(self, side: int) -> list[int]:
        """Handles, in order of delivery."""
        return [delivery.handle for delivery in self.deliveries if delivery.side == side]

    def dropped(self, side: int) -> list[int]:
        """Handles, in the order in which they were given up."""
        name = ("up", "down")[side]
        return [int(line.split()[-1]) for line in self.log if line.split()[1:3] == [name, "drops"]]


def play(
    cpp: Cpp,
    sdus: list[tuple[float, int, int]],
    *,
    slots: int = 400,
    rooms: tuple[list[int], list[int]] = ([3000], [3000]),
    lost: tuple[list[int], list[int]] = ([], []),
    late: tuple[dict[int, int], dict[int, int]] = ({}, {}),
    every: tuple[int, int] = (1, 1),
    **config: Any,
) -> Played:
    """SDUs (ms, side, bytes) through slots of 0.5 ms; rooms in turn, numbers of lost TBs, HARQ rounds of late ones.

    The MAC is checked in C++: bytes balance in each slot, no TB is too full. Order and parts are checked here.
    """
    fates = [
        [-1 if tb in lost[side] else late[side].get(tb, 0) for tb in range(max([*lost[side], *late[side], -1]) + 1)]
        for side in (UP, DOWN)
    ]
    answer = cpp.run(
        CODE,
        header=str(HEADER),
        config=config,
        sdus=[(round(t_ms * MS), side, n_bytes) for t_ms, side, n_bytes in sdus],
        rooms=rooms,
        fates=fates,
        every=every,
        slots=slots,
    )
    deliveries = [
        Delivery(t_ns, side, handle, n_bytes, came_ns, dict(zip(PARTS, parts, strict=True)))
        for t_ns, side, handle, n_bytes, came_ns, *parts in answer.pop("arrivals")
    ]
    played = Played(**answer, deliveries=deliveries)
    for delivery in deliveries:
        assert sum(delivery.parts.values()) == delivery.t_ns - delivery.came_ns
        assert min(delivery.parts.values()) >= 0
    for side in (UP, DOWN):
        assert all(a < b for a, b in pairwise(played.delivered(side)))
        assert not set(played.delivered(side)) & set(played.dropped(side))
    return played
