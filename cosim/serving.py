"""An engine in virtual time: front end, step and egress, each a server of its own that overlaps the other two."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from cosim.clock import Agenda, Event, Priority
from cosim.inference.base import Engine, EngineRefusal, StepResult, Tokens
from cosim.request import Attempt
from cosim.results.records import EgressRecord, FrontendRecord, RequestRecord, StepRecord, StepsLine

Job = TypeVar("Job")


class Recorder(Protocol):
    """Where a run's records go, as they happen."""

    def request(self, record: RequestRecord) -> None:
        """A request has ended."""

    def step(self, record: StepsLine) -> None:
        """Something was executed that a replay has to repeat."""

    def gauge(self, t_ns: int, source: str, metric: str, labels: dict[str, str], value: float) -> None:
        """A value at a time."""


class Hardware:
    """A piece of hardware; engines that share it in time slices take turns on it in virtual time."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.in_use = False
        self.waiting: dict[Serving, None] = {}


class Fifo(Generic[Job]):
    """A worker that serves one job at a time, first come first served.

    `begin` executes a job and returns how long that took, `done` is called at its end in virtual time.
    """

    def __init__(self, agenda: Agenda, begin: Callable[[Job, int], int], done: Callable[[Job, int], None]) -> None:
        self._agenda = agenda
        self._begin = begin
        self._done = done
        self._waiting: deque[Job] = deque()
        self._serving: Event | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, job: Job) -> None:
        """Queue a job; it begins at the next `start` that finds the worker free."""
        self._waiting.append(job)

    def drop(self, unwanted: Callable[[Job], bool]) -> None:
        """Take out waiting jobs; the one being served is finished."""
        self._waiting = deque(job for job in self._waiting if not unwanted(job))

    def start(self, now_ns: int) -> bool:
        """Begin the next job if the worker is free; whether one began."""
        if self._serving is not None or not self._waiting:
            return False
        job = self._waiting.popleft()
        end_ns = now_ns + self._begin(job, now_ns)
        self._serving = self._agenda.at(end_ns, Priority.STAGE, lambda: self._finish(job, end_ns))
        return True

    def _finish(self, job: Job, now_ns: int) -> None:
        self._serving = None
        self._done(job, now_ns)


class Origin(Protocol):
    """Where requests come from and answers go: the conductor."""

    def stir(self, serving: Serving) -> None:
        """Something may begin at this engine at this instant."""

    def on_chunk(self, attempt: Attempt, tokens: Tokens, now_ns: int) -> None:
        """A chunk of an answer was written."""

    def on_refusal(self, attempt: Attempt, text: str, now_ns: int) -> None:
        """The server answers with an error."""


class QueueTimes:
    """vLLM's histogram `request_queue_time_seconds` as its sum and count: from queued to scheduled for the first time.

    With asynchronous scheduling a batch is scheduled when the one before it starts. vLLM adds a request when it
    finishes (IterationStats.update_from_finished_request), here it is added when it is scheduled.
    """

    def __init__(self) -> None:
        self._sum_ns = 0
        self._count = 0

    def add(self, queued_ns: int, scheduled_ns: int) -> None:
        """A request was scheduled for the first time."""
        self._sum_ns += scheduled_ns - queued_ns
        self._count += 1

    def gauges(self) -> dict[str, float]:
        """By their Prometheus names; seconds."""
        return {
            "request_queue_time_seconds_sum": self._sum_ns / 1e9,
            "request_queue_time_seconds_count": float(self._count),
        }


class Serving:
    """One engine and the requests in its stages; `attach` it to the conductor before the first request."""

    def __init__(
        self,
        engine: Engine,
        *,
        hardware: Hardware | None,
        agenda: Agenda,
        recorder: Recorder,
        observe: Callable[[int, str], None] = lambda t_ns, text: None,
    ) -> None:
        self.engine = engine
        self.last_step_end_ns = 0
        self._hardware = hardware
        self._agenda = agenda
        self._recorder = recorder
        self._observe = observe
        self._origin: Origin
        self._frontend: Fifo[Attempt] = Fifo(agenda, self._render, self._rendered)
        self._egress: Fifo[tuple[Attempt, Tokens]] = Fifo(agenda, self._encode, self._encoded)
        self._present: set[Attempt] = set()
        self._scheduled: dict[str, Attempt] = {}
        self._stepping = False
        self._in_flight = False
        self._step_start_ns = 0
        self._queue_times = QueueTimes()
        self._steps = 0
        self._noted = {"frontend_queue": 0, "egress_queue": 0}

    def attach(self, origin: Origin) -> None:
        """Say where requests come from and answers go."""
        self._origin = origin

    @property
    def requests(self) -> int:
        """Requests in front end, scheduler and egress; one that was aborted is gone at once."""
        return len(self._present)

    def take(self, attempt: Attempt, now_ns: int) -> None:
        """The request's last byte is here: queue it at the front end."""
        attempt.t_prompt_ns = now_ns
        attempt.serving = self
        self._present.add(attempt)
        self._frontend.put(attempt)
        self._origin.stir(self)

    def abort(self, attempt: Attempt) -> None:
        """The server noticed that nobody waits for the answer; a step under way ends first."""
        self._leave(attempt)
        self._frontend.drop(lambda job: job is attempt)
        self._egress.drop(lambda job: job[0] is attempt)
        self._scheduled.pop(attempt.id, None)
        self.engine.abort(attempt.id)

    def _leave(self, attempt: Attempt) -> None:
        attempt.left_server = True
        self._present.discard(attempt)

    def start_workers(self, now_ns: int) -> bool:
        """Begin what the front end and the egress can begin now; whether anything began."""
        began = [self._frontend.start(now_ns), self._egress.start(now_ns)]
        self._note_queues(now_ns)
        return any(began)

    def _note_queues(self, now_ns: int) -> None:
        """Record how many wait for front end and egress, where that has changed; what begins at once never waited."""
        lengths = {"frontend_queue": len(self._frontend), "egress_queue": len(self._egress)}
        for metric, length in lengths.items():
            if length != self._noted[metric]:
                self._recorder.gauge(now_ns, self.engine.name, metric, {}, length)
        self._noted = lengths

    def start_step(self, now_ns: int) -> bool:
        """Execute a step for real if the engine is idle and has requests; whether one began.

        A batch that is in flight is executed even if all its requests have ended: nothing can call it back.
        """
        if self._stepping or not (self._scheduled or self._in_flight):
            return False
        if self._hardware is not None:
            if self._hardware.in_use:
                self._hardware.waiting[self] = None
                return False
            self._hardware.in_use = True
        result = self.engine.step(now_ns)
        self._note_first_steps(result, now_ns)
        self._stepping = True
        self._in_flight = result.in_flight
        self._step_start_ns = now_ns
        self._record(result, now_ns)
        self._observe(now_ns, f"step {self.engine.name} {' '.join(f'{k}:{n}' for k, n in result.scheduled.items())}")
        end_ns = now_ns + result.duration_ns
        self._agenda.at(end_ns, Priority.STAGE, lambda: self._step_done(result, end_ns))
        return True

    def _note_first_steps(self, result: StepResult, now_ns: int) -> None:
        """A batch that was in flight was fixed when the step before started."""
        fixed_ns = self._step_start_ns if self._in_flight else now_ns
        starting = [self._scheduled[request_id] for request_id in result.scheduled if request_id in self._scheduled]
        starting = [attempt for attempt in starting if attempt.t_first_step_ns is None]
        for attempt in starting:
            assert attempt.t_scheduler_ns is not None
            attempt.t_first_step_ns = now_ns
            self._queue_times.add(attempt.t_scheduler_ns, fixed_ns)
        if starting:
            for metric, value in self._queue_times.gauges().items():
                self._recorder.gauge(now_ns + result.duration_ns, self.engine.name, metric, {}, value)

    def _render(self, attempt: Attempt, now_ns: int) -> int:
        name, request_id = self.engine.name, attempt.id
        try:
            result = self.engine.render(attempt.question)
        except EngineRefusal as refusal:
            return self._refuse(attempt, now_ns, refusal)
        attempt.prompt_tokens = result.prompt_tokens
        self._recorder.step(
            FrontendRecord(
                engine=name,
                request_id=request_id,
                t_start_ns=now_ns,
                duration_ns=result.duration_ns,
                source=result.source,
                wall_start_ns=result.wall_start_ns,
                wall_end_ns=result.wall_end_ns,
                prompt_tokens=result.prompt_tokens,
                encoder_tokens=result.encoder_tokens,
                images=result.images,
                conditions=result.conditions,
                recorded_source=result.recorded_source,
            )
        )
        return result.duration_ns

    def _refuse(self, attempt: Attempt, now_ns: int, refusal: EngineRefusal) -> int:
        self._leave(attempt)
        text, duration_ns = str(refusal), refusal.duration_ns
        self._recorder.step(
            FrontendRecord(
                engine=self.engine.name,
                request_id=attempt.id,
                t_start_ns=now_ns,
                duration_ns=duration_ns,
                source=refusal.source,
                wall_start_ns=None,
                wall_end_ns=None,
                prompt_tokens=0,
                encoder_tokens=0,
                images=0,
                refused=text,
                recorded_source=refusal.recorded_source,
            )
        )
        end_ns = now_ns + duration_ns
        self._agenda.at(end_ns, Priority.STAGE, lambda: self._origin.on_refusal(attempt, text, end_ns))
        return duration_ns

    def _rendered(self, attempt: Attempt, now_ns: int) -> None:
        self._origin.stir(self)
        if attempt.left_server:
            self.engine.abort(attempt.id)
            return
        self._observe(now_ns, f"frontend {attempt.id}")
        attempt.t_scheduler_ns = now_ns
        self._scheduled[attempt.id] = attempt
        self.engine.submit(attempt.id)

    def _step_done(self, result: StepResult, now_ns: int) -> None:
        self._stepping = False
        self.last_step_end_ns = now_ns
        self._observe(now_ns, f"step done {self.engine.name}")
        for request_id, tokens in result.tokens.items():
            attempt = self._scheduled.get(request_id)
            if attempt is None:
                continue  # Aborted during the step: its tokens are discarded.
            if attempt.t_prefill_ns is None:
                attempt.t_prefill_ns = now_ns
                attempt.cached_tokens = tokens.cached_tokens
            if tokens.finish_reason is not None:
                attempt.t_decode_ns = now_ns
                del self._scheduled[request_id]
            self._egress.put((attempt, tokens))
        self._origin.stir(self)
        if self._hardware is not None:
            self._hardware.in_use = False
            for serving in self._hardware.waiting:
                self._origin.stir(serving)
            self._hardware.waiting.clear()

    def _encode(self, job: tuple[Attempt, Tokens], now_ns: int) -> int:
        del now_ns
        return job[1].egress_ns

    def _encoded(self, job: tuple[Attempt, Tokens], now_ns: int) -> None:
        self._origin.stir(self)
        attempt, tokens = job
        if attempt.left_server:
            return
        if tokens.finish_reason is not None:
            attempt.t_egress_ns = now_ns
            self._leave(attempt)
        self._observe(now_ns, f"egress {attempt.id}")
        self._origin.on_chunk(attempt, tokens, now_ns)

    def _record(self, result: StepResult, now_ns: int) -> None:
        name, index = self.engine.name, self._steps
        self._steps += 1
        tokens = result.tokens
        self._recorder.step(
            StepRecord(
                engine=name,
                index=index,
                t_start_ns=now_ns,
                duration_ns=result.duration_ns,
                source=result.source,
                wall_start_ns=result.wall_start_ns,
                wall_end_ns=result.wall_end_ns,
                signature=result.signature,
                tokens={rid: (token.count, token.n_bytes, token.finish_reason) for rid, token in tokens.items()},
                scheduled=result.scheduled,
                cached_tokens={rid: token.cached_tokens for rid, token in tokens.items() if token.cached_tokens},
                conditions=result.conditions,
                in_flight=result.in_flight,
                recorded_source=result.recorded_source,
            )
        )
        egress_ns = {rid: token.egress_ns for rid, token in tokens.items()}
        self._recorder.step(EgressRecord(name, index, egress_ns, result.egress_source, result.recorded_egress_source))
        end_ns = now_ns + result.duration_ns
        for metric, value in result.gauges.items():
            self._recorder.gauge(end_ns, name, metric, {}, value)
