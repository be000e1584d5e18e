"""The lockstep loop: network packets and engine steps on one causal clock.

Virtual time moves from one cause to the next. The loop asks for the horizon, the earliest event that cosim itself
knows of: a client's, or the end of an engine's stage. The network runs up to it, or stops at the first delivery that
can cause something before it. All that is due is applied in the order (time, priority, sequence). Only when nothing
is left at that instant does an idle engine execute its next step, for real; the step's measured duration says when,
in virtual time, it ends. Every input that a step can see is therefore settled before the step starts, however long
packets or steps take on this machine.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from cosim.bridge.engine_messages import Tokens
from cosim.clients.base import Answer, Client, Question
from cosim.clock import Agenda, Clock, Priority
from cosim.http.connections import HttpConnections
from cosim.invariants import Invariants
from cosim.network.base import KnobChange, Network
from cosim.placement.base import Placement, PlacementError, View
from cosim.request import Attempt, Request
from cosim.results.records import PromptRecord, Status
from cosim.serving import Recorder, Serving


class Site(Protocol):
    """A tier as the conductor needs it."""

    @property
    def path(self) -> str | None:
        """The WAN path to its server; None: beside the client."""

    def only_serving(self, client: str) -> Serving | None:
        """The engine that has to answer a client; None where a balancer chooses one for each prompt that arrives."""

    def choose_serving(self, question: Question) -> Serving:
        """The engine that takes a prompt which has arrived now."""

    def wire_bytes(self, question: Question) -> int:
        """Size of the request on the wire."""

    def answer_bytes(self, n_bytes: int, *, first: bool, last: bool) -> int:
        """Size of a chunk at the client's end, of what the engine wrote in HTTP/1.1."""

    def refusal_bytes(self, text: str) -> int:
        """Size of an error answer on the wire."""


@dataclass(slots=True)
class _ClientState:
    client: Client
    in_flight: int = 0
    held: deque[Question] = field(default_factory=deque)


