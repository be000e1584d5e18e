"""One request's life: the times at which it passed from stage to stage, and the latency parts that follow."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cosim.bridge.messages import Delivered
from cosim.clients.base import Question
from cosim.clock import Event
from cosim.http.pool import Connection
from cosim.results.records import ConnectionUse, RequestRecord, Status

if TYPE_CHECKING:
    from cosim.serving import Serving


@dataclass(slots=True, eq=False)
class Request:
    """A question on its way. A time is None until it is reached; all are ns since the epoch.

    `t_prompt_ns`: its last byte was readable at the server. `t_scheduler_ns`: the front end had handed it to the
    scheduler. `t_first_step_ns`: its first step started. `t_prefill_ns`, `t_decode_ns`: the steps that yielded its
    first and last token ended. `t_egress_ns`: its last chunk was written.
    """

    question: Question
    t_sent_ns: int
    tier: str | None = None
    serving: Serving | None = None
    connection: Connection | None = None
    connection_use: ConnectionUse = "none"
    timers: list[Event] = field(default_factory=list)

    t_prompt_ns: int | None = None
    t_scheduler_ns: int | None = None
    t_first_step_ns: int | None = None
    t_prefill_ns: int | None = None
    t_decode_ns: int | None = None
    t_egress_ns: int | None = None
    uplink: Delivered | None = None
    downlink: Delivered | None = None

    chunks_written: int = 0
    chunk_times_ns: list[int] = field(default_factory=list)
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    output_tokens: int = 0
    bytes_up: int = 0
    bytes_down: int = 0
    status: Status | None = None
    refusal: str | None = None
    left_server: bool = False

    @property
    def request_id(self) -> str:
        """Unique in the run."""
        return self.question.request_id

    def refuse(self, text: str, now_ns: int) -> None:
        """The front end ended in an error answer: no later stage of the server takes any time."""
        self.refusal = text
        self.t_scheduler_ns = self.t_first_step_ns = self.t_prefill_ns = self.t_decode_ns = self.t_egress_ns = now_ns

    def parts(self, t_end_ns: int, hops: tuple[str, ...]) -> dict[str, int]:
        """How `t_end_ns - t_sent_ns` divides among the stages, ns; adds up exactly.

        The stage under way at the end takes what is left; later ones are 0. `hops`: names of the network's hops from
        the UE on; the way down crosses them in reverse.
        """
        ends = [*self._up_ends(hops), *self._server_ends(), *self._down_ends(hops)]
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

    def _up_ends(self, hops: tuple[str, ...]) -> list[tuple[str, int | None]]:
        """Ends of the stages up to the server: pool, handshakes, TCP, then each hop of the completing segment."""
        if self.connection is None:
            return [(f"up_{name}", self.t_sent_ns) for name in ("pool", "connect", "transport", *hops)]
        connected_ns = self.connection.t_connected_ns
        if connected_ns is not None:
            connected_ns = max(connected_ns, self.t_sent_ns)
        ends: list[tuple[str, int | None]] = [("up_pool", self.t_sent_ns), ("up_connect", connected_ns)]
        return ends + _way("up", self.uplink, hops)

    def _server_ends(self) -> list[tuple[str, int | None]]:
        return [
            ("frontend", self.t_scheduler_ns),
            ("queue", self.t_first_step_ns),
            ("prefill", self.t_prefill_ns),
            ("decode", self.t_decode_ns),
            ("egress", self.t_egress_ns),
        ]

    def _down_ends(self, hops: tuple[str, ...]) -> list[tuple[str, int | None]]:
        if self.connection is None:
            return [(f"down_{name}", self.t_egress_ns) for name in ("transport", *hops)]
        return _way("down", self.downlink, hops[::-1])

    def record(self, t_end_ns: int, *, error: str | None, warmup: bool, hops: tuple[str, ...]) -> RequestRecord:
        """The line of requests.jsonl."""
        question, engine = self.question, self.serving.engine if self.serving else None
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
            attempts=1,
            t_scheduled_ns=question.t_scheduled_ns,
            t_sent_ns=self.t_sent_ns,
            t_first_token_ns=first_ns,
            t_end_ns=t_end_ns,
            ttft_ns=ttft_ns,
            e2el_ns=e2el_ns,
            e2el_scheduled_ns=t_end_ns - question.t_scheduled_ns,
            tpot_ns=tpot_ns,
            chunk_times_ns=self.chunk_times_ns,
            prompt_tokens=self.prompt_tokens,
            output_tokens=self.output_tokens,
            cached_tokens=self.cached_tokens,
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
