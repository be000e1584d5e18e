"""The parts that a request's latency is made of: their order and what each one covers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Stage = Literal["up", "engine", "down"]


@dataclass(frozen=True, slots=True)
class Part:
    """One part; `covers` is its definition in one line. `refines`: the part in whose place it and others may stand."""

    name: str
    stage: Stage
    covers: str
    refines: str = ""


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

# What access to a cell is made of, in order: name, uplink, downlink. Each begins where the one before ends.
_ACCESS = (
    (
        "sr_wait",
        "from data in the UE's buffer with no grant to the end of the scheduling request that was answered",
        "0: data in the gNB needs no scheduling request",
    ),
    (
        "grant_wait",
        "from the end of that scheduling request to the start of the UE's next transmission",
        "0: data in the gNB needs no grant",
    ),
    (
        "queue",
        "from there, or from arrival with a grant under way, to the start of the transport block with the last byte",
        "from arrival at the gNB to the start of the transport block with the last byte",
    ),
    ("air", "the first transmission of that transport block", "the first transmission of that transport block"),
    (
        "harq",
        "from its end to the end of the HARQ transmission that was decoded, or of the last one if none was",
        "from its end to the end of the HARQ transmission that was decoded, or of the last one if none was",
    ),
    (
        "rlc_recovery",
        "from HARQ's giving up to the end of the first transmission of the block in which RLC AM sent the bytes anew",
        "from HARQ's giving up to the end of the first transmission of the block in which RLC AM sent the bytes anew",
    ),
    (
        "pdcp_reorder",
        "in the gNB's PDCP, until every earlier packet was there or t-Reordering ran out",
        "in the UE's PDCP, until every earlier packet was there or t-Reordering ran out",
    ),
    (
        "processing",
        "decoding by the gNB, and the protocol stacks of UE and gNB",
        "decoding by the UE, and the protocol stacks of gNB and UE",
    ),
)
FINER_PARTS = tuple(
    part
    for name, up, down in _ACCESS
    for part in (
        Part(f"up_access_{name}", "up", up, "up_access"),
        Part(f"down_access_{name}", "down", down, "down_access"),
    )
)

_KNOWN = {part.name: part for part in (*PARTS, *FINER_PARTS)}
_PLACE = {part.name: place for place, part in enumerate(PARTS)}
_FINER_PLACE = {part.name: place for place, part in enumerate(FINER_PARTS)}
_WAY_BACK = ("down_transport", "down_wan", "down_core", "down_access")


def part_of(name: str) -> Part:
    """The part with a name; for a finer one that is not known (`up_core_x`) the part that it refines.

    A key of nobody's knowledge comes back as a part of its own.
    """
    if name in _KNOWN:
        return _KNOWN[name]
    for part in PARTS:
        if name.startswith(part.name + "_"):
            return part
    stage: Stage = "up" if name.startswith("up_") else "down" if name.startswith("down_") else "engine"
    return Part(name, stage, "not described by this version of cosim")


def contract_part(name: str) -> str:
    """The name of the part of PARTS that a key is, or that it refines; its own name if it is neither."""
    part = part_of(name)
    return part.refines or part.name


def in_order(names: Iterable[str]) -> list[str]:
    """Keys of `parts` in the order in which a request passes through them; unknown keys last, by name."""

    def place(name: str) -> tuple[int, int, str]:
        return _PLACE.get(contract_part(name), len(PARTS)), _FINER_PLACE.get(name, len(FINER_PARTS)), name

    return sorted(names, key=place)


def in_time(names: Iterable[str]) -> list[str]:
    """Keys of `parts` in the order in which they follow one another in time: the way down is crossed from the WAN."""

    def back(name: str) -> int:
        contract = contract_part(name)
        return _WAY_BACK.index(contract) if contract in _WAY_BACK else -1

    return sorted(in_order(names), key=back)
