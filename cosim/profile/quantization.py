"""Formats of weights: what a checkpoint stores, and at which rate a GPU multiplies with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from cosim.profile.errors import ProfileError
from cosim.profile.model_shape import ModelShape

Rate = Literal["fp16", "fp8", "int8"]

GROUP = 128
_FP16_BITS = 16


@dataclass(frozen=True, slots=True)
class Quantization:
    """A format of the linear layers of the language model; everything else stays 16 bit.

    `bits`: of one weight, its share of scales and zero points included. `rate`: at which a GPU multiplies that has
    it; `weight_only`: weights become fp16 in the kernel, so they are read faster and multiplied no faster.
    """

    name: str
    bits: float
    rate: Rate
    weight_only: bool
    source: str


FORMATS = {
    format.name: format
    for format in (
        Quantization("fp16", _FP16_BITS, "fp16", False, "bfloat16 or float16, as published"),
        Quantization(
            "fp8",
            8,
            "fp8",
            False,
            "compressed-tensors FP8-dynamic: a scale for each output channel, below 0.1 %; lm_head and visual are in "
            "the ignore list of the published checkpoints (RedHatAI/Qwen2.5-VL-7B-Instruct-FP8-Dynamic)",
        ),
        Quantization(
            "w8a8",
            8,
            "int8",
            False,
            "compressed-tensors int-quantized: a scale for each output channel, activations by token; lm_head and "
            "visual are in the ignore list (RedHatAI/Qwen2.5-VL-7B-Instruct-quantized.w8a8)",
        ),
        Quantization(
            "awq",
            4 + (_FP16_BITS + 4) / GROUP,
            "fp16",
            True,
            "AWQ (Lin et al. 2023, arXiv 2306.00978), 4 bit in groups of 128, each with an fp16 scale and a 4 bit zero "
            "point; lm_head is not converted, nor visual (modules_to_not_convert of Qwen/Qwen2.5-VL-3B-Instruct-AWQ)",
        ),
        Quantization(
            "w4a16",
            4 + _FP16_BITS / GROUP,
            "fp16",
            True,
            "compressed-tensors pack-quantized, symmetric 4 bit in groups of 128, each with an fp16 scale; lm_head and "
            "visual are in the ignore list (RedHatAI/Qwen2.5-VL-7B-Instruct-quantized.w4a16)",
        ),
    )
}


# quant_method of a config.json, or the format of compressed-tensors.
_PUBLISHED = {
    "awq": "awq",
    "gptq": "w4a16",
    "fp8": "fp8",
    "pack-quantized": "w4a16",
    "int-quantized": "w8a8",
    "float-quantized": "fp8",
}


def quantization_format(name: str) -> Quantization:
    """A format by name. Raises ProfileError."""
    if name not in FORMATS:
        raise ProfileError(f"no quantization {name!r}", f"allowed: {', '.join(FORMATS)}")
    return FORMATS[name]


def published_format(config: Mapping[str, Any], name: str) -> str:
    """The format of a checkpoint by the quantization_config of its config.json; fp16 without one.

    Raises ProfileError for a format that is not known here.
    """
    section = config.get("quantization_config")
    if section is None:
        return "fp16"
    if not isinstance(section, Mapping):
        raise ProfileError(f"{name}: quantization_config is {section!r}", "a mapping, or leave it out")
    method = section.get("quant_method")
    key = str(section.get("format") if method == "compressed-tensors" else method)
    if _PUBLISHED.get(key) in ("awq", "w4a16") and _weight_bits(section) - {4}:
        key += f" with {max(_weight_bits(section))} bits"
    if key not in _PUBLISHED:
        raise ProfileError(f"{name}: quantization_config is of {key!r}", f"executor.quantization: {', '.join(FORMATS)}")
    return _PUBLISHED[key]


def _weight_bits(section: Mapping[str, Any]) -> set[int]:
    """Bits of a weight, as AutoAWQ and AutoGPTQ say it, or compressed-tensors of each group of layers."""
    found = [section.get("bits")]
    groups = section.get("config_groups")
    for group in groups.values() if isinstance(groups, Mapping) else ():
        weights = group.get("weights") if isinstance(group, Mapping) else None
        found.append(weights.get("num_bits") if isinstance(weights, Mapping) else None)
    return {bits for bits in found if isinstance(bits, int)}


def linear_bytes(shape: ModelShape, quantization: Quantization) -> float:
    """Bytes of the weights of the language model's linear layers, which a step reads once; biases left out."""
    return (shape.attention_weights + shape.mlp_weights) * quantization.bits / 8


def weight_bytes(shape: ModelShape, quantization: Quantization) -> float:
    """Bytes that the weights take in memory, scales and zero points included."""
    whole = sum(shape.parameters().values())
    linear = shape.attention_weights + shape.mlp_weights
    return (whole - linear) * _FP16_BITS / 8 + linear_bytes(shape, quantization)
