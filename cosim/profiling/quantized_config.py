"""A published model's config.json as a quantised checkpoint of it has it, so that dummy weights take its kernels."""

from __future__ import annotations

import json
from typing import Any

# The vision tower and the head stay in 16 bit in the published checkpoints (see cosim.profile.quantization).
_KEPT = ["re:.*lm_head", "re:.*visual.*"]


def _tensors(*, bits: int, kind: str, strategy: str, dynamic: bool, **more: Any) -> dict[str, Any]:
    """One entry of compressed-tensors (QuantizationArgs)."""
    return {"num_bits": bits, "type": kind, "symmetric": True, "strategy": strategy, "dynamic": dynamic, **more}


def _compressed(layout: str, weights: dict[str, Any], activations: dict[str, Any] | None) -> dict[str, Any]:
    group = {"targets": ["Linear"], "weights": weights, "input_activations": activations, "output_activations": None}
    return {
        "quant_method": "compressed-tensors",
        "format": layout,
        "quantization_status": "compressed",
        "ignore": _KEPT,
        "config_groups": {"group_0": group},
    }


def _int8() -> dict[str, Any]:
    weights = _tensors(bits=8, kind="int", strategy="channel", dynamic=False)
    return _compressed("int-quantized", weights, _tensors(bits=8, kind="int", strategy="token", dynamic=True))


def _fp8() -> dict[str, Any]:
    weights = _tensors(bits=8, kind="float", strategy="channel", dynamic=False)
    return _compressed("float-quantized", weights, _tensors(bits=8, kind="float", strategy="token", dynamic=True))


def _int4() -> dict[str, Any]:
    weights = _tensors(bits=4, kind="int", strategy="group", dynamic=False, group_size=128)
    return _compressed("pack-quantized", weights, None)


_AWQ = {
    "quant_method": "awq",
    "bits": 4,
    "group_size": 128,
    "zero_point": True,
    "version": "gemm",
    "modules_to_not_convert": ["visual"],
}
_MADE = {"fp8": _fp8(), "w8a8": _int8(), "awq": _AWQ, "w4a16": _int4()}
FORMATS = ("fp16", *_MADE)


def quantized(config: str, name: str) -> str:
    """The text of a config.json for a format: `fp16` takes a quantisation out, the others put theirs in.

    As RedHatAI's FP8-dynamic, quantized.w8a8 and quantized.w4a16 and Qwen's AWQ of Qwen2.5-VL. Raises KeyError for
    a format that is not in FORMATS.
    """
    content: dict[str, Any] = json.loads(config)
    content.pop("quantization_config", None)
    if name != "fp16":
        content["quantization_config"] = _MADE[name]
    return json.dumps(content, indent=1)
