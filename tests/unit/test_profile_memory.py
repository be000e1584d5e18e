"""Memory of rooflines: the sum is vLLM's, and what does not fit is refused with it."""

from __future__ import annotations

from typing import Any

import pytest

from cosim.profile.accelerator import GIB, accelerator
from cosim.profile.errors import ProfileError
from cosim.profile.hardware_file import find_hardware
from cosim.profile.memory import MemoryFit, fit, kv_blocks, kv_bytes_per_token
from cosim.profile.model_shape import model_shape
from cosim.profile.quantization import FORMATS, linear_bytes, published_format, quantization_format, weight_bytes
from cosim.profile.server_arguments import server_arguments
from tests.unit.test_model_shape import config_of, shape_of


def memory(hardware: str, model: str, bits: str = "fp16", **args: Any) -> MemoryFit:
    file, _, profile = find_hardware(hardware)
    shape = model_shape(config_of(model), model)
    gpu = accelerator(file, hardware.partition("/")[0], profile)
    return fit(shape, FORMATS[bits], gpu, server_arguments(args, shape, gpu), model)


def test_the_kv_cache_is_what_the_request_leaves() -> None:
    found = memory("h100-sxm-80gb", "llama-3.1-8b")
    assert found.requested == int(int(79.2 * GIB) * 0.92)
    assert found.weights == 2 * 8_030_261_248
    assert found.kv_cache == found.left
    assert found.requested == sum(
        (found.weights, found.activations, found.cuda_graphs, found.non_torch, found.kv_cache)
    )
    assert "14.96 weights" in found.arithmetic()


def test_a_tied_lm_head_is_held_once() -> None:
    assert memory("gh200-96gb", "qwen2.5-vl-3b").weights == 2 * 3_754_622_976


def test_activations_are_the_largest_of_vllms_three_dummy_runs() -> None:
    layer = memory("h100-sxm-80gb", "llama-3.1-8b", max_num_seqs=8).activations
    assert layer == 8192 * (4 * 4096 + 3 * 14_336) * 2
    sampler = memory("h100-sxm-80gb", "llama-3.1-8b").activations
    assert sampler == 8192 * 4096 * 2 + 1024 * 128_256 * 14
    image = memory("gh200-96gb/3g.48gb", "qwen2.5-vl-3b")
    no_image = memory("gh200-96gb/3g.48gb", "qwen2.5-vl-3b", limit_mm_per_prompt={"image": 0})
    assert image.activations == 16_384 * 4 * (1176 + 4 * 1280 + 3 * 3420) * 2 > no_image.activations


def test_eager_engines_have_no_graphs() -> None:
    assert memory("l40s", "qwen3-8b", enforce_eager=True).cuda_graphs == 0 < memory("l40s", "qwen3-8b").cuda_graphs


def test_a_model_that_does_not_fit_is_refused_with_the_arithmetic() -> None:
    with pytest.raises(ProfileError) as caught:
        memory("gh200-96gb/1g.12gb", "qwen3-8b")
    text = str(caught.value)
    assert "qwen3-8b in fp16 on gh200-96gb/1g.12gb does not fit: 0.92 x 11.00 = 10.12 requested - 15.26 weights" in text
    assert "= -6." in text
    assert memory("gh200-96gb/1g.12gb", "qwen3-8b", "awq", max_model_len=8192).kv_cache > 0


def test_the_longest_request_that_fits_is_named_and_fits() -> None:
    with pytest.raises(ProfileError) as caught:
        memory("gh200-96gb/1g.24gb", "llama-3.1-8b")
    assert "max_model_len 131072 takes 16.00 GiB" in caught.value.what
    longest = int(caught.value.allowed.rpartition(" ")[2])
    assert memory("gh200-96gb/1g.24gb", "llama-3.1-8b", max_model_len=longest).kv_cache > 0
    with pytest.raises(ProfileError):
        memory("gh200-96gb/1g.24gb", "llama-3.1-8b", max_model_len=longest + 1)
    assert memory("gh200-96gb/1g.24gb", "llama-3.1-8b", max_model_len=-1).kv_cache > 0


