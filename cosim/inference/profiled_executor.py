"""vLLM without a forward pass: an executor that has no weights and answers every batch with synthetic tokens.

vLLM's own scheduler, KV-cache manager and prefix cache run above it as above any other. Written for vLLM 0.32; what
it relies on is checked by tests/live/test_executor_seam.py.
"""

from __future__ import annotations

import hashlib
import zlib
from array import array
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from vllm.tokenizers import cached_tokenizer_from_config
from vllm.utils.torch_utils import kv_cache_dtype_str_to_dtype
from vllm.v1.core.sched.output import NewRequestData, SchedulerOutput
from vllm.v1.executor.abstract import Executor
from vllm.v1.kv_cache_interface import FullAttentionSpec, get_kv_quant_mode
from vllm.v1.outputs import ModelRunnerOutput

from cosim.words import WORDS

# A space before a word, as byte-level BPE and as SentencePiece write it.
_SPACES = "Ġ▁"
_FULL_ATTENTION = {"full_attention", "attention"}


@dataclass(slots=True)
class _Answer:
    """What the executor keeps of a request: `key` decides its tokens."""

    prompt_tokens: int
    key: int


class ProfiledExecutor(Executor):  # type: ignore[misc]  # vLLM's classes are not typed for us
    """An executor of one device. Its memory for the KV cache is `cache_config.kv_cache_memory_bytes`.

    A request's tokens follow from its prompt, its images and its seed; sampling parameters that shape the distribution
    have no effect, those that end an answer do.
    """

    supports_pp = False

    @classmethod
    def supports_async_scheduling(cls) -> bool:
        """As a GPU's executor."""
        return True

    def _init_executor(self) -> None:
        if self.parallel_config.world_size > 1 or self.speculative_config is not None or self.lora_config is not None:
            raise ValueError(
                "a profile is of one device, without speculative decoding and LoRA; leave those out of args"
            )
        self._words = word_ids(cached_tokenizer_from_config(self.model_config))
        self._answers: dict[str, _Answer] = {}
        self._output: ModelRunnerOutput | None = None

    def get_kv_cache_specs(self) -> list[dict[str, Any]]:
        """What each layer of the model keeps of a token. Raises ValueError for what is not full attention."""
        return [full_attention_specs(self.vllm_config)]

    def determine_available_memory(self) -> list[int]:
        """Bytes for the KV cache, as they were given."""
        return [self.cache_config.kv_cache_memory_bytes]

    def get_supported_kv_cache_layouts(self) -> list[list[str]]:
        """Any does: nothing is laid out."""
        return [["NHD", "HND"]]

    def set_kv_cache_layout(self, layout_name: str) -> None:
        """Nothing is laid out."""

    def initialize_from_config(self, kv_cache_configs: list[Any]) -> None:
        """No memory is taken."""

    def compile_or_warm_up_model(self) -> None:
        """There is no model."""

    @property
    def supported_tasks(self) -> tuple[str, ...]:
        """Text from text and images."""
        return ("generate",)

    def execute_model(self, scheduler_output: SchedulerOutput, non_block: bool = False) -> Any:
        """One token for each request that has now computed all that is known of it."""
        self._output = self._sample(scheduler_output)
        return _result(self._output, non_block)

    def sample_tokens(self, grammar_output: Any, non_block: bool = False) -> Any:
        """The tokens of the batch executed last: asynchronous scheduling asks for them apart."""
        return _result(self._output, non_block)

    def _sample(self, batch: SchedulerOutput) -> ModelRunnerOutput:
        for request_id in batch.finished_req_ids:
            self._answers.pop(request_id, None)
        n_tokens = batch.num_scheduled_tokens
        request_ids: list[str] = []
        sampled: list[list[int]] = []
        for new in batch.scheduled_new_reqs:
            # vLLM's second model runner gets a request that was preempted as a new one, with its answer so far.
            known = new.prompt_len if new.prefill_token_ids is None else len(new.prefill_token_ids)
            answer = self._answers[new.req_id] = _Answer(new.prompt_len, _key(new))
            request_ids.append(new.req_id)
            sampled.append(self._next(answer, new.num_computed_tokens + n_tokens[new.req_id], known))
        cached = batch.scheduled_cached_reqs
        for request_id, computed, output in zip(
            cached.req_ids, cached.num_computed_tokens, cached.num_output_tokens, strict=True
        ):
            answer = self._answers[request_id]
            request_ids.append(request_id)
            sampled.append(self._next(answer, computed + n_tokens[request_id], answer.prompt_tokens + output))
        return ModelRunnerOutput(
            req_ids=request_ids,
            req_id_to_index={request_id: index for index, request_id in enumerate(request_ids)},
            sampled_token_ids=sampled,
        )

    def _next(self, answer: _Answer, computed: int, known: int) -> list[int]:
        """The token after `known` ones (prompt, and output with what is still in flight), or none before all are in."""
        if computed < known:
            return []
        position = known - answer.prompt_tokens
        return [self._words[zlib.crc32(position.to_bytes(4, "little"), answer.key) % len(self._words)]]

    def check_health(self) -> None:
        """Nothing can fail."""

    def reset_mm_cache(self) -> None:
        """Nothing is kept."""

    def reset_encoder_cache(self) -> None:
        """Nothing is kept."""

    def shutdown(self) -> None:
        """Nothing was started."""

    def collective_rpc(
        self,
        method: str | Callable[..., Any],
        timeout: float | None = None,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
        non_block: bool = False,
    ) -> Any:
        """Refuse what a worker would be needed for. Raises NotImplementedError."""
        if method == "update_max_model_len":  # The scheduler knows it already.
            return [None]
        raise NotImplementedError(f"a profiled engine has no worker that could do {method!r}")