class Conductor:
    """Runs one scenario in virtual time; see the module for how."""

    def __init__(
        self,
        *,
        agenda: Agenda,
        clients: Sequence[Client],
        placement: Placement,
        sites: Mapping[str, Site],
        servings: Iterable[Serving],
        network: Network,
        recorder: Recorder,
        invariants: Invariants,
        warmup_ns: int,
        keepalive_ns: int,
        server_keepalive_ns: int,
        multiplexed: Collection[str] = (),
        knobs: Iterable[KnobChange] = (),
        observe: Callable[[int, str], None] = lambda t_ns, text: None,
        progress: Callable[[int, Request], None] = lambda t_ns, request: None,
    ) -> None:
        self.clock = Clock()
        self.issued = 0
        self.ended = 0
        self.http = HttpConnections(
            clock=self.clock,
            agenda=agenda,
            network=network,
            invariants=invariants,
            keepalive_ns=keepalive_ns,
            server_keepalive_ns=server_keepalive_ns,
            multiplexed=multiplexed,
            observe=observe,
        )
        self.http.attach(self)
        self._agenda = agenda
        self._clients = {client.name: _ClientState(client) for client in clients}
        self._placement = placement
        self._sites = sites
        self._network = network
        self._recorder = recorder
        self._invariants = invariants
        self._warmup_ns = warmup_ns
        self._knobs = iter(knobs)
        self._observe = observe
        self._progress = progress
        self._arrivals_to_come = 0
        self._in_flight: Counter[str] = Counter()
        self._stirred: dict[Serving, None] = {}
        for serving in servings:
            serving.attach(self)

    # The loop.

    def run(self) -> None:
        """Serve every request of every client. What goes wrong is raised; what has ended by then is recorded."""
        self._schedule_knob()
        for state in self._clients.values():
            self._schedule_next(state, 0)
        while self._arrivals_to_come or self.ended < self.issued:
            horizon_ns = self._agenda.next_ns()
            assert horizon_ns is not None, "an open request has a timeout, and that is an event"
            now_ns, deliveries = self._network.advance(horizon_ns)
            self._move_to(now_ns)
            for delivery in deliveries:
                self._agenda.at(delivery.t_ns, Priority.DELIVERY, partial(self.http.deliver, delivery))
            self._apply_all(now_ns)
            self._start_steps(now_ns)

    def _move_to(self, now_ns: int) -> None:
        before_ns = self.clock.now_ns
        self._invariants.check("time_forward", now_ns >= before_ns, lambda: f"from {before_ns} ns to {now_ns} ns")
        self.clock.advance_to(now_ns)

    def _apply_all(self, now_ns: int) -> None:
        """Apply what is due, and begin what front ends and egresses can begin, until nothing is left at `now_ns`."""
        began = True
        while began:
            while event := self._agenda.pop_until(now_ns):
                event.action()
            began = any([serving.start_workers(now_ns) for serving in self._stirred])

    def _start_steps(self, now_ns: int) -> None:
        """Execute a step of each idle engine with waiting requests; the one whose last step ended first goes first."""
        stirred, self._stirred = self._stirred, {}
        for serving in sorted(stirred, key=lambda candidate: candidate.last_step_end_ns):
            serving.start_step(now_ns)

    def stir(self, serving: Serving) -> None:
        """Note that something may begin at an engine at this instant."""
        self._stirred[serving] = None

    def _turn(self, knob: KnobChange) -> None:
        _, path, value = knob
        self._observe(self.clock.now_ns, f"knob {path}")
        self._network.set(path, value, self.clock.now_ns)
        self.http.links_changed()
        self._schedule_knob()

    def _schedule_knob(self) -> None:
        """One at a time: traces change their links for as long as the run lasts."""
        knob = next(self._knobs, None)
        if knob is not None:
            self._agenda.at(knob[0], Priority.KNOB, partial(self._turn, knob))

    # Clients: arrival, sending, giving up.

    def _schedule_next(self, state: _ClientState, not_before_ns: int) -> None:
        question = state.client.next_question(not_before_ns)
        if question is not None:
            self._arrivals_to_come += 1
            self._agenda.at(question.t_scheduled_ns, Priority.CLIENT, partial(self._arrive, state, question))

    def _arrive(self, state: _ClientState, question: Question) -> None:
        self._arrivals_to_come -= 1
        self.issued += 1
        if not state.client.closed_loop:
            self._schedule_next(state, self.clock.now_ns)
        if state.in_flight and state.client.on_overrun == "skip":
            request = Request(question, self.clock.now_ns, tier=question.tier)
            self._end(request, "cancelled", "skipped: the client's previous request was not answered yet")
        elif state.in_flight and state.client.on_overrun == "queue":
            state.held.append(question)
            state.in_flight += 1
        else:
            state.in_flight += 1
            self._send(question)

    def _send(self, question: Question) -> None:
        """Hand a question to the HTTP client: choose a tier, start its timers, put its bytes on the way."""
        now_ns = self.clock.now_ns
        self._observe(now_ns, f"send {question.request_id}")
        request = Request(question, now_ns)
        request.tier = self._placement.choose(question, View(now_ns, dict(self._in_flight)))
        if request.tier is None:
            self._end(request, "rejected", "the placement policy rejected it")
            return
        if request.tier not in self._sites:
            raise PlacementError(f"the placement policy chose {request.tier!r}, which is no tier; mend the policy")
        self._in_flight[request.tier] += 1
        site = self._sites[request.tier]
        request.serving = site.only_serving(question.client)
        request.prompt_bytes = site.wire_bytes(question)
        self._recorder.step(PromptRecord(question.request_id, request.prompt_bytes))
        self._start_timer(request, question.timeout_ns, "timeout", f"no answer within {question.timeout_ns} ns")
        if question.cancel_after_ns is not None:
            self._start_timer(request, question.cancel_after_ns, "cancelled", "the client gave up")
        self._attempt(request)

    def _attempt(self, request: Request) -> None:
        """Put a request's bytes on the way, for the first time or again."""
        assert request.tier is not None
        request.attempts += 1
        request.bytes_up += request.prompt_bytes
        request.attempt = Attempt(request, request.attempts, self.clock.now_ns)
        path = self._sites[request.tier].path
        if path is None:
            self._take(request.attempt, self.clock.now_ns)
        else:
            self.http.send(request.attempt, path)

    def _take(self, attempt: Attempt, t_ns: int) -> None:
        """An engine gets a prompt that is complete at its server."""
        site = self._sites[attempt.request.tier or ""]
        site.choose_serving(attempt.request.question).take(attempt, t_ns)

    def _retry(self, request: Request) -> None:
        self._observe(self.clock.now_ns, f"retry {request.request_id}")
        self._attempt(request)

    def _start_timer(self, request: Request, after_ns: int, status: Status, error: str) -> None:
        t_ns = self.clock.now_ns + after_ns
        request.timers.append(self._agenda.at(t_ns, Priority.CLIENT, lambda: self._give_up(request, status, error)))

    def _give_up(self, request: Request, status: Status, error: str | None) -> None:
        """The client waits no longer."""
        for delivery in self._network.settle(self.clock.now_ns):
            self.http.deliver(delivery)
        if request.status is not None:
            return
        attempt = request.attempt
        if attempt is not None and attempt.connection is not None:
            self.http.abandon(attempt)  # First: what the client sends next comes after it.
        elif attempt is not None and attempt.serving is not None:
            attempt.serving.abort(attempt)
        self._end(request, status, error)

    def _end(self, request: Request, status: Status, error: str | None = None) -> None:
        """Close the request's account; its client goes on."""
        now_ns = self.clock.now_ns
        self._invariants.check("ends_once", request.status is None, lambda: f"{request.request_id} ended twice")
        request.status = status
        self.ended += 1
        for timer in request.timers:
            self._agenda.cancel(timer)
        warmup = request.question.t_scheduled_ns < self._warmup_ns
        record = request.record(now_ns, error=error, warmup=warmup, hops=self._network.hops)
        parts_ns = sum(record.parts.values())
        exact = parts_ns == record.e2el_ns and min(record.parts.values()) >= 0
        self._invariants.check("parts", exact, lambda: f"{request.request_id}: {record.parts} for {record.e2el_ns} ns")
        self._recorder.request(record)
        self._observe(now_ns, f"end {request.request_id} {status}")
        self._progress(now_ns, request)
        if request.attempts and request.tier is not None:
            self._in_flight[request.tier] -= 1
        if request.question.answered is not None:
            request.question.answered(Answer(status, request.output_tokens, request.text))
        self._release_client(request)

    def _release_client(self, request: Request) -> None:
        state = self._clients[request.question.client]
        if request.attempts or request.status == "rejected":
            state.in_flight -= 1
            if state.held:
                self._send(state.held.popleft())
        if state.client.closed_loop:
            self._schedule_next(state, self.clock.now_ns)

    # The ends of HTTP's connections: what arrives there.

    def on_prompt(self, attempt: Attempt, t_ns: int) -> None:
        """A prompt is complete at its server."""
        self._observe(t_ns, f"prompt {attempt.id}")
        self._take(attempt, t_ns)

    def on_abandoned(self, attempt: Attempt) -> None:
        """The server sees that a client has gone."""
        assert attempt.serving is not None
        attempt.serving.abort(attempt)

    def on_broken(self, attempt: Attempt, text: str) -> None:
        """A connection broke under a request: try again, as the openai SDK does before the answer has begun."""
        request, now_ns = attempt.request, self.clock.now_ns
        if request.bytes_down or request.attempts > request.question.max_retries:
            self._end(request, "error", text)
            return
        self._observe(now_ns, f"broken {attempt.id}")
        request.attempt = None
        delay_ns = self._clients[request.question.client].client.backoff.delay_ns(request.attempts - 1)
        request.timers.append(self._agenda.at(now_ns + delay_ns, Priority.CLIENT, lambda: self._retry(request)))

    # Answers.

    def on_chunk(self, attempt: Attempt, tokens: Tokens, now_ns: int) -> None:
        """An engine wrote a chunk: send it to the client, or hand it over where no network lies between."""
        caused = attempt.t_prompt_ns is not None and attempt.t_prompt_ns <= now_ns
        self._invariants.check("causality", caused, lambda: f"{attempt.id}: a token before its prompt")
        if not attempt.awaited:
            return
        attempt.chunks_written += 1
        if attempt.connection is None:
            self.on_answer(attempt, tokens, tokens.n_bytes, now_ns)
            return
        last = tokens.finish_reason is not None
        wakes = last or attempt.chunks_written == attempt.request.question.cancel_after_chunks
        site = self._sites[attempt.request.tier or ""]
        n_bytes = site.answer_bytes(tokens.n_bytes, first=attempt.chunks_written == 1, last=last)
        self.http.answer(attempt, tokens, n_bytes, wakes=wakes)

    def on_refusal(self, attempt: Attempt, text: str, now_ns: int) -> None:
        """The server answered with an error instead of tokens."""
        if not attempt.awaited:
            return
        attempt.refuse(text, now_ns)
        n_bytes = self._sites[attempt.request.tier or ""].refusal_bytes(text)
        answer = Tokens(count=0, n_bytes=n_bytes, finish_reason="error", egress_ns=0, cached_tokens=0)
        if attempt.connection is None:
            self.on_answer(attempt, answer, n_bytes, now_ns)
        else:
            self.http.answer(attempt, answer, n_bytes, wakes=True)

    def on_answer(self, attempt: Attempt, tokens: Tokens, n_bytes: int, t_ns: int) -> None:
        """A chunk, or an error answer, is at the client."""
        if not attempt.awaited:
            return  # It gave up at an earlier chunk of this instant.
        request = attempt.request
        request.bytes_down += n_bytes
        request.text += tokens.text
        if tokens.count:
            request.chunk_times_ns.append(t_ns)
            request.output_tokens += tokens.count
        self._observe(t_ns, f"chunk {attempt.id}")
        if tokens.finish_reason is not None:
            self._end(request, "ok" if attempt.refusal is None else "error", attempt.refusal)
        elif len(request.chunk_times_ns) == request.question.cancel_after_chunks:
            self._give_up(request, "cancelled", "the client had read enough")
