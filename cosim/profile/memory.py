"""What a GPU's memory holds: weights, activations, CUDA graphs, and what is left for the KV cache."""

from __future__ import annotations

from dataclasses import dataclass

from cosim.profile.accelerator import GIB, Accelerator
from cosim.profile.errors import ProfileError
from cosim.profile.model_shape import ModelShape
from cosim.profile.quantization import Quantization, weight_bytes
from cosim.profile.server_arguments import ServerArguments

_VALUE_BYTES = 2
# bfloat16 logits, float32 logits, probabilities and random numbers (vllm/v1/sample/ops/topk_topp_sampler.py).
_LOGIT_BYTES = 2 + 4 + 4 + 4
# max_pixels of Qwen2.5-VL's preprocessor, 12845056 = 16384 x 28 x 28; vLLM profiles one such image.
_LARGEST_IMAGE_TOKENS = 16_384


@dataclass(frozen=True, slots=True)
class MemoryFit:
    """Bytes by use, as vLLM's determine_available_memory adds them up (vllm/v1/worker/gpu_worker.py)."""

    requested: int
    weights: int
    activations: int
    cuda_graphs: int
    non_torch: int
    kv_cache: int

    def arithmetic(self) -> str:
        """The sum in GiB, as text."""
        return (
            f"{gib(self.requested)} requested - {gib(self.weights)} weights - {gib(self.activations)} activations - "
            f"{gib(self.cuda_graphs)} CUDA graphs - {gib(self.non_torch)} other = {gib(self.left)} GiB"
        )

    @property
    def left(self) -> int:
        """What the request leaves for a KV cache; may be negative."""
        return self.requested - self.weights - self.activations - self.cuda_graphs - self.non_torch


def gib(n_bytes: float) -> str:
    """Bytes in GiB with two digits."""
    return f"{n_bytes / GIB:.2f}"


def fit(
    shape: ModelShape, quantization: Quantization, gpu: Accelerator, arguments: ServerArguments, model: str
) -> MemoryFit:
    """Memory of an engine. Raises ProfileError with the arithmetic where the model or one request does not fit."""
    title = f"{model} in {quantization.name} on {gpu.name}"
    requested = int(gpu.total_bytes * arguments.gpu_memory_utilization)
    weights = int(weight_bytes(shape, quantization))
    activations = activation_bytes(shape, arguments)
    graphs = 0 if arguments.enforce_eager else gpu.cuda_graph_bytes
    left = requested - weights - activations - graphs - gpu.non_torch_bytes
    kv_cache = left if arguments.kv_cache_memory_bytes is None else arguments.kv_cache_memory_bytes
    found = MemoryFit(requested, weights, activations, graphs, gpu.non_torch_bytes, kv_cache)
    if arguments.kv_cache_memory_bytes is None:
        _check_request(found, gpu, arguments, title)
    else:
        _check_reserved(found, gpu, title)
    _check_length(found, shape, arguments, title)
    return found


def activation_bytes(shape: ModelShape, arguments: ServerArguments) -> int:
    """Peak of vLLM's profiling run: its largest batch, its largest sampling, its largest image, whichever is most.

    In a layer the residual, the layer's input, the MLP's gate and up and their product are alive at once; in the
    sampler the logits of max_num_seqs sequences; in the vision tower the same as in a layer.
    """
    tokens, hidden = arguments.max_num_batched_tokens, shape.hidden_size
    layer = tokens * (4 * hidden + 3 * shape.intermediate_size) * _VALUE_BYTES
    sampler = tokens * hidden * _VALUE_BYTES + arguments.max_num_seqs * shape.vocabulary * _LOGIT_BYTES
    if shape.vision is None or not arguments.images:
        return max(layer, sampler)
    vision = shape.vision
    patches = _LARGEST_IMAGE_TOKENS * vision.merge
    values = vision.patch_inputs + 4 * vision.hidden_size + 3 * vision.intermediate_size
    kept = _LARGEST_IMAGE_TOKENS * vision.out_hidden_size * _VALUE_BYTES
    return max(patches * values * _VALUE_BYTES, kept + layer, kept + sampler)


def kv_blocks(kv_cache: int, shape: ModelShape, arguments: ServerArguments) -> int:
    """Blocks that a KV cache has."""
    return kv_cache // (kv_bytes_per_token(shape, arguments) * arguments.block_size)


def kv_bytes_per_token(shape: ModelShape, arguments: ServerArguments) -> int:
    """Bytes that a token takes in the KV cache."""
    return shape.kv_values_per_token() * arguments.kv_value_bytes


def _check_request(found: MemoryFit, gpu: Accelerator, arguments: ServerArguments, title: str) -> None:
    free = gpu.total_bytes - gpu.taken_bytes
    share = arguments.gpu_memory_utilization
    if found.requested > free:
        raise ProfileError(
            f"{title}: vLLM asks for {share:g} x {gib(gpu.total_bytes)} = {gib(found.requested)} GiB, of which "
            f"{gib(free)} GiB are free",
            f"args.gpu_memory_utilization of at most {free * 1000 // gpu.total_bytes / 1000:g}",
        )
    if found.left <= 0:
        raise ProfileError(
            f"{title} does not fit: {share:g} x {gib(gpu.total_bytes)} = {found.arithmetic()} for the KV cache",
            "a larger slice, fewer bits, a smaller model, or smaller args.max_num_batched_tokens or args.max_num_seqs",
        )


def _check_reserved(found: MemoryFit, gpu: Accelerator, title: str) -> None:
    """Check a KV cache of a size that the user gave: vLLM would run out of memory rather than refuse it."""
    used = found.requested - found.left
    free = gpu.total_bytes - gpu.taken_bytes
    if used + found.kv_cache > free:
        raise ProfileError(
            f"{title} does not fit: {gib(used)} GiB + args.kv_cache_memory_bytes {gib(found.kv_cache)} GiB, of which "
            f"{gib(free)} GiB are free",
            f"args.kv_cache_memory_bytes of at most {max(free - used, 0)}",
        )


def _check_length(found: MemoryFit, shape: ModelShape, arguments: ServerArguments, title: str) -> None:
    """One request of max_model_len must fit, in whole blocks, as vLLM's _check_enough_kv_cache_memory demands."""
    per_block = kv_bytes_per_token(shape, arguments) * arguments.block_size
    longest = found.kv_cache // per_block * arguments.block_size
    wanted = arguments.max_model_len
    if longest < 1 or (wanted is not None and wanted > longest):
        needed = -(-(wanted or 1) // arguments.block_size) * per_block
        raise ProfileError(
            f"{title}: one request of max_model_len {wanted or 1} takes {gib(needed)} GiB of KV cache, but "
            f"{gib(found.kv_cache)} GiB are left ({found.arithmetic()})",
            f"args.max_model_len of at most {longest}" if longest else "a larger slice or fewer bits",
        )
