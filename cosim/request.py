"""One request's life: its attempts, the times at which each passed from stage to stage, the latency parts."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from cosim.bridge.messages import Delivered
from cosim.clients.base import Question
from cosim.clock import Event
from cosim.http.pool import Connection
from cosim.results.records import ConnectionUse, RequestRecord, Status

if TYPE_CHECKING:
    from cosim.serving import Serving


SERVER_STAGES = ("frontend", "queue", "prefill", "decode", "egress")


@dataclass(slots=True, eq=False)
class Attempt:
    """One try of a request: its connection and its way through the server. A time is None until it is reached.

    `number` counts from 1. `serving`: the engine that took its prompt. `t_prompt_ns`: the last byte was readable at the
    server. `t_scheduler_ns`: the front end had handed it to the scheduler. `t_first_step_ns`: its first step started.
    `t_prefill_ns`, `t_decode_ns`: the steps that yielded its first and last token ended. `t_egress_ns`: its last chunk
    was written. All are ns since the epoch.
    """

    request: Request
    number: int
    t_sent_ns: int
    connection: Connection | None = None
    serving: Serving | None = None

    t_prompt_ns: int | None = None
    t_scheduler_ns: int | None = None
    t_first_step_ns: int | None = None
    t_prefill_ns: int | None = None
    t_decode_ns: int | None = None
    t_egress_ns: int | None = None
    uplink: Delivered | None = None
    downlink: Delivered | None = None

    chunks_written: int = 0
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    refusal: str | None = None
    left_server: bool = False

    @property
    def id(self) -> str:
        """Unique in the run: a server takes each try for a request of its own, as vLLM does."""
        return self.request.request_id if self.number == 1 else f"{self.request.request_id}-retry{self.number - 1}"

    @property
    def question(self) -> Question:
        """What an engine needs to know, under this try's id."""
        question = self.request.question
        return question if self.number == 1 else replace(question, request_id=self.id)

    @property
    def awaited(self) -> bool:
        """Whether the client still waits for this try's answer."""
        return self.request.status is None and self.request.attempt is self

    def refuse(self, text: str, now_ns: int) -> None:
        """The front end ended in an error answer: no later stage of the server takes any time."""
        self.refusal = text
        self.t_scheduler_ns = self.t_first_step_ns = self.t_prefill_ns = self.t_decode_ns = self.t_egress_ns = now_ns

    def ends(self, hops: tuple[str, ...]) -> list[tuple[str, int | None]]:
        """When each stage from the handshakes on ended, in their order."""
        if self.connection is None:
            up: list[tuple[str, int | None]] = [
                (f"up_{name}", self.t_sent_ns) for name in ("connect", "transport", *hops)
            ]
            down: list[tuple[str, int | None]] = [
                (f"down_{name}", self.t_egress_ns) for name in ("transport", *hops[::-1])
            ]
        else:
            connected_ns = self.connection.t_connected_ns
            if connected_ns is not None:
                connected_ns = max(connected_ns, self.t_sent_ns)
            up = [("up_connect", connected_ns), *_way("up", self.uplink, hops)]
            down = _way("down", self.downlink, hops[::-1])
        server_ns = self.t_scheduler_ns, self.t_first_step_ns, self.t_prefill_ns, self.t_decode_ns, self.t_egress_ns
        return [*up, *zip(SERVER_STAGES, server_ns, strict=True), *down]


