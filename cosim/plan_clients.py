"""What clients would ask, as text."""

from __future__ import annotations

from collections.abc import Iterator

from cosim.clock import NS_PER_S
from cosim.scenario.arrivals import Arrivals, ClosedLoop, GammaArrivals
from cosim.scenario.clients import Chat, ClientGroup
from cosim.scenario.dialogue import Dialogue, GeometricTurns, SessionGroup, UniformTurns
from cosim.scenario.group import Group
from cosim.scenario.sharegpt import ShareGpt, conversations


def client_lines(group: ClientGroup) -> Iterator[str]:
    """How often, how much and how long a group asks, beyond its tier."""
    if isinstance(group, Chat | ShareGpt):
        yield f"each {_arrivals(group.arrivals)}"
    if isinstance(group, Dialogue):
        yield from _dialogue(group)
    if isinstance(group, ShareGpt):
        yield from _sharegpt(group)
    if isinstance(group, SessionGroup) and group.moves:
        yield "sessions move " + ", ".join(f"to {move.tier} from turn {move.turn} on" for move in group.moves)
    if group.join or group.join_every or group.leave is not None:
        yield _stay(group)


def _arrivals(arrivals: Arrivals) -> str:
    if isinstance(arrivals, ClosedLoop):
        return f"after an answer and {arrivals.think_time / NS_PER_S:g} s of thought ({arrivals.think}), closed loop"
    text = f"at {arrivals.rate:g}/s ({arrivals.kind}), open loop"
    if isinstance(arrivals, GammaArrivals):
        text = f"at {arrivals.rate:g}/s (gamma of burstiness {arrivals.burstiness:g}), open loop"
    return text + "".join(f"; {change.rate:g}/s from {change.at / NS_PER_S:g} s on" for change in arrivals.rate_changes)


def _dialogue(group: Dialogue) -> Iterator[str]:
    turns = f"{group.turns}"
    if isinstance(group.turns, GeometricTurns):
        turns = f"{group.turns.mean:g} (mean, geometric)"
    elif isinstance(group.turns, UniformTurns):
        turns = f"{group.turns.min} to {group.turns.max}"
    system = f" after a system prompt of {group.system_tokens} that all share" if group.system_tokens else ""
    each = f"{group.prompt_tokens} tokens and an answer of {group.output_tokens}"
    yield f"{_sessions(group)} of {turns} turn(s), each {each}{system}"
    pause_ns = group.think_time if group.pause is None else group.pause
    yield f"{group.think_time / NS_PER_S:g} s between turns, {pause_ns / NS_PER_S:g} s between sessions ({group.think})"


def _sharegpt(group: ShareGpt) -> Iterator[str]:
    found = conversations(group)
    turns = sum(len(one.turns) for one in found)
    what = f"conversations of {turns} turns in all" if group.multi_turn else "prompts"
    yield f"{_sessions(group)}, of {len(found)} {what} that fit in {group.file}"


def _sessions(group: SessionGroup) -> str:
    return "sessions one after another" if group.sessions is None else f"{group.sessions} session(s) each"


def _stay(group: Group) -> str:
    text = f"joining at {group.join / NS_PER_S:g} s"
    if group.count > 1 and group.join_every:
        text += f", one each {group.join_every / NS_PER_S:g} s"
    return text if group.leave is None else f"{text}, leaving at {group.leave / NS_PER_S:g} s"
