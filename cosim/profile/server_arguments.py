"""Engine arguments as vLLM's API server would resolve them on the hardware that a roofline stands for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cosim.profile.accelerator import GIB, Accelerator
from cosim.profile.errors import ProfileError
from cosim.profile.model_shape import ModelShape

GPU_MEMORY_UTILIZATION = 0.92  # vllm/config/cache.py
BLOCK_SIZE = 16  # vllm/config/cache.py, DEFAULT_BLOCK_SIZE; FlashAttention keeps it
LARGEST_GRAPH = 512  # vllm/config/vllm.py, _set_cudagraph_sizes: default_max_graph_size before Blackwell
_LARGE_MEMORY = 70 * GIB
_SIXTEEN_BIT = ("auto", "bfloat16", "float16", "half")
_FP8 = ("fp8", "fp8_e4m3", "fp8_e5m2")


@dataclass(frozen=True, slots=True)
class ServerArguments:
    """What the memory and the steps of an engine depend on. `max_model_len` None: vLLM is to choose what fits."""

    max_model_len: int | None
    max_num_seqs: int
    max_num_batched_tokens: int
    block_size: int
    gpu_memory_utilization: float
    kv_cache_memory_bytes: int | None
    kv_value_bytes: int
    enforce_eager: bool
    async_scheduling: bool
    images: bool

    def defaults(self) -> dict[str, object]:
        """Engine arguments for an engine host, which would choose others for a CPU."""
        return {
            "max_num_seqs": self.max_num_seqs,
            "max_num_batched_tokens": self.max_num_batched_tokens,
            "block_size": self.block_size,
        }

    @property
    def largest_graph(self) -> int:
        """Tokens up to which a step is replayed as a CUDA graph (vllm/config/vllm.py, _set_cudagraph_sizes)."""
        if self.enforce_eager:
            return 0
        return min(self.max_num_batched_tokens, LARGEST_GRAPH, 2 * self.max_num_seqs)


def server_arguments(args: Mapping[str, Any], shape: ModelShape, gpu: Accelerator) -> ServerArguments:
    """The user's arguments and vLLM 0.32's own choices for the rest (EngineArgs.get_batch_defaults).

    vLLM asks NVML how large the GPU is. Inside a container NVML refuses to answer for the parent of a MIG slice, and
    vLLM takes its smallest class; a slice is therefore of that class whatever its size. Raises ProfileError.
    """
    _refuse(args)
    large = gpu.total_bytes >= _LARGE_MEMORY and not gpu.a100 and not gpu.mig
    length = _length(args, shape)
    seqs = _whole(args, "max_num_seqs", None)
    batched = _whole(args, "max_num_batched_tokens", None)
    default_seqs, default_batched = (1024, 8192) if large else (256, 2048)
    if batched is None:
        chunked = args.get("enable_chunked_prefill") is not False
        batched = default_batched if chunked or length is None else max(length, default_batched)
        batched = min((seqs or default_seqs) * (length or shape.max_position), batched)
    return ServerArguments(
        max_model_len=length,
        max_num_seqs=min(default_seqs, batched) if seqs is None else seqs,
        max_num_batched_tokens=batched,
        block_size=_whole(args, "block_size", BLOCK_SIZE) or BLOCK_SIZE,
        gpu_memory_utilization=_utilization(args),
        kv_cache_memory_bytes=_whole(args, "kv_cache_memory_bytes", None),
        kv_value_bytes=_kv_value_bytes(args),
        enforce_eager=args.get("enforce_eager") is True,
        async_scheduling=args.get("async_scheduling") is not False,
        images=_images(args) > 0 and shape.vision is not None,
    )


def _refuse(args: Mapping[str, Any]) -> None:
    """Refuse arguments that change what a step does in a way that the roofline does not know."""
    for key in ("tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size"):
        if args.get(key, 1) != 1:
            raise ProfileError(f"args.{key} is {args[key]!r}", "1: a roofline is of one GPU or one slice")
    for key in ("speculative_config", "quantization", "cpu_offload_gb"):
        if args.get(key):
            allowed = (
                "executor.quantization" if key == "quantization" else "a recorded profile knows it, a roofline not"
            )
            raise ProfileError(f"args.{key} is {args[key]!r}", allowed)
    if args.get("dtype", "auto") not in _SIXTEEN_BIT:
        raise ProfileError(f"args.dtype is {args['dtype']!r}", f"allowed: {', '.join(_SIXTEEN_BIT)}")


def _whole(args: Mapping[str, Any], key: str, default: int | None) -> int | None:
    value = args.get(key)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ProfileError(f"args.{key} is {value!r}", "a whole number of at least 1")
    return value


def _length(args: Mapping[str, Any], shape: ModelShape) -> int | None:
    if args.get("max_model_len") in (-1, "auto"):
        return None
    return _whole(args, "max_model_len", shape.max_position)


def _utilization(args: Mapping[str, Any]) -> float:
    value = args.get("gpu_memory_utilization", GPU_MEMORY_UTILIZATION)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= 1:
        raise ProfileError(f"args.gpu_memory_utilization is {value!r}", "a share greater than 0, at most 1")
    return float(value)


def _kv_value_bytes(args: Mapping[str, Any]) -> int:
    value = args.get("kv_cache_dtype", "auto")
    if value in _FP8:
        return 1
    if value not in _SIXTEEN_BIT:
        raise ProfileError(f"args.kv_cache_dtype is {value!r}", f"allowed: {', '.join((*_SIXTEEN_BIT, *_FP8))}")
    return 2


def _images(args: Mapping[str, Any]) -> int:
    """Images that a prompt may have; vLLM skips the vision tower's memory where there may be none."""
    limits = args.get("limit_mm_per_prompt")
    limit = limits.get("image", 1) if isinstance(limits, Mapping) else 1
    if isinstance(limit, Mapping):
        limit = limit.get("count", 1)
    wrong = limits is not None and not isinstance(limits, Mapping)
    if wrong or isinstance(limit, bool) or not isinstance(limit, int) or limit < 0:
        raise ProfileError(f"args.limit_mm_per_prompt is {limits!r}", "a number for each modality, as in {image: 1}")
    return limit
