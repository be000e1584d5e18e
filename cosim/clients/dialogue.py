"""Users who talk in sessions: each turn's prompt is the whole conversation so far."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cosim.clients.arrivals import ThinkTimes
from cosim.clients.backoff import Backoff
from cosim.clients.base import Answer, OnOverrun, Question, ask
from cosim.clients.body import Message, conversation_body, text_of
from cosim.clients.streams import stream
from cosim.clients.talk import Talk, Turn
from cosim.scenario.arrivals import ThinkLaw
from cosim.scenario.dialogue import SessionGroup


@dataclass(frozen=True, slots=True)
class Pace:
    """Mean times before a turn and before a session's first turn, ns, and their law."""

    think_ns: int
    pause_ns: int
    law: ThinkLaw


class _Session:
    """A conversation under way: its messages and the tokens in them."""

    def __init__(self, name: str, talk: Talk) -> None:
        self.name = name
        self.turn = 0
        self.tokens = talk.system_tokens
        self.turns = talk.turns
        self.messages: list[Message] = [{"role": "system", "content": talk.system}] if talk.system else []

    def ask(self, turn: Turn) -> None:
        """Add what the user says."""
        self.turn += 1
        self._add("user", turn.text, turn.prompt_tokens)

    def answer(self, text: str, tokens: int) -> None:
        """Add what the assistant said."""
        self._add("assistant", text, tokens)

    def _add(self, role: str, text: str, tokens: int) -> None:
        self.messages.append({"role": role, "content": text})
        self.tokens += tokens


class DialogueClient:
    """One user, whose sessions follow one another from `start_ns` on; nothing is asked from `end_ns` on.

    `models`: tier -> model name in requests.
    """

    closed_loop = True
    on_overrun: OnOverrun = "overlap"

    def __init__(
        self,
        group: SessionGroup,
        index: int,
        *,
        talks: Iterator[Talk],
        pace: Pace,
        seed: int,
        start_ns: int,
        end_ns: int,
        models: Mapping[str, str],
    ) -> None:
        self.name = f"{group.name}-{index}"
        self.group = group.name
        self.tier = group.tier
        self.backoff = Backoff(seed, self.name)
        self._settings = group
        self._talks = talks
        self._pace = pace
        self._start_ns = start_ns
        self._end_ns = end_ns
        self._models = models
        self._thinks = ThinkTimes(pace.law, stream(seed, "dialogue-think", self.name))
        self._answers = stream(seed, "dialogue-answers", self.name)
        self._questions = 0
        self._sessions = 0
        self._session: _Session | None = None

    def next_question(self, not_before_ns: int) -> Question | None:
        """The session's next turn, or the first of the next session; None after the last or at the client's end."""
        turn = next(self._session.turns, None) if self._session is not None else None
        mean_ns = self._pace.think_ns if turn is not None or not self._sessions else self._pace.pause_ns
        if turn is None:
            if self._sessions == self._settings.sessions:
                return None
            self._sessions += 1
            talk = next(self._talks)
            self._session = _Session(f"{self.name}-session{self._sessions}", talk)
            turn = next(talk.turns)
        due_ns = max(not_before_ns, self._start_ns) + self._thinks.next_ns(mean_ns)
        assert self._session is not None
        return self._ask(self._session, turn, due_ns) if due_ns < self._end_ns else None

    def _ask(self, session: _Session, turn: Turn, due_ns: int) -> Question:
        session.ask(turn)
        index, messages = self._questions, tuple(session.messages)
        self._questions += 1
        tier = self._settings.tier_of(session.turn)
        return ask(
            self._settings,
            client=self.name,
            index=index,
            t_scheduled_ns=due_ns,
            prompt_tokens=session.tokens,
            output_tokens=turn.output_tokens,
            make_body=lambda: conversation_body(
                model=self._models[tier],
                messages=messages,
                output_tokens=turn.output_tokens,
                seed=zlib.crc32(f"{self.name}/{index}".encode()),
            ),
            tier=tier,
            session=session.name,
            turn=session.turn,
            answered=self._answered,
        )

    def _answered(self, answer: Answer) -> None:
        """Take an answer into the conversation; without one there is nothing to go on from, and the session ends.

        What a client has read before it gave up stays, as after the stop button of a chat page. Words stand for the
        text of an engine that has none.
        """
        assert self._session is not None
        if answer.status in ("ok", "cancelled"):
            text = answer.text or text_of(answer.output_tokens, self._answers)
            self._session.answer(text, answer.output_tokens)
        else:
            self._session = None
