"""Clients that ask what a trace says, when it says so."""

from __future__ import annotations

import zlib

from cosim.clients.backoff import Backoff
from cosim.clients.base import OnOverrun, Question, ask
from cosim.clients.body import chat_body, text_of
from cosim.clients.streams import stream
from cosim.clients.trace_requests import TraceRequest
from cosim.clients.trace_store import StoredTrace
from cosim.scenario.traces import Trace


class TraceClient:
    """One of a group's clients, with its share of the trace's requests; open loop."""

    closed_loop = False
    on_overrun: OnOverrun = "overlap"

    def __init__(self, group: Trace, index: int, *, seed: int, model: str, trace: StoredTrace) -> None:
        self.name = f"{group.name}-{index}"
        self.group = group.name
        self.tier = group.tier
        self.backoff = Backoff(seed, self.name)
        self._settings = group
        self._index = index
        self._seed = seed
        self._model = model
        self._trace = trace
        self._count = 0

    def next_question(self, not_before_ns: int) -> Question | None:
        """The next of its requests; None after the last."""
        del not_before_ns
        number = self._count
        request = self._trace.request(self._index, number)
        if request is None:
            return None
        self._count += 1
        return ask(
            self._settings,
            client=self.name,
            index=number,
            t_scheduled_ns=request.due_ns,
            prompt_tokens=request.prompt_tokens,
            output_tokens=request.output_tokens,
            session=request.session,
            turn=request.turn,
            make_body=lambda: self._body(number, request),
        )

    def _body(self, number: int, request: TraceRequest) -> bytes:
        seed = zlib.crc32(f"{self.name}/{number}".encode())
        text = prompt_text(self._settings, request, self._seed)
        return chat_body(model=self._model, text=text, output_tokens=request.output_tokens, seed=seed)


def prompt_text(group: Trace, request: TraceRequest, seed: int) -> str:
    """A prompt of as many words as the request has tokens; each is one token of a synthetic model.

    Blocks with equal ids have equal words, whichever request or client they belong to, so prompts that begin with the
    same ids begin with the same tokens. A last block that is not full has the first words of its block. Without ids
    no two prompts share more than chance would have it.
    """
    if not request.hash_ids:
        return text_of(request.prompt_tokens, stream(seed, "trace-text", group.name, str(request.line)))
    starts = range(0, request.prompt_tokens, group.block_tokens)
    blocks = (
        text_of(
            min(group.block_tokens, request.prompt_tokens - start),
            stream(seed, "trace-block", group.name, str(hash_id)),
        )
        for start, hash_id in zip(starts, request.hash_ids, strict=True)
    )
    return " ".join(blocks)
