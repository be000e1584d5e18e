"""The time of a step: each part by hand, and what asynchronous scheduling and CUDA graphs hide."""

from __future__ import annotations

from typing import Any

import pytest

from cosim.bridge.engine_messages import Signature
from cosim.profile.accelerator import accelerator
from cosim.profile.hardware_file import find_hardware
from cosim.profile.quantization import FORMATS
from cosim.profile.server_arguments import server_arguments
from cosim.profile.step_time import StepModel, step_parts
from tests.unit.test_model_shape import shape_of
from tests.unit.test_roofline import decode, prefill

BANDWIDTH = 3350e9 * 0.86
FP16 = 989.4e12 * 0.72


def engine(model: str = "llama-3.1-8b", bits: str = "fp16", hardware: str = "h100-sxm-80gb", **args: Any) -> StepModel:
    file, _, profile = find_hardware(hardware)
    shape, gpu = shape_of(model), accelerator(file, hardware, profile)
    return StepModel(shape, FORMATS[bits], gpu, server_arguments(args, shape, gpu))


def test_a_decode_reads_the_weights_and_its_context() -> None:
    parts = step_parts(engine(), decode(8, 1000))
    assert parts["linear"] == pytest.approx(2 * 6_979_321_856 / BANDWIDTH)
    assert parts["attention_decode"] == pytest.approx(8 * 1001 * 131_072 / (3350e9 * 0.75))
    assert parts["lm_head"] == pytest.approx((2 * 128_256 * 4096 + 8 * 128_256 * 24) / BANDWIDTH)
    assert parts["overhead"] == pytest.approx(300e-6 + 32 * 10 * 3e-6)
    assert parts["attention_prefill"] == parts["vision"] == parts["host"] == 0


def test_a_prompt_computes() -> None:
    parts = step_parts(engine(), prefill(4096))
    assert parts["linear"] == pytest.approx(4096 * 2 * 6_979_321_856 / FP16)
    pairs = 4096 * 4097 / 2
    assert parts["attention_prefill"] == pytest.approx(pairs * 4 * 32 * 32 * 128 / (989.4e12 * 0.55))
    assert parts["attention_decode"] == 0


def test_a_chunk_far_into_a_prompt_reads_what_came_before() -> None:
    computed = 100_000
    chunk = Signature(16, 0, computed, 0, 0, prefill_sequences=1, prefill_attention=16 * computed + 136)
    parts = step_parts(engine(), chunk)
    assert parts["attention_prefill"] == pytest.approx((computed + 16) * 131_072 / BANDWIDTH)


def test_lm_head_is_of_one_row_for_each_sequence() -> None:
    one, two = (step_parts(engine(), prefill(tokens))["lm_head"] for tokens in (100, 1000))
    assert one == two
    assert step_parts(engine(), decode(512, 1))["lm_head"] > one


def test_weights_of_four_bits_are_read_and_not_multiplied_faster() -> None:
    fp16, awq = engine(), engine(bits="awq")
    assert step_parts(awq, decode(1, 100))["linear"] < 0.4 * step_parts(fp16, decode(1, 100))["linear"]
    assert step_parts(awq, prefill(4096))["linear"] > step_parts(fp16, prefill(4096))["linear"]
    assert step_parts(engine(bits="fp8"), prefill(4096))["linear"] < 0.6 * step_parts(fp16, prefill(4096))["linear"]


def test_an_image_takes_flops_or_launches_whichever_is_longer() -> None:
    small, large = (
        step_parts(engine("qwen2.5-vl-3b"), Signature(20, 0, 0, tokens, 1))["vision"] for tokens in (16, 4096)
    )
    assert small == pytest.approx(18 * 32 * 10e-6)
    tower = shape_of("qwen2.5-vl-3b").vision
    assert tower is not None
    flops = tower.linear_flops(4096) + tower.attention_flops(4096, 1)
    assert large == pytest.approx(flops / (989.4e12 * 0.25))
    assert step_parts(engine("llama-3.1-8b"), Signature(20, 0, 0, 4096, 1))["vision"] == 0


def test_asynchronous_scheduling_hides_the_cpu_behind_the_gpu() -> None:
    hidden, shown = (
        step_parts(engine(async_scheduling=async_scheduling), decode(8, 100)) for async_scheduling in (True, False)
    )
    assert hidden["host"] == 0
    assert shown["host"] == pytest.approx(800e-6 + 8 * 15e-6)
    assert {**hidden, "host": 0} == {**shown, "host": 0}


def test_a_cpu_that_is_slower_than_the_gpu_sticks_out() -> None:
    parts = step_parts(engine("qwen2.5-0.5b", hardware="h200-141gb"), decode(256, 1))
    gpu_s = sum(parts.values()) - parts["host"]
    assert sum(parts.values()) == pytest.approx(800e-6 + 256 * 15e-6)
    assert 0 < gpu_s < 800e-6 + 256 * 15e-6


def test_a_batch_beyond_the_graphs_is_launched_kernel_by_kernel() -> None:
    graph = step_parts(engine("qwen2.5-0.5b", hardware="h200-141gb"), decode(1, 1))
    eager = step_parts(engine("qwen2.5-0.5b", hardware="h200-141gb", enforce_eager=True), decode(1, 1))
    assert "launch" not in graph
    assert eager["launch"] == pytest.approx(24 * 30 * 10e-6 - (sum(graph.values()) - graph["host"]))
    assert step_parts(engine("qwen2.5-0.5b"), prefill(8000))["launch"] == 0
