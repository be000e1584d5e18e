"""One vLLM engine whose steps are taken one at a time, each measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cosim.bridge.engine_messages import Rendered, RenderRefused, Signature, Stepped, Tokens
from cosim.clock import monotonic_ns
from cosim.inference.conditions import ConditionsMeter
from cosim.inference.vllm_chat import ChatServer, Prepared, Refused, Stream
from cosim.wire import answer_bytes


@dataclass(slots=True)
class _Served:
    """A request that the scheduler has."""

    request_id: str
    stream: Stream
    prompt_tokens: int
    image_tokens: tuple[int, ...]
    started: bool = False


class SteppedEngine:
    """vLLM's LLMEngine taken apart: front end, scheduler with model, output processing."""

    def __init__(self, llm: Any, *, served_model_name: str, tls: bool, meter: ConditionsMeter) -> None:
        self.llm = llm
        self._meter = meter
        self._tls = tls
        self._chat = ChatServer(llm, served_model_name)
        self._core = llm.engine_core
        self._rendered: dict[str, Prepared] = {}
        self._served: dict[str, _Served] = {}
        self._internal_ids: dict[str, str] = {}
        self._gauges: dict[str, float] = {}
        self._scheduled: Any = None
        self._capture_schedule(self._core.engine_core.scheduler)

    def _capture_schedule(self, scheduler: Any) -> None:
        schedule = scheduler.schedule

        def keep(*args: Any, **kwargs: Any) -> Any:
            self._scheduled = schedule(*args, **kwargs)
            return self._scheduled

        scheduler.schedule = keep

    def render(self, request_id: str, body: bytes) -> Rendered | RenderRefused:
        """Run the front end; the scheduler does not see the request yet. A refusal is an answer, not an error."""
        if request_id in self._rendered or request_id in self._internal_ids:
            raise ValueError(f"request {request_id} was rendered before and has not ended")
        self._meter.begin()
        start_ns = monotonic_ns()
        try:
            prepared = self._chat.prepare(body)
        except Refused as refusal:
            end_ns = monotonic_ns()
            return RenderRefused(end_ns - start_ns, start_ns, end_ns, str(refusal))
        end_ns = monotonic_ns()
        conditions = self._meter.end(end_ns - start_ns)
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
        """Execute one step: schedule, forward, sample. Then process its outputs, each request measured apart."""
        self._scheduled = None
        self._meter.begin()
        start_ns = monotonic_ns()
        outputs = self._core.get_output()
        end_ns = monotonic_ns()
        conditions = self._meter.end(end_ns - start_ns)
        batch = self._scheduled
        scheduled = {self._served[key].request_id: n for key, n in batch.num_scheduled_tokens.items()} if batch else {}
        signature = self._signature(batch) if batch else Signature(0, 0, 0, 0, 0)
        return Stepped(
            duration_ns=end_ns - start_ns,
            wall_start_ns=start_ns,
            wall_end_ns=end_ns,
            signature=signature,
            scheduled=scheduled,
            tokens=self._egress(outputs),
            gauges=self._read_gauges(outputs.scheduler_stats, batch),
            conditions=conditions,
        )

    def reset(self) -> None:
        """Forget every cached prefix and image, and count anew. Raises RuntimeError while requests are served."""
        self.llm.reset_mm_cache()
        self.llm.reset_encoder_cache()
        if self._rendered or self._served or not self.llm.reset_prefix_cache():
            raise RuntimeError("an engine that serves requests cannot be reset")
        self._gauges = {}

    def _signature(self, batch: Any) -> Signature:
        cached = batch.scheduled_cached_reqs
        computed = {new.req_id: new.num_computed_tokens for new in batch.scheduled_new_reqs}
        computed |= dict(zip(cached.req_ids, cached.num_computed_tokens, strict=True))
        output = dict(zip(cached.req_ids, cached.num_output_tokens, strict=True))
        prefill_tokens = decode_sequences = 0
        for key, n_tokens in batch.num_scheduled_tokens.items():
            # A decode has computed all but the token sampled last; a preempted request prefills its output again.
            if output.get(key, 0) and computed[key] >= self._served[key].prompt_tokens + output[key] - 1:
                decode_sequences += 1
            else:
                prefill_tokens += n_tokens
        images = [self._served[key].image_tokens[i] for key, at in batch.scheduled_encoder_inputs.items() for i in at]
        return Signature(
            prefill_tokens=prefill_tokens,
            decode_sequences=decode_sequences,
            context_tokens=sum(computed[key] for key in batch.num_scheduled_tokens),
            encoder_tokens=sum(images),
            images=len(images),
        )

    def _egress(self, outputs: Any) -> dict[str, Tokens]:
        """What LLMEngine.step does after the core's step, request by request, and the server's SSE encoding."""
        from vllm.v1.metrics.stats import IterationStats

        statistics = IterationStats() if self.llm.log_stats and outputs.outputs else None
        tokens: dict[str, Tokens] = {}
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
            )
            served.started = True
            if result.finished:
                del self._served[output.request_id]
                del self._internal_ids[served.request_id]
        self.llm.output_processor.update_scheduler_stats(outputs.scheduler_stats)
        return tokens

    def _wire_bytes(self, events: list[bytes], *, first: bool, last: bool) -> int:
        """Each event is a write of its own; the first output's role chunk goes ahead of its token."""
        final = len(events) - 1
        return sum(
            answer_bytes(event, first=first and index == 0, last=last and index == final, tls=self._tls)
            for index, event in enumerate(events)
        )

    def _read_gauges(self, stats: Any, batch: Any) -> dict[str, float]:
        """Gauges of vLLM under their Prometheus names; its counters are cumulative since the last reset."""
        if stats is not None:
            before = self._gauges
            prefix = stats.prefix_cache_stats
            self._gauges = {
                "num_requests_running": float(stats.num_running_reqs),
                "num_requests_waiting": float(stats.num_waiting_reqs),
                "kv_cache_usage_perc": float(stats.kv_cache_usage),
                "num_preemptions": before.get("num_preemptions", 0.0) + len((batch and batch.preempted_req_ids) or ()),
                "prefix_cache_queries": before.get("prefix_cache_queries", 0.0) + prefix.queries,
                "prefix_cache_hits": before.get("prefix_cache_hits", 0.0) + prefix.hits,
            }
        return self._gauges


def _image_tokens(prepared: Prepared) -> tuple[int, ...]:
    """Encoder tokens of each image of a request."""
    features = prepared.engine_request.mm_features or ()
    return tuple(int(feature.mm_position.get_num_embeds()) for feature in features)
