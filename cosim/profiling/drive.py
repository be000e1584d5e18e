"""Brings an engine to the shapes of a plan, as a run brings it to its own, and keeps what each took."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from statistics import median

from cosim.bridge.engine_messages import Signature, Tokens
from cosim.inference.base import Engine, EngineRefusal, StepResult
from cosim.profile.base import ChunkPosition
from cosim.profile.grid import BED_TOKENS, DECODE_STEPS
from cosim.profile.shapes import Bed, Limits, Point, Prompt
from cosim.profiling.prompts import PREFIX, Asked, PromptMaker
from cosim.profiling.samples import Samples
from cosim.results.hygiene import EngineHygiene
from cosim.results.records import StepRecord

# Steps in a row that schedule nothing while requests wait.
MOST_EMPTY_STEPS = 50
# A shape has come about if its tokens are those wished for to a tenth, or to so many.
NEAR_TOKENS = 16


class StuckError(Exception):
    """The engine schedules nothing although requests wait."""


class Drive:
    """Drives one engine. `limits`: what it can take; `hygiene` is told of each step."""

    def __init__(self, engine: Engine, prompts: PromptMaker, limits: Limits) -> None:
        self.samples = Samples()
        self.hygiene = EngineHygiene()
        self.steps = 0
        self._engine = engine
        self._prompts = prompts
        self._limits = limits
        self._keep = False
        self._documents: list[tuple[str, int]] = []
        self._new_tokens = 0
        self._started: set[str] = set()
        self._cpu_mhz: list[float] = []
        self._gpu_mhz: list[float] = []
        self._gpu_power_w: list[float] = []

    def warm_up(self, documents: Sequence[int], prefix: int) -> None:
        """Have the prefix cache hold the beds' documents, of so many tokens each, and the one that prompts continue."""
        self._documents = [(str(index), tokens) for index, tokens in enumerate(documents)]
        if prefix:
            self._documents.append((PREFIX, prefix + 1))
        self._touch()

    def measure(self, bed: Bed, *, keep: bool) -> None:
        """Bring about every point of a bed once; without `keep` only to warm up."""
        # The least recently used blocks go first: documents stay as long as they are used now and then.
        if self._new_tokens > self._limits.kv_cache_tokens // 4:
            self._touch()
        self._keep = keep
        sequences = [self._sequence(index, bed) for index in range(bed.decodes)]
        try:
            self._until_started(sequences)
            for _ in range(DECODE_STEPS if bed.decodes else 0):
                step = self._step()
                if bed.decode is not None:
                    self._take(bed, bed.decode, step)
            for point in bed.points:
                self._add(bed, point)
                if bed.decodes:
                    self._step()
        finally:
            for name in sequences:
                self._engine.abort(name)

    def _touch(self) -> None:
        """Use every document."""
        self._keep = False
        self._new_tokens = 0
        for name, tokens in self._documents if self._limits.prefix_caching else ():
            self._until_started([self._start(self._prompts.document(name, tokens, 1))])

    def conditions(self) -> dict[str, float | None]:
        """Medians of the clocks and of the power that steps were executed at; None where the machine does not tell."""
        found = {"cpu_mhz": self._cpu_mhz, "gpu_mhz": self._gpu_mhz, "gpu_power_w": self._gpu_power_w}
        return {name: float(median(values)) if values else None for name, values in found.items()}

    def _sequence(self, index: int, bed: Bed) -> str:
        """Submit a document that decodes as long as the bed lasts, and while the others are prefilled."""
        room = self._limits.max_model_len - bed.context - 1
        output_tokens = max(1, min(room, 8 * BED_TOKENS))
        if bed.full or not self._limits.prefix_caching:
            return self._start(self._asked(Prompt(bed.context), output_tokens))
        return self._start(self._prompts.document(str(index), bed.context, output_tokens))

    def _until_started(self, names: Iterable[str]) -> None:
        left = set(names)
        steps = self._steps()
        while left:
            left -= next(steps).tokens.keys()

    def _add(self, bed: Bed, point: Point) -> None:
        """Prefill a point's prompts; the step that ends it is the one that is measured."""
        # Alone, an answer has a second and last chunk, as most have; beside decodes it would change their number.
        output_tokens = 1 if bed.decodes else 2
        try:
            self._prime(point)
            left = {self._start(self._asked(prompt, output_tokens)) for prompt in point.prompts}
        except EngineRefusal:
            return
        measured: StepResult | None = None
        steps = self._steps()
        while left:
            step = next(steps)
            if step.signature.prefill_tokens and not (point.overfull and measured):
                measured = step
            left -= {name for name, tokens in step.tokens.items() if tokens.finish_reason is not None}
        if measured is not None:
            self._take(bed, point, measured)

    def _prime(self, point: Point) -> None:
        """Serve prompts once that are to be known up to their last block, the template's end with them."""
        keep, self._keep = self._keep, False
        for prompt in point.prompts:
            if self._limits.prefix_caching and prompt.context and prompt.tokens <= self._limits.block_size:
                self._until_started([self._start(self._asked(prompt, 1))])
        self._keep = keep

    def _asked(self, prompt: Prompt, output_tokens: int) -> Asked:
        self._new_tokens += prompt.tokens
        return self._prompts.prompt(
            prompt,
            block_size=self._limits.block_size,
            prefix_caching=self._limits.prefix_caching,
            output_tokens=output_tokens,
        )

    def _start(self, asked: Asked) -> str:
        """Front end, then the scheduler. Raises EngineRefusal."""
        rendered = self._engine.render(asked)
        if self._keep:
            self.samples.frontend(
                images=rendered.images,
                encoder_tokens=rendered.encoder_tokens,
                prompt_tokens=rendered.prompt_tokens,
                duration_ns=rendered.duration_ns,
            )
        self._engine.submit(asked.request_id)
        return asked.request_id

    def _take(self, bed: Bed, point: Point, step: StepResult) -> None:
        if not self._keep:
            return
        if is_of_shape(step.signature, bed, point, self._limits.max_num_batched_tokens):
            self.samples.step(point, step.signature, step.duration_ns)
        else:
            self.samples.other_shape(point, step.signature)

    def _steps(self) -> Iterator[StepResult]:
        """Steps while requests wait. Raises StuckError."""
        empty = 0
        while empty < MOST_EMPTY_STEPS:
            step = self._step()
            empty = 0 if step.scheduled else empty + 1
            yield step
        raise StuckError(f"engine {self._engine.name} schedules nothing although requests wait")

    def _step(self) -> StepResult:
        step = self._engine.step(0)
        self.steps += 1
        for name, tokens in step.tokens.items():
            self._egress(name, tokens)
        if self._keep:
            self._note(step)
        return step

    def _egress(self, name: str, tokens: Tokens) -> None:
        """The only chunk of an answer is none of the three: it is left out."""
        first = name not in self._started
        if first and tokens.finish_reason is None:
            self._started.add(name)
        if not first and tokens.finish_reason is not None:
            self._started.discard(name)
        if self._keep and not (first and tokens.finish_reason is not None):
            position: ChunkPosition = "first" if first else "next" if tokens.finish_reason is None else "last"
            self.samples.egress(position, tokens.egress_ns)

    def _note(self, step: StepResult) -> None:
        self.hygiene.add(
            StepRecord(
                engine=self._engine.name,
                index=self.steps,
                t_start_ns=0,
                duration_ns=step.duration_ns,
                source=step.source,
                wall_start_ns=step.wall_start_ns,
                wall_end_ns=step.wall_end_ns,
                signature=step.signature,
                tokens={},
                scheduled={},
                cached_tokens={},
                conditions=step.conditions,
            )
        )
        if step.conditions is not None:
            for values, value in (
                (self._cpu_mhz, step.conditions.cpu_mhz),
                (self._gpu_mhz, step.conditions.gpu_mhz),
                (self._gpu_power_w, step.conditions.gpu_power_w),
            ):
                if value is not None:
                    values.append(value)


def is_of_shape(signature: Signature, bed: Bed, point: Point, max_num_batched_tokens: int) -> bool:
    """Whether a step has the shape that was wished for: sequences and images exactly, tokens nearly.

    An overfull one is of as many tokens as a batch takes.
    """
    if signature.decode_sequences != bed.decodes:
        return False
    if point.overfull:
        return signature.prefill_tokens + bed.decodes == max_num_batched_tokens
    wished = sum(prompt.tokens for prompt in point.prompts)
    return (
        signature.prefill_sequences == len(point.prompts)
        and signature.images == sum(prompt.image is not None for prompt in point.prompts)
        and abs(signature.prefill_tokens - wished) <= max(NEAR_TOKENS, wished // 10)
    )