@dataclass(slots=True, eq=False)
class Request:
    """A question on its way, over one attempt or more; `attempt` is the one under way, if any.

    `serving`: the engine that has to answer it; None where a balancer chooses one when a prompt arrives.
    """

    question: Question
    t_sent_ns: int
    tier: str | None = None
    serving: Serving | None = None
    attempt: Attempt | None = None
    attempts: int = 0
    connection_use: ConnectionUse = "none"
    timers: list[Event] = field(default_factory=list)

    prompt_bytes: int = 0
    bytes_up: int = 0
    bytes_down: int = 0
    chunk_times_ns: list[int] = field(default_factory=list)
    output_tokens: int = 0
    text: str = ""
    status: Status | None = None

    @property
    def request_id(self) -> str:
        """Unique in the run."""
        return self.question.request_id

    def parts(self, t_end_ns: int, hops: tuple[str, ...]) -> dict[str, int]:
        """How `t_end_ns - t_sent_ns` divides among the stages, ns; adds up exactly.

        The stage under way at the end takes what is left; later ones are 0. `up_retry` holds all that came before the
        last attempt. `hops`: names of the network's hops from the UE on; the way down crosses them in reverse.
        """
        retried_ns = self.attempt.t_sent_ns if self.attempt else None
        attempt = self.attempt or Attempt(self, self.attempts + 1, t_end_ns)  # The next one, not sent yet.
        ends = [("up_pool", self.t_sent_ns), ("up_retry", retried_ns), *attempt.ends(hops)]
        durations: dict[str, int] = {}
        since_ns = self.t_sent_ns
        under_way = True
        for name, t_ns in ends:
            if under_way and t_ns is None:
                durations[name] = t_end_ns - since_ns
                under_way = False
            elif under_way and t_ns is not None:
                durations[name] = t_ns - since_ns
                since_ns = t_ns
            else:
                durations[name] = 0
        return durations

    def record(self, t_end_ns: int, *, error: str | None, warmup: bool, hops: tuple[str, ...]) -> RequestRecord:
        """The line of requests.jsonl."""
        question = self.question
        serving = (self.attempt.serving if self.attempt else None) or self.serving
        engine = serving.engine if serving else None
        first_ns = self.chunk_times_ns[0] if self.chunk_times_ns else None
        ttft_ns = first_ns - self.t_sent_ns if first_ns is not None else None
        e2el_ns = t_end_ns - self.t_sent_ns
        tpot_ns = None
        if self.status == "ok" and ttft_ns is not None and self.output_tokens > 1:
            tpot_ns = round((e2el_ns - ttft_ns) / (self.output_tokens - 1))
        assert self.status is not None
        return RequestRecord(
            request_id=question.request_id,
            client=question.client,
            session=question.session,
            turn=question.turn,
            tier=self.tier,
            engine=engine.name if engine else None,
            model=engine.model if engine else None,
            status=self.status,
            error=error,
            warmup=warmup,
            attempts=self.attempts,
            t_scheduled_ns=question.t_scheduled_ns,
            t_sent_ns=self.t_sent_ns,
            t_first_token_ns=first_ns,
            t_end_ns=t_end_ns,
            ttft_ns=ttft_ns,
            e2el_ns=e2el_ns,
            e2el_scheduled_ns=t_end_ns - question.t_scheduled_ns,
            tpot_ns=tpot_ns,
            chunk_times_ns=self.chunk_times_ns,
            prompt_tokens=self.attempt.prompt_tokens if self.attempt else None,
            output_tokens=self.output_tokens,
            cached_tokens=self.attempt.cached_tokens if self.attempt else None,
            bytes_up=self.bytes_up,
            bytes_down=self.bytes_down,
            connection=self.connection_use,
            parts=self.parts(t_end_ns, hops),
        )


def _way(prefix: str, delivery: Delivered | None, hops: tuple[str, ...]) -> list[tuple[str, int | None]]:
    """Ends of a message's stages: until TCP emitted the segment that completed it, then each hop in its order."""
    if delivery is None:
        return [(f"{prefix}_{name}", None) for name in ("transport", *hops)]
    ends: list[tuple[str, int | None]] = [(f"{prefix}_transport", delivery.emitted_ns)]
    t_ns = delivery.emitted_ns
    for name, hop_ns in zip(hops, delivery.hops_ns, strict=True):
        t_ns += hop_ns
        ends.append((f"{prefix}_{name}", t_ns))
    return ends
