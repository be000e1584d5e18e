"""What users say: drawn words, or the conversations of a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from cosim.clients.body import text_of
from cosim.clients.streams import stream
from cosim.scenario.clients import Chat
from cosim.scenario.dialogue import Dialogue, GeometricTurns, Turns, UniformTurns
from cosim.scenario.sharegpt import Conversation, ShareGpt


@dataclass(frozen=True, slots=True)
class Turn:
    """What a user says in a turn, and how long the answer will be."""

    text: str
    prompt_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class Talk:
    """A session as far as the user's side is known ahead: a system prompt (empty: none) and the user's turns."""

    system: str
    system_tokens: int
    turns: Iterator[Turn]


def drawn_turns(group: Chat | Dialogue, seed: int, client: str) -> Iterator[Turn]:
    """Turns without end, all of the group's lengths and none like another."""
    words = stream(seed, f"{group.kind}-text", client)
    while True:
        yield Turn(text_of(group.prompt_tokens, words), group.prompt_tokens, group.output_tokens)


def drawn_talks(group: Dialogue, seed: int, client: str) -> Iterator[Talk]:
    """Sessions without end; all of a group have one system prompt."""
    system = text_of(group.system_tokens, stream(seed, "dialogue-system", group.name))
    lengths, turns = stream(seed, "dialogue-turns", client), drawn_turns(group, seed, client)
    while True:
        count = _draw(group.turns, lengths)
        yield Talk(system, group.system_tokens, (next(turns) for _ in range(count)))


def recorded_talks(group: ShareGpt, conversations: Sequence[Conversation], index: int, seed: int) -> Iterator[Talk]:
    """A client's share of the conversations in an order drawn by seed, again from the start after the last.

    Each client of a group goes on from its own place in one order, so no two ask the same before the file is used up.
    """
    order = stream(seed, "sharegpt-order", group.name).permutation(len(conversations))
    at = index
    while True:
        chosen = conversations[order[at % len(order)]]
        at += group.count
        turns = (Turn(said.text, said.prompt_tokens, said.output_tokens) for said in chosen.turns)
        yield Talk(chosen.system, chosen.system_tokens, turns)


def recorded_turns(group: ShareGpt, conversations: Sequence[Conversation], index: int, seed: int) -> Iterator[Turn]:
    """The turns of a client whose requests each stand alone."""
    for talk in islice(recorded_talks(group, conversations, index, seed), group.sessions):
        yield from talk.turns


def _draw(turns: Turns, draws: np.random.Generator) -> int:
    """How many turns a session has."""
    if isinstance(turns, GeometricTurns):
        return int(draws.geometric(1 / turns.mean))
    if isinstance(turns, UniformTurns):
        return int(draws.integers(turns.min, turns.max + 1))
    return turns
