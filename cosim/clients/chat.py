"""Users who ask in text, each question for itself."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from cosim.clients.arrivals import Arrivals
from cosim.clients.backoff import Backoff
from cosim.clients.base import OnOverrun, Question, ask
from cosim.clients.body import chat_body
from cosim.clients.streams import stream
from cosim.clients.talk import Turn
from cosim.scenario.clients import Chat
from cosim.scenario.sharegpt import ShareGpt


class ChatClient:
    """One user, who asks from `start_ns` on and before `end_ns`."""

    on_overrun: OnOverrun = "overlap"

    def __init__(
        self,
        group: Chat | ShareGpt,
        index: int,
        *,
        turns: Iterator[Turn],
        seed: int,
        start_ns: int,
        end_ns: int,
        model: str,
    ) -> None:
        self.name = f"{group.name}-{index}"
        self.group = group.name
        self.tier = group.tier
        self.closed_loop = group.closed_loop
        self._settings = group
        self._end_ns = end_ns
        self._model = model
        self.backoff = Backoff(seed, self.name)
        self._arrivals = Arrivals(group.arrivals, stream(seed, "chat-arrivals", self.name), start_ns)
        self._turns = turns
        self._count = 0

    def next_question(self, not_before_ns: int) -> Question | None:
        """The next question; None once it would be due after the client's end, or nothing is left to ask."""
        index = self._count
        due_ns = self._arrivals.next_ns(not_before_ns)
        if due_ns >= self._end_ns:
            return None
        self._count += 1
        turn = next(self._turns, None)
        if turn is None:
            return None
        return ask(
            self._settings,
            client=self.name,
            index=index,
            t_scheduled_ns=due_ns,
            prompt_tokens=turn.prompt_tokens,
            output_tokens=turn.output_tokens,
            make_body=lambda: self._body(index, turn),
        )

    def _body(self, index: int, turn: Turn) -> bytes:
        seed = zlib.crc32(f"{self.name}/{index}".encode())
        return chat_body(model=self._model, text=turn.text, output_tokens=turn.output_tokens, seed=seed)
