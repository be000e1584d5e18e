"""Rooflines whatever the load: more work never takes less time, less hardware never takes less."""

from __future__ import annotations

import functools
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from cosim.bridge.engine_messages import Signature
from cosim.profile.hardware_file import names
from cosim.profile.roofline import Roofline, load_roofline
from tests.unit.test_roofline import decode, prefill, spec, step_ns

LOADS = {
    "prefill_tokens": 16_384,
    "decode_sequences": 1024,
    "context_tokens": 10**6,
    "encoder_tokens": 16_384,
    "prefill_sequences": 64,
    "prefill_attention": 10**10,
}
SIGNATURES = st.builds(
    lambda images, decode_context, **loads: Signature(
        **{**loads, "context_tokens": loads["context_tokens"] + decode_context},
        images=images,
        decode_context_tokens=decode_context,
    ),
    images=st.integers(1, 8),
    decode_context=st.integers(0, 10**6),
    **{name: st.integers(0, most) for name, most in LOADS.items()},
)
SLICES = ["1g.12gb", "2g.24gb", "3g.48gb", "7g.96gb"]


@functools.cache
def roofline(hardware: str = "gh200-96gb/3g.48gb", model: str = "qwen2.5-vl-3b", bits: str = "fp16") -> Roofline:
    args: dict[str, Any] = {"max_model_len": 1024, "gpu_memory_utilization": 0.9}
    return load_roofline(hardware, spec(model, **args), bits)


@settings(max_examples=200, deadline=None)
@given(signature=SIGNATURES, load=st.sampled_from(sorted(LOADS)), more=st.integers(1, 4096))
def test_a_step_never_gets_shorter_with_more_load(signature: Signature, load: str, more: int) -> None:
    loaded = msgspec.structs.replace(signature, **{load: getattr(signature, load) + more})
    assert step_ns(roofline(), loaded) >= step_ns(roofline(), signature)


@settings(max_examples=100, deadline=None)
@given(signature=SIGNATURES)
def test_a_smaller_slice_is_never_faster(signature: Signature) -> None:
    durations = [step_ns(roofline(f"gh200-96gb/{part}"), signature) for part in SLICES]
    assert durations == sorted(durations, reverse=True)


@settings(max_examples=100, deadline=None)
@given(
    hardware=st.sampled_from(["a100-80gb", "gh200-96gb/3g.48gb", "h100-sxm-80gb", "jetson-agx-orin-64gb", "l4"]),
    bits=st.sampled_from(["awq", "w4a16"]),
    sequences=st.integers(1, 16),
    context=st.integers(0, 900),
    prompt=st.integers(1024, 8192),
)
def test_four_bits_are_faster_in_decodes_and_not_in_prompts(
    hardware: str, bits: str, sequences: int, context: int, prompt: int
) -> None:
    fp16, quantised = roofline(hardware), roofline(hardware, bits=bits)
    assert step_ns(quantised, decode(sequences, context)) < step_ns(fp16, decode(sequences, context))
    assert step_ns(quantised, prefill(prompt)) >= step_ns(fp16, prefill(prompt))


@settings(max_examples=50, deadline=None)
@given(hardware=st.sampled_from(["a100-80gb", "gh200-96gb/3g.48gb", "h100-nvl-94gb", "l40s"]))
def test_fewer_bytes_of_weights_leave_more_blocks(hardware: str) -> None:
    found = [roofline(hardware, "qwen2.5-vl-7b", bits).describe() for bits in ("fp16", "fp8", "awq", "w4a16")]
    assert [about["weight_bytes"] for about in found] == sorted(
        (about["weight_bytes"] for about in found), reverse=True
    )
    assert [about["kv_blocks"] for about in found] == sorted(about["kv_blocks"] for about in found)


def test_every_shipped_name_has_a_roofline() -> None:
    for name in names():
        if not name.endswith(("/1g.5gb", "/1g.10gb")) and name != "jetson-orin-nx-8gb":
            found = load_roofline(name, spec("qwen3-0.6b", max_model_len=1024, gpu_memory_utilization=0.6), None)
            assert found.label == f"{name} fp16"
            assert 0 < step_ns(found, decode(1, 100)) < step_ns(found, prefill(1024))
