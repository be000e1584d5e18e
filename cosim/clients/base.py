"""What a client is to the conductor: a source of questions, each due at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from cosim.clients.backoff import Backoff
from cosim.scenario.group import Group

OnOverrun = Literal["overlap", "skip", "queue"]


@dataclass(frozen=True, slots=True)
class Answer:
    """How a question ended, as requests.jsonl says it, and what the client had read by then."""

    status: str
    output_tokens: int
    text: str


@dataclass(frozen=True, slots=True)
class Question:
    """One request as a client asks it. Times are ns since the epoch, durations ns.

    `make_body` makes the JSON of POST /v1/chat/completions, once; a replay, which knows its size, never calls it.
    `answered` is told how it ended, before the client is asked for its next question. `turn` counts from 1.
    """

    request_id: str
    client: str
    tier: str
    t_scheduled_ns: int
    prompt_tokens: int
    output_tokens: int
    timeout_ns: int
    cancel_after_ns: int | None
    cancel_after_chunks: int | None
    max_retries: int
    make_body: Callable[[], bytes] = field(repr=False)
    session: str | None = None
    turn: int | None = None
    answered: Callable[[Answer], None] | None = field(default=None, repr=False)
    _made: list[bytes] = field(default_factory=list, repr=False)

    def body(self) -> bytes:
        """The request's JSON."""
        if not self._made:
            self._made.append(self.make_body())
        return self._made[0]


def ask(
    group: Group,
    *,
    client: str,
    index: int,
    t_scheduled_ns: int,
    prompt_tokens: int,
    output_tokens: int,
    make_body: Callable[[], bytes],
    tier: str | None = None,
    session: str | None = None,
    turn: int | None = None,
    answered: Callable[[Answer], None] | None = None,
) -> Question:
    """The question with a number of a client, with what its group says of every question; `tier` None: the group's."""
    return Question(
        request_id=f"{client}-{index:06d}",
        client=client,
        tier=tier or group.tier,
        t_scheduled_ns=t_scheduled_ns,
        prompt_tokens=prompt_tokens,
        output_tokens=output_tokens,
        timeout_ns=group.timeout,
        cancel_after_ns=group.cancel_after,
        cancel_after_chunks=group.cancel_after_chunks,
        max_retries=group.max_retries,
        make_body=make_body,
        session=session,
        turn=turn,
        answered=answered,
    )


class Client(Protocol):
    """One client of a group."""

    name: str
    group: str
    tier: str
    closed_loop: bool
    on_overrun: OnOverrun
    backoff: Backoff

    def next_question(self, not_before_ns: int) -> Question | None:
        """The question that is due next; None when this client has asked its last.

        In an open loop its time does not depend on answers. In a closed loop it is `not_before_ns`, the end of the
        previous request, plus a think time.
        """
