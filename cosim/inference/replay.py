"""Engines that repeat recorded steps, and the check that a replay asks for exactly what was recorded."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from cosim.bridge.engine_messages import Tokens
from cosim.inference.base import EngineRefusal, Prompt, RenderResult, StepResult, StepSource
from cosim.results.records import EgressRecord, FrontendRecord, PromptRecord, StepRecord, StepsLine


class ReplayError(Exception):
    """The replay asked for something else than was recorded."""

    def __init__(
        self,
        what: str,
        why: str = "the recording belongs to another scenario, seed or version of cosim, or was changed",
    ) -> None:
        super().__init__(f"{what}; {why}")


class Recording:
    """The lines of steps.jsonl, read as they are asked for.

    A replay asks in the order in which the lines were written, so hardly a line waits here; those of engines that
    are not replayed are passed over.
    """

    def __init__(self, lines: Iterable[StepsLine], engines: Iterable[str], *, prompts: bool) -> None:
        self._lines: Iterator[StepsLine] = iter(lines)
        self._prompts: dict[str, int] | None = {} if prompts else None
        self._frontends: dict[str, dict[str, FrontendRecord]] = {name: {} for name in engines}
        self._steps: dict[str, deque[StepRecord]] = {name: deque() for name in engines}
        self._egress: dict[str, deque[EgressRecord]] = {name: deque() for name in engines}

    def wire_bytes(self, request_id: str) -> int:
        """Size of a request on the wire."""
        assert self._prompts is not None
        while request_id not in self._prompts:
            self._read(f"request {request_id}")
        return self._prompts.pop(request_id)

    def frontend(self, engine: str, request_id: str) -> FrontendRecord:
        """The front end's record of a request."""
        while request_id not in self._frontends[engine]:
            self._read(f"the front end of {engine} for {request_id}")
        return self._frontends[engine].pop(request_id)

    def step(self, engine: str) -> StepRecord:
        """The engine's next step."""
        while not self._steps[engine]:
            self._read(f"a step of {engine}")
        return self._steps[engine].popleft()

    def egress(self, engine: str) -> EgressRecord:
        """The egress of the engine's step that was taken last."""
        while not self._egress[engine]:
            self._read(f"the egress of {engine}")
        return self._egress[engine].popleft()

    def check_used_up(self) -> None:
        """Raise ReplayError if something was recorded that the replay did not ask for."""
        waiting = [*self._prompts] if self._prompts else []
        for name, steps in self._steps.items():
            waiting += [f"step {step.index} of {name}" for step in steps]
        if next(self._lines, None) is not None or waiting:
            raise ReplayError("steps.jsonl has more than the replay asked for" + (f": {waiting[0]}" if waiting else ""))

    def _read(self, wanted: str) -> None:
        line = next(self._lines, None)
        if line is None:
            raise ReplayError(
                f"steps.jsonl ends before {wanted}",
                "the recorded run was cut short (its manifest.json says how it ended), or the file was",
            )
        if isinstance(line, PromptRecord):
            if self._prompts is not None:
                self._prompts[line.request_id] = line.wire_bytes
        elif line.engine in self._steps:
            if isinstance(line, FrontendRecord):
                self._frontends[line.engine][line.request_id] = line
            elif isinstance(line, StepRecord):
                self._steps[line.engine].append(line)
            else:
                self._egress[line.engine].append(line)


class ReplayEngine:
    """One engine of a recording. Recorded durations are after `time_scale` and are not scaled again."""

    def __init__(self, name: str, model: str, recording: Recording) -> None:
        self.name = name
        self.model = model
        self._recording = recording
        self._rendered: set[str] = set()
        self._live: set[str] = set()
        self._fixed_with: set[str] = set()
        self._steps = 0

    def render(self, prompt: Prompt) -> RenderResult:
        """The recorded front end. Raises EngineRefusal for what was refused."""
        record = self._recording.frontend(self.name, prompt.request_id)
        if record.duration_ns < 0:
            raise ReplayError(f"the front end of {self.name} for {prompt.request_id} took {record.duration_ns} ns")
        if record.refused is not None:
            raise EngineRefusal(record.refused, record.duration_ns, "replayed", _recorded(record))
        self._rendered.add(prompt.request_id)
        return RenderResult(
            duration_ns=record.duration_ns,
            source="replayed",
            prompt_tokens=record.prompt_tokens,
            encoder_tokens=record.encoder_tokens,
            images=record.images,
            wall_start_ns=None,
            wall_end_ns=None,
            recorded_source=_recorded(record),
        )

    def submit(self, request_id: str) -> None:
        """Note that the scheduler has the request."""
        self._rendered.discard(request_id)
        self._live.add(request_id)

    def abort(self, request_id: str) -> None:
        """Note that the request is gone."""
        self._rendered.discard(request_id)
        self._live.discard(request_id)

    def step(self, at_ns: int) -> StepResult:
        """The recorded step. Raises ReplayError unless it starts at the recorded time with requests that are here."""
        record = self._recording.step(self.name)
        self._check(record, at_ns)
        egress = self._recording.egress(self.name)
        if set(egress.durations_ns) != set(record.tokens) or min(egress.durations_ns.values(), default=0) < 0:
            raise ReplayError(f"the egress of step {record.index} of {self.name} does not fit the step's tokens")
        tokens = {
            request_id: Tokens(
                count, n_bytes, reason, egress.durations_ns[request_id], record.cached_tokens.get(request_id, 0)
            )
            for request_id, (count, n_bytes, reason) in record.tokens.items()
        }
        # A batch in flight may have requests that end before it starts.
        self._fixed_with = set(self._live) if record.in_flight else set()
        self._live.difference_update(rid for rid, token in tokens.items() if token.finish_reason is not None)
        return StepResult(
            duration_ns=record.duration_ns,
            source="replayed",
            egress_source="replayed",
            signature=record.signature,
            scheduled=record.scheduled,
            tokens=tokens,
            gauges={},
            wall_start_ns=None,
            wall_end_ns=None,
            in_flight=record.in_flight,
            recorded_source=_recorded(record),
            recorded_egress_source=_recorded(egress),
        )

    def _check(self, record: StepRecord, at_ns: int) -> None:
        what = f"step {record.index} of {self.name}"
        if record.index != self._steps or record.duration_ns < 0:
            raise ReplayError(f"{what} ({record.duration_ns} ns) stands where step {self._steps} belongs")
        self._steps += 1
        if record.t_start_ns != at_ns:
            raise ReplayError(f"{what} starts at {at_ns} ns, the recorded one at {record.t_start_ns} ns")
        strangers = sorted(set(record.scheduled) - self._live - self._fixed_with)
        if strangers:
            raise ReplayError(f"{what} was recorded with {', '.join(strangers)}, which its scheduler does not have now")
        tokens = record.signature.prefill_tokens + record.signature.decode_sequences
        if tokens != sum(record.scheduled.values()) or not set(record.tokens) <= set(record.scheduled):
            raise ReplayError(f"{what} has a signature of {tokens} tokens for a batch of {record.scheduled}")


def _recorded(record: FrontendRecord | StepRecord | EgressRecord) -> StepSource:
    """What a duration was when it was first recorded; a replay may be repeated in its turn."""
    return record.recorded_source or record.source