def full_attention_specs(vllm_config: Any) -> dict[str, FullAttentionSpec]:
    """The KV cache of each layer as vLLM's Attention.get_kv_cache_spec says; ValueError for other attention."""
    model, cache, parallel = vllm_config.model_config, vllm_config.cache_config, vllm_config.parallel_config
    text = model.hf_text_config
    types = set(getattr(text, "layer_types", None) or ()) - _FULL_ATTENTION
    other = {
        "latent attention (MLA)": model.use_mla,
        "no attention": model.is_attention_free,
        "layers with a state of their own": model.is_hybrid,
        "an encoder-decoder": model.is_encoder_decoder,
        f"a sliding window of {cache.sliding_window} tokens": cache.sliding_window is not None,
        f"layers of {', '.join(sorted(types))}": bool(types),
        "layers that share their KV cache": getattr(text, "num_kv_shared_layers", 0),
        "chunked attention": getattr(text, "attention_chunk_size", None),
    }
    found = [name for name, present in other.items() if present]
    if found:
        raise ValueError(
            f"{model.model} has {', '.join(found)}; a profiled engine keeps the KV cache of models of full attention, "
            "such as Llama, Qwen2.5, Qwen3 and Qwen2.5-VL (disable_sliding_window: true makes a window full attention)"
        )
    spec = FullAttentionSpec(
        block_size=cache.block_size,
        num_kv_heads=model.get_num_kv_heads(parallel),
        head_size=model.get_head_size(),
        dtype=kv_cache_dtype_str_to_dtype(cache.cache_dtype, model),
        kv_quant_mode=get_kv_quant_mode(cache.cache_dtype),
    )
    return {f"model.layers.{index}.self_attn.attn": spec for index in range(model.get_num_layers(parallel))}


def word_ids(tokenizer: Any) -> list[int]:
    """Token ids that each say a space and a whole word, so that every token of an answer is a chunk of its own.

    Raises ValueError for a tokenizer without any.
    """
    vocabulary = tokenizer.get_vocab()
    ids = [vocabulary[space + word] for space in _SPACES for word in WORDS if space + word in vocabulary]
    if not ids:
        raise ValueError("the tokenizer has no English word as a token of its own; a profiled engine answers in words")
    return ids


def _key(new: NewRequestData) -> int:
    """What decides a request's tokens: its prompt, its images and its seed, but not the id that vLLM gave it."""
    digest = hashlib.blake2b(array("q", new.prompt_token_ids or ()).tobytes(), digest_size=4)
    for feature in new.mm_features:
        digest.update(feature.identifier.encode())
    digest.update(str(new.sampling_params and new.sampling_params.seed).encode())
    return int.from_bytes(digest.digest(), "little")


def _result(output: Any, non_block: bool) -> Any:
    if not non_block:
        return output
    future: Future[Any] = Future()
    future.set_result(output)
    return future
