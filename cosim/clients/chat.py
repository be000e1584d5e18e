"""Users who ask in text, each question for itself."""

from __future__ import annotations

import zlib

from cosim.clients.arrivals import Arrivals
from cosim.clients.backoff import Backoff
from cosim.clients.base import OnOverrun, Question, ask
from cosim.clients.body import chat_body, text_of
from cosim.clients.streams import stream
from cosim.scenario.clients import Chat


class ChatClient:
    """One user, who asks from `start_ns` on and before `end_ns`."""

    on_overrun: OnOverrun = "overlap"

    def __init__(self, group: Chat, index: int, *, seed: int, start_ns: int, end_ns: int, model: str) -> None:
        self.name = f"{group.name}-{index}"
        self.group = group.name
        self.tier = group.tier
        self.closed_loop = group.closed_loop
        self._settings = group
        self._end_ns = end_ns
        self._model = model
        self.backoff = Backoff(seed, self.name)
        self._arrivals = Arrivals(group.arrivals, stream(seed, "chat-arrivals", self.name), start_ns)
        self._words = stream(seed, "chat-text", self.name)
        self._count = 0

    def next_question(self, not_before_ns: int) -> Question | None:
        """The next question; None once it would be due after the client's end."""
        index = self._count
        due_ns = self._arrivals.next_ns(not_before_ns)
        if due_ns >= self._end_ns:
            return None
        self._count += 1
        group, text = self._settings, text_of(self._settings.prompt_tokens, self._words)
        return ask(
            group,
            client=self.name,
            index=index,
            t_scheduled_ns=due_ns,
            prompt_tokens=group.prompt_tokens,
            output_tokens=group.output_tokens,
            make_body=lambda: self._body(index, text),
        )

    def _body(self, index: int, text: str) -> bytes:
        seed = zlib.crc32(f"{self.name}/{index}".encode())
        return chat_body(model=self._model, text=text, output_tokens=self._settings.output_tokens, seed=seed)
