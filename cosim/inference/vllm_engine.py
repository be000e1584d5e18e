"""One vLLM engine whose steps are taken one at a time, each measured."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cosim.bridge.engine_messages import Rendered, RenderRefused, Signature, Stepped, Tokens
from cosim.clock import monotonic_ns
from cosim.inference.conditions import ConditionsMeter
from cosim.inference.vllm_chat import ChatServer, Prepared, Refused, Stream
from cosim.wire import answer_bytes

if TYPE_CHECKING:
    from cosim.inference.cached_renderer import CachedRenderer


@dataclass(slots=True)
class _Served:
    """A request that the scheduler has."""

    request_id: str
    stream: Stream
    prompt_tokens: int
    image_tokens: tuple[int, ...]
    started: bool = False


@dataclass(frozen=True, slots=True)
class _Batch:
    """What the scheduler has fixed, in words of ours: requests may end before it is executed."""

    n_tokens: int
    signature: Signature
    scheduled: dict[str, int]
    preemptions: int


NO_BATCH = _Batch(0, Signature(0, 0, 0, 0, 0), {}, 0)


class SteppedEngine:
    """vLLM's LLMEngine taken apart: front end, scheduler with model, output processing.

    Without `meter` the conditions of the machine are not read. `cached`: the front end keeps what it made of images.
    """

    def __init__(
        self,
        llm: Any,
        *,
        served_model_name: str,
        tls: bool,
        meter: ConditionsMeter | None,
        cached: CachedRenderer | None = None,
    ) -> None:
        self.llm = llm
        self._meter = meter
        self._tls = tls
        self._chat = ChatServer(llm, served_model_name, cached)
        self._core = llm.engine_core
        self._rendered: dict[str, Prepared] = {}
        self._served: dict[str, _Served] = {}
        self._internal_ids: dict[str, str] = {}
        self._gauges: dict[str, float] = {}
        self._just_fixed: list[Any] = []
        self._fixed: deque[_Batch] = deque()
        self._capture_schedule(self._core.engine_core.scheduler)

    @property
    def measured(self) -> bool:
        """Whether what is executed here is charged."""
        return self._meter is not None

    def _capture_schedule(self, scheduler: Any) -> None:
        schedule = scheduler.schedule

        def keep(*args: Any, **kwargs: Any) -> Any:
            output = schedule(*args, **kwargs)
            self._just_fixed.append(output)
            return output

        scheduler.schedule = keep

    def render(self, request_id: str, body: bytes) -> Rendered | RenderRefused:
        """Run the front end; the scheduler does not see the request yet. A refusal is an answer, not an error."""
        if request_id in self._rendered or request_id in self._internal_ids:
            raise ValueError(f"request {request_id} was rendered before and has not ended")
        if self._meter is not None:
            self._meter.begin()
        start_ns = monotonic_ns()
        try:
            prepared = self._chat.prepare(body)
        except Refused as refusal:
            end_ns = monotonic_ns()
            return RenderRefused(end_ns - start_ns, start_ns, end_ns, str(refusal))
        end_ns = monotonic_ns()
        conditions = self._meter.end(end_ns - start_ns) if self._meter is not None else None
        self._rendered[request_id] = prepared
        images = _image_tokens(prepared)
        return Rendered(
            duration_ns=end_ns - start_ns,
            wall_start_ns=start_ns,
            wall_end_ns=end_ns,
            prompt_tokens=len(prepared.engine_request.prompt_token_ids),
            encoder_tokens=sum(images),
            images=len(images),
            conditions=conditions,
        )

    def submit(self, request_id: str) -> None:
        """Give a rendered request to the scheduler."""
        prepared = self._rendered.pop(request_id)
        request = prepared.engine_request
        self._internal_ids[request_id] = request.request_id
        self._served[request.request_id] = _Served(
            request_id, prepared.stream, len(request.prompt_token_ids), _image_tokens(prepared)
        )
        self.llm.output_processor.add_request(request, prepared.prompt_text)
        self._core.engine_core.add_request(prepared.core_request)

    def abort(self, request_id: str) -> None:
        """Take a request out, whether rendered, waiting or running; one that has ended is left alone."""
        self._rendered.pop(request_id, None)
        internal_id = self._internal_ids.pop(request_id, None)
        if internal_id is not None:
            del self._served[internal_id]
            self.llm.abort_request([internal_id], internal=True)

    def step(self) -> Stepped:
        """Complete one batch: schedule, forward, sample. Then process its outputs, each request measured apart.

        With asynchronous scheduling vLLM's core fixes a batch, then the next, and only then waits for the first
        (EngineCore.step_with_batch_queue). A call of it completes one batch or none, and batches of no tokens take no
        time: it is called until a batch with tokens is complete, or none is left.
        """
        if self._meter is not None:
            self._meter.begin()
        start_ns = monotonic_ns()
        outputs = [self._core.get_output()]
        while self._under_way():
            outputs.append(self._core.get_output())
        end_ns = monotonic_ns()
        conditions = self._meter.end(end_ns - start_ns) if self._meter is not None else None
        # Before any request is forgotten: one that ends now may be in the next batch, which is fixed.
        self._fixed.extend([self._describe(output) for output in self._just_fixed])
        self._just_fixed.clear()
        batch, preemptions = NO_BATCH, 0
        while len(self._fixed) > self._queued():
            batch = self._fixed.popleft()
            preemptions += batch.preemptions
        return Stepped(
            duration_ns=end_ns - start_ns,
            wall_start_ns=start_ns,
            wall_end_ns=end_ns,
            signature=batch.signature,
            scheduled=batch.scheduled,
            tokens=self._egress(outputs),
            gauges=self._read_gauges(outputs, preemptions),
            conditions=conditions,
            in_flight=any(fixed.n_tokens for fixed in self._fixed),
        )

    def _queued(self) -> int:
        """Batches that vLLM's core has fixed and not completed."""
        return len(self._core.engine_core.batch_queue or ())

    def _under_way(self) -> bool:
        """Whether a batch with tokens is fixed and none is complete since the step began."""
        if not self._queued():
            return False
        tokens = [batch.n_tokens for batch in self._fixed]
        tokens += [output.total_num_scheduled_tokens for output in self._just_fixed]
        complete = len(tokens) - self._queued()
        return any(tokens[complete:]) and not any(tokens[:complete])

    def reset(self) -> None:
        """Forget every cached prefix and image, and count anew. Raises RuntimeError while requests are served."""
        self.llm.reset_mm_cache()
        self.llm.reset_encoder_cache()
        if self._rendered or self._served or not self.llm.reset_prefix_cache():
            raise RuntimeError("an engine that serves requests cannot be reset")
        self._gauges = {}

    def _describe(self, batch: Any) -> _Batch:
        n_tokens, served = batch.num_scheduled_tokens, self._served
        if not n_tokens:
            return _Batch(0, NO_BATCH.signature, {}, len(batch.preempted_req_ids or ()))
        prefill_tokens = prefill_sequences = prefill_attention = decode_sequences = decode_context_tokens = 0
        context_tokens = 0

        def prefill(n: int, computed: int) -> None:
            nonlocal prefill_tokens, prefill_sequences, prefill_attention
            prefill_tokens += n
            prefill_sequences += 1
            prefill_attention += n * computed + n * (n + 1) // 2

        for new in batch.scheduled_new_reqs:
            context_tokens += new.num_computed_tokens
            prefill(n_tokens[new.req_id], new.num_computed_tokens)
        cached = batch.scheduled_cached_reqs
        for key, computed, output in zip(
            cached.req_ids, cached.num_computed_tokens, cached.num_output_tokens, strict=True
        ):
            context_tokens += computed
            # A decode has computed all but the token sampled last, or, with asynchronous scheduling, that is being
            # sampled (both numbers then count it); a preempted request prefills its output again.
            if output and computed >= served[key].prompt_tokens + output - 1:
                decode_sequences += 1
                decode_context_tokens += computed
            else:
                prefill(n_tokens[key], computed)
        images = [served[key].image_tokens[i] for key, at in batch.scheduled_encoder_inputs.items() for i in at]
        signature = Signature(
            prefill_tokens=prefill_tokens,
            decode_sequences=decode_sequences,
            context_tokens=context_tokens,
            encoder_tokens=sum(images),
            images=len(images),
            prefill_sequences=prefill_sequences,
            prefill_attention=prefill_attention,
            decode_context_tokens=decode_context_tokens,
        )
        scheduled = {served[key].request_id: n for key, n in n_tokens.items()}
        return _Batch(batch.total_num_scheduled_tokens, signature, scheduled, len(batch.preempted_req_ids or ()))

    def _egress(self, completed: list[Any]) -> dict[str, Tokens]:
        """What LLMEngine.step does after the core's step, request by request, and the server's SSE encoding."""
        tokens: dict[str, Tokens] = {}
        for outputs in completed:
            self._process(outputs, tokens)
        return tokens

    def _process(self, outputs: Any, tokens: dict[str, Tokens]) -> None:
        from vllm.v1.metrics.stats import IterationStats

        # A server keeps these for its metrics: a part of its egress where that is measured, else of no use.
        statistics = IterationStats() if self._meter is not None and self.llm.log_stats and outputs.outputs else None
        for output in outputs.outputs:
            served = self._served.get(output.request_id)
            if served is None:
                continue
            start_ns = monotonic_ns()
            processed = self.llm.output_processor.process_outputs(
                [output],
                engine_core_timestamp=outputs.timestamp,
                iteration_stats=statistics,
                weight_version=outputs.weight_version,
            )
            for result in processed.request_outputs:
                events = served.stream.events(result)
            end_ns = monotonic_ns()
            for missing in output.mm_cache_miss_hashes or ():
                self.llm.renderer.mm_processor_cache.invalidate(missing)
            # A stop string is found here, not in the core: the core must be told.
            self._core.abort_requests(processed.reqs_to_abort)
            if not processed.request_outputs:
                continue
            tokens[served.request_id] = Tokens(
                count=len(output.new_token_ids),
                n_bytes=self._wire_bytes(events, first=not served.started, last=result.finished),
                finish_reason=result.outputs[0].finish_reason,
                egress_ns=end_ns - start_ns,
                cached_tokens=result.num_cached_tokens or 0,
                text=result.outputs[0].text,
            )
            served.started = True
            if result.finished:
                del self._served[output.request_id]
                del self._internal_ids[served.request_id]
        self.llm.output_processor.update_scheduler_stats(outputs.scheduler_stats)

    def _wire_bytes(self, events: list[bytes], *, first: bool, last: bool) -> int:
        """Each event is a write of its own; the first output's role chunk goes ahead of its token."""
        final = len(events) - 1
        return sum(
            answer_bytes(event, first=first and index == 0, last=last and index == final, tls=self._tls)
            for index, event in enumerate(events)
        )

    def _read_gauges(self, completed: list[Any], preemptions: int) -> dict[str, float]:
        """Gauges of vLLM under their Prometheus names; its counters are cumulative since the last reset."""
        for outputs in completed:
            stats = outputs.scheduler_stats
            if stats is None:
                continue
            before = self._gauges
            prefix = stats.prefix_cache_stats
            self._gauges = {
                "num_requests_running": float(stats.num_running_reqs),
                "num_requests_waiting": float(stats.num_waiting_reqs),
                "kv_cache_usage_perc": float(stats.kv_cache_usage),
                "num_preemptions": before.get("num_preemptions", 0.0) + preemptions,
                "prefix_cache_queries": before.get("prefix_cache_queries", 0.0) + prefix.queries,
                "prefix_cache_hits": before.get("prefix_cache_hits", 0.0) + prefix.hits,
            }
            preemptions = 0
        return self._gauges


def _image_tokens(prepared: Prepared) -> tuple[int, ...]:
    """Encoder tokens of each image of a request."""
    features = prepared.engine_request.mm_features or ()
    return tuple(int(feature.mm_position.get_num_embeds()) for feature in features)