def test_memory_that_the_operating_system_has_is_not_free() -> None:
    with pytest.raises(ProfileError) as caught:
        memory("jetson-orin-nx-16gb", "qwen2.5-vl-3b", max_model_len=4096)
    assert "0.92 x 15.30 = 14.08 GiB, of which 13.30 GiB are free" in caught.value.what
    share = float(caught.value.allowed.rpartition(" ")[2])
    assert memory("jetson-orin-nx-16gb", "qwen2.5-vl-3b", max_model_len=4096, gpu_memory_utilization=share).kv_cache > 0


def test_a_kv_cache_of_the_users_size_is_kept_or_refused() -> None:
    found = memory("l40s", "qwen3-8b", kv_cache_memory_bytes=10 * GIB, max_model_len=8192)
    assert found.kv_cache == 10 * GIB
    with pytest.raises(ProfileError) as caught:
        memory("l40s", "qwen3-8b", kv_cache_memory_bytes=40 * GIB, max_model_len=8192)
    most = int(caught.value.allowed.rpartition(" ")[2])
    assert memory("l40s", "qwen3-8b", kv_cache_memory_bytes=most, max_model_len=8192).kv_cache == most


def test_blocks_are_whole_and_fp8_halves_them() -> None:
    shape = shape_of("llama-3.1-8b")
    gpu = accelerator(find_hardware("h100-sxm-80gb")[0], "h100", None)
    plain, fp8 = (server_arguments({"kv_cache_dtype": name}, shape, gpu) for name in ("auto", "fp8"))
    assert kv_bytes_per_token(shape, plain) == 131_072 == 2 * kv_bytes_per_token(shape, fp8)
    assert kv_blocks(16 * 131_072 * 3 - 1, shape, plain) == 2
    assert kv_blocks(16 * 131_072 * 3, shape, plain) == 3


def test_only_the_linear_layers_of_the_language_model_are_quantised() -> None:
    shape = shape_of("qwen2.5-vl-7b")
    linear = shape.attention_weights + shape.mlp_weights
    assert linear_bytes(shape, FORMATS["fp16"]) == 2 * linear
    assert linear_bytes(shape, FORMATS["w8a8"]) == linear
    assert linear_bytes(shape, FORMATS["awq"]) == linear * (4 + 20 / 128) / 8
    assert linear_bytes(shape, FORMATS["w4a16"]) == linear * (4 + 16 / 128) / 8
    rest = 2 * (8_292_166_656 - linear)
    for quantization in FORMATS.values():
        assert weight_bytes(shape, quantization) == rest + linear_bytes(shape, quantization)
    # Model loading took 5.7088 GiB, in vLLM 0.10.2 (github.com/TechBroMoho/quantized-llm-serving).
    assert weight_bytes(shape_of("qwen3-8b"), FORMATS["awq"]) / GIB == pytest.approx(5.7088, rel=0.01)


@pytest.mark.parametrize(
    ("section", "name"),
    [
        (None, "fp16"),
        ({"quant_method": "awq", "bits": 4}, "awq"),
        ({"quant_method": "gptq", "bits": 4}, "w4a16"),
        ({"quant_method": "fp8"}, "fp8"),
        ({"quant_method": "compressed-tensors", "format": "pack-quantized"}, "w4a16"),
        ({"quant_method": "compressed-tensors", "format": "int-quantized"}, "w8a8"),
    ],
)
def test_a_checkpoints_own_format_is_read(section: dict[str, Any] | None, name: str) -> None:
    assert published_format({"quantization_config": section} if section else {}, "model") == name


@pytest.mark.parametrize(
    "section",
    [
        {"quant_method": "gptq", "bits": 3},
        {"quant_method": "awq", "bits": 8},
        {"quant_method": "bitsandbytes"},
        {"quant_method": "compressed-tensors"},
        {
            "quant_method": "compressed-tensors",
            "format": "pack-quantized",
            "config_groups": {"group_0": {"weights": {"num_bits": 8}}},
        },
        {"quant_method": ["awq"]},
    ],
)
def test_an_unknown_format_is_refused(section: dict[str, Any]) -> None:
    with pytest.raises(ProfileError, match=r"executor\.quantization: fp16, fp8, w8a8, awq, w4a16"):
        published_format({"quantization_config": section}, "model")
    with pytest.raises(ProfileError, match="no quantization 'int3'"):
        quantization_format("int3")


def test_a_format_that_is_no_mapping_is_refused() -> None:
    with pytest.raises(ProfileError, match="quantization_config is 4; a mapping"):
        published_format({"quantization_config": 4}, "model")
