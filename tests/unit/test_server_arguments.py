"""Engine arguments of rooflines: vLLM's own choices by hardware, the user's before them, others refused."""

from __future__ import annotations

from typing import Any

import pytest

from cosim.profile.accelerator import accelerator
from cosim.profile.errors import ProfileError
from cosim.profile.hardware_file import find_hardware
from cosim.profile.model_shape import model_shape
from cosim.profile.server_arguments import ServerArguments, server_arguments
from tests.unit.test_model_shape import config_of


def arguments(hardware: str = "gh200-96gb", model: str = "qwen2.5-vl-3b", **args: Any) -> ServerArguments:
    file, _, profile = find_hardware(hardware)
    return server_arguments(args, model_shape(config_of(model), model), accelerator(file, hardware, profile))


@pytest.mark.parametrize(
    ("hardware", "batched", "seqs"),
    [
        ("gh200-96gb", 8192, 1024),
        ("h100-sxm-80gb", 8192, 1024),
        ("h200-141gb", 8192, 1024),
        # vLLM names the A100: a large batch costs it throughput.
        ("a100-80gb", 2048, 256),
        ("a100-40gb", 2048, 256),
        ("l40s", 2048, 256),
        ("jetson-agx-orin-64gb", 2048, 256),
        # NVML does not answer for a MIG slice in a container, however large it is.
        ("gh200-96gb/7g.96gb", 2048, 256),
        ("gh200-96gb/3g.48gb", 2048, 256),
    ],
)
def test_batches_are_those_that_vllm_chooses(hardware: str, batched: int, seqs: int) -> None:
    found = arguments(hardware)
    assert (found.max_num_batched_tokens, found.max_num_seqs) == (batched, seqs)
    assert found.defaults() == {"max_num_batched_tokens": batched, "max_num_seqs": seqs, "block_size": 16}


def test_the_rest_is_vllms_default() -> None:
    found = arguments()
    assert found.max_model_len == 128_000
    assert found.gpu_memory_utilization == 0.92
    assert found.kv_cache_memory_bytes is None
    assert found.kv_value_bytes == 2
    assert found.async_scheduling
    assert not found.enforce_eager
    assert found.images


def test_the_users_arguments_come_first() -> None:
    found = arguments(
        max_model_len=4096,
        max_num_seqs=8,
        max_num_batched_tokens=512,
        block_size=32,
        gpu_memory_utilization=0.5,
        kv_cache_dtype="fp8",
        async_scheduling=False,
        enforce_eager=True,
        limit_mm_per_prompt={"image": 0},
    )
    assert (found.max_model_len, found.max_num_seqs, found.max_num_batched_tokens) == (4096, 8, 512)
    assert (found.block_size, found.gpu_memory_utilization, found.kv_value_bytes) == (32, 0.5, 1)
    assert (found.async_scheduling, found.enforce_eager, found.images) == (False, True, False)


def test_vllm_bounds_one_choice_by_the_other() -> None:
    assert arguments(max_num_batched_tokens=100).max_num_seqs == 100
    assert arguments(max_num_seqs=2, max_model_len=512).max_num_batched_tokens == 1024
    assert arguments("l40s", enable_chunked_prefill=False, max_model_len=8192).max_num_batched_tokens == 8192


def test_graphs_reach_as_far_as_vllm_captures_them() -> None:
    assert arguments().largest_graph == 512
    assert arguments(max_num_seqs=10).largest_graph == 20
    assert arguments(max_num_batched_tokens=64).largest_graph == 64
    assert arguments(enforce_eager=True).largest_graph == 0


@pytest.mark.parametrize("value", [-1, "auto"])
def test_vllm_may_choose_the_length(value: object) -> None:
    assert arguments(max_model_len=value).max_model_len is None


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ({"tensor_parallel_size": 2}, ["tensor_parallel_size", "one GPU"]),
        ({"speculative_config": {"method": "ngram"}}, ["speculative_config"]),
        ({"quantization": "awq"}, ["args.quantization", "executor.quantization"]),
        ({"dtype": "float32"}, ["dtype", "bfloat16"]),
        ({"kv_cache_dtype": "nvfp4"}, ["kv_cache_dtype", "fp8"]),
        ({"max_num_seqs": 0}, ["max_num_seqs"]),
        ({"max_model_len": "32k"}, ["max_model_len"]),
        ({"gpu_memory_utilization": 1.2}, ["gpu_memory_utilization"]),
        ({"limit_mm_per_prompt": 5}, ["limit_mm_per_prompt", "{image: 1}"]),
        ({"limit_mm_per_prompt": {"image": None}}, ["limit_mm_per_prompt", "{image: 1}"]),
        ({"limit_mm_per_prompt": {"image": {"count": "x"}}}, ["limit_mm_per_prompt", "{image: 1}"]),
    ],
)
def test_what_the_roofline_does_not_know_is_refused(args: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ProfileError) as caught:
        arguments(**args)
    assert all(word in str(caught.value) for word in words)
