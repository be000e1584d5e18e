"""Users who ask in text: open loop at a rate, or closed loop with a think time."""

from __future__ import annotations

import zlib

from cosim.clients.backoff import Backoff
from cosim.clients.base import OnOverrun, Question, ask
from cosim.clients.body import chat_body, text_of
from cosim.clients.streams import stream
from cosim.scenario.clients import Chat, ClosedLoop, PoissonArrivals


class ChatClient:
    """One user."""

    on_overrun: OnOverrun = "overlap"

    def __init__(self, group: Chat, index: int, *, seed: int, end_ns: int, model: str) -> None:
        self.name = f"{group.name}-{index}"
        self.group = group.name
        self.tier = group.tier
        self.closed_loop = isinstance(group.arrivals, ClosedLoop)
        self._settings = group
        self._end_ns = end_ns
        self._model = model
        self.backoff = Backoff(seed, self.name)
        self._gaps = stream(seed, "chat-arrivals", self.name)
        self._words = stream(seed, "chat-text", self.name)
        self._count = 0
        self._due_ns = 0

    def next_question(self, not_before_ns: int) -> Question | None:
        """The next question; None once it would be due after the run's duration."""
        index = self._count
        self._due_ns = not_before_ns + self._gap_ns(index) if self.closed_loop else self._due_ns + self._gap_ns(index)
        if self._due_ns >= self._end_ns:
            return None
        self._count += 1
        text = text_of(self._settings.prompt_tokens, self._words)
        return ask(
            self._settings,
            client=self.name,
            index=index,
            t_scheduled_ns=self._due_ns,
            make_body=lambda: self._body(index, text),
        )

    def _gap_ns(self, index: int) -> int:
        """Time since the previous question was due (open loop) or answered (closed loop)."""
        arrivals = self._settings.arrivals
        if isinstance(arrivals, ClosedLoop):
            if arrivals.think == "constant":
                # The first question of each user at a random time: equal think times would keep all users in step.
                return round(self._gaps.uniform(0, 1) * arrivals.think_time) if index == 0 else arrivals.think_time
            return round(self._gaps.exponential(arrivals.think_time))
        mean_ns = 1e9 / arrivals.rate
        if isinstance(arrivals, PoissonArrivals):
            return round(self._gaps.exponential(mean_ns))
        return round(self._gaps.uniform(0, 1) * mean_ns if index == 0 else mean_ns)

    def _body(self, index: int, text: str) -> bytes:
        seed = zlib.crc32(f"{self.name}/{index}".encode())
        return chat_body(model=self._model, text=text, output_tokens=self._settings.output_tokens, seed=seed)
