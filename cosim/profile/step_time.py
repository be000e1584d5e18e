"""The time of one step from its shape: each part takes as long as its slower resource, and the parts add up."""

from __future__ import annotations

from dataclasses import dataclass

from cosim.bridge.engine_messages import Signature
from cosim.profile.accelerator import Accelerator
from cosim.profile.model_shape import ModelShape
from cosim.profile.quantization import Quantization, linear_bytes
from cosim.profile.server_arguments import ServerArguments

# In a layer of vLLM's compiled model: norm, qkv, rope, cache write, attention, o, norm, gate and up, activation, down.
KERNELS_PER_LAYER = 10
# Without compilation each of those is several operators of PyTorch.
EAGER_KERNELS_PER_LAYER = 30
# Eager: 2 norms, qkv, 3 of rope, attention, proj, 2 sums, gate and up, activation, down, 5 copies and biases.
VISION_KERNELS_PER_BLOCK = 18
_VALUE_BYTES = 2
# The sampler reads and writes float32 logits: temperature, softmax, random numbers, argmax.
_SAMPLER_BYTES = 6 * 4


@dataclass(frozen=True, slots=True)
class StepModel:
    """An engine: a model in a format on a GPU, as it was started."""

    shape: ModelShape
    quantization: Quantization
    gpu: Accelerator
    arguments: ServerArguments


def step_parts(engine: StepModel, signature: Signature) -> dict[str, float]:
    """Seconds by part; their sum is the step.

    Asynchronous scheduling lets the CPU schedule, prepare and launch step k+1 while the GPU computes k: a step then
    takes the longer of the two, `host` is only what sticks out. Without it they follow one another.
    """
    parts = _gpu_parts(engine, signature)
    gpu_s = sum(parts.values())
    overheads, tokens = engine.gpu.overheads, signature.prefill_tokens + signature.decode_sequences
    sequences = signature.prefill_sequences + signature.decode_sequences
    host_s = (overheads.host_us.value + overheads.host_sequence_us.value * sequences) * 1e-6
    if tokens > engine.arguments.largest_graph:
        kernels = EAGER_KERNELS_PER_LAYER if engine.arguments.enforce_eager else KERNELS_PER_LAYER
        launches_s = kernels * engine.shape.layers * overheads.launch_us.value * 1e-6
        # The GPU starts with the first launch; a launch is waited for where the GPU is faster.
        parts["launch"] = max(0.0, launches_s - gpu_s)
        gpu_s += parts["launch"]
    parts["host"] = max(0.0, host_s - gpu_s) if engine.arguments.async_scheduling else host_s
    return parts


def _gpu_parts(engine: StepModel, signature: Signature) -> dict[str, float]:
    shape, gpu = engine.shape, engine.gpu
    tokens = signature.prefill_tokens + signature.decode_sequences
    kernels = KERNELS_PER_LAYER * shape.layers
    return {
        "linear": _linear(engine, tokens),
        "elementwise": tokens * shape.elementwise_values_per_token() * _VALUE_BYTES / gpu.attained_bandwidth,
        "attention_prefill": _attention_prefill(engine, signature),
        "attention_decode": _attention_decode(engine, signature),
        "lm_head": _lm_head(engine, signature.decode_sequences + signature.prefill_sequences),
        "vision": _vision(engine, signature),
        "overhead": (gpu.overheads.step_us.value + kernels * gpu.overheads.kernel_us.value) * 1e-6,
    }


def _linear(engine: StepModel, tokens: int) -> float:
    """Weights of all layers, read once for the whole batch."""
    if not tokens:
        return 0.0
    compute = tokens * engine.shape.linear_flops_per_token() / engine.gpu.matmul_rate(engine.quantization)
    return max(
        compute, linear_bytes(engine.shape, engine.quantization) / engine.gpu.weight_bandwidth(engine.quantization)
    )


def _attention_prefill(engine: StepModel, signature: Signature) -> float:
    """FLOPs of the pairs, or keys and values read once: those of the context and those of the prompt itself."""
    pairs_s = signature.prefill_attention * engine.shape.attention_flops_per_pair() / engine.gpu.attention_rate
    kept = signature.context_tokens - signature.decode_context_tokens + signature.prefill_tokens
    return max(pairs_s, kept * _kv_bytes(engine) / engine.gpu.attained_bandwidth)


def _attention_decode(engine: StepModel, signature: Signature) -> float:
    """Keys and values of the whole context, read once by each sequence for itself."""
    read = (signature.decode_context_tokens + signature.decode_sequences) * _kv_bytes(engine)
    flops = signature.decode_context_tokens * engine.shape.attention_flops_per_pair()
    return max(read / engine.gpu.attention_bandwidth, flops / engine.gpu.attention_rate)


def _kv_bytes(engine: StepModel) -> int:
    return engine.shape.kv_values_per_token() * engine.arguments.kv_value_bytes


def _lm_head(engine: StepModel, rows: int) -> float:
    """Logits and sampling of one row for each sequence in the batch, also of a prompt that is not complete."""
    if not rows:
        return 0.0
    weights = engine.shape.lm_head_weights
    matmul = max(
        2 * rows * weights / engine.gpu.fp16_matmul_rate, _VALUE_BYTES * weights / engine.gpu.attained_bandwidth
    )
    return matmul + rows * engine.shape.vocabulary * _SAMPLER_BYTES / engine.gpu.attained_bandwidth


def _vision(engine: StepModel, signature: Signature) -> float:
    """The vision tower, which vLLM runs eagerly over all images of a step at once."""
    vision, gpu = engine.shape.vision, engine.gpu
    if vision is None or not signature.encoder_tokens:
        return 0.0
    flops = vision.linear_flops(signature.encoder_tokens)
    flops += vision.attention_flops(signature.encoder_tokens, max(1, signature.images))
    weights_s = vision.parameters * _VALUE_BYTES / gpu.attained_bandwidth
    launches_s = VISION_KERNELS_PER_BLOCK * vision.depth * gpu.overheads.launch_us.value * 1e-6
    return max(flops / gpu.vision_rate, weights_s, launches_s)
