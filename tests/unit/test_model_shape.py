"""Shapes of published models: parameters, KV cache and work, against what their publishers state."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cosim.profile.errors import ProfileError
from cosim.profile.model_shape import ModelShape, model_shape
from cosim.profile.models import read_config
from tests.unit.test_profile_models import PARAMETERS


def config_of(name: str) -> dict[str, Any]:
    config: dict[str, Any] = json.loads(read_config(name)[1])
    return config


def shape_of(name: str, **changes: Any) -> ModelShape:
    return model_shape({**config_of(name), **changes}, name)


@pytest.mark.parametrize(("name", "published"), PARAMETERS.items())
def test_parameters_are_those_published(name: str, published: int) -> None:
    assert sum(shape_of(name).parameters().values()) == published


def test_parameters_by_part() -> None:
    parts = shape_of("llama-3.1-8b").parameters()
    assert parts["embedding"] == parts["lm_head"] == 128_256 * 4096
    assert parts["mlp"] == 32 * 3 * 4096 * 14_336
    assert parts["attention"] == 32 * 4096 * (4096 + 1024 + 1024 + 4096)
    assert parts["norms"] == 65 * 4096
    assert parts["vision"] == 0
    assert shape_of("qwen2.5-vl-3b").parameters()["lm_head"] == 0


def test_kv_cache_of_a_token() -> None:
    assert shape_of("llama-3.1-8b").kv_values_per_token() == 2 * 32 * 8 * 128
    assert shape_of("qwen2.5-vl-3b").kv_values_per_token() == 2 * 36 * 2 * 128


def test_flops() -> None:
    shape = shape_of("llama-3.1-8b")
    assert shape.linear_flops_per_token() == 2 * (32 * 4096 * (10_240 + 3 * 14_336))
    assert shape.attention_flops_per_pair() == 4 * 32 * 32 * 128


def test_an_explicit_head_size_counts() -> None:
    shape = shape_of("qwen3-4b")
    assert shape.head_size * shape.heads != shape.hidden_size
    assert shape.head_norms


def test_biases_of_llama_are_counted() -> None:
    plain, biased = shape_of("llama-3.1-8b"), shape_of("llama-3.1-8b", attention_bias=True, mlp_bias=True)
    more = sum(biased.parameters().values()) - sum(plain.parameters().values())
    assert more == 32 * (4096 + 1024 + 1024 + 4096 + 2 * 14_336 + 4096)


def test_work_of_an_image() -> None:
    vision = shape_of("qwen2.5-vl-3b").vision
    assert vision is not None
    patches, window, per_pair = 4 * 391, 64, 4 * 1280
    assert vision.attention_flops(391, 1) == per_pair * patches * (28 * window + 4 * patches)
    # Two images of half the size: patches see half as many in the blocks with full attention.
    assert vision.attention_flops(392, 2) < vision.attention_flops(392, 1)
    assert vision.linear_flops(391) == 391 * vision.linear_flops(1)
    assert 2 * 4 * 0.9 * 630e6 < vision.linear_flops(1) < 2 * 4 * 1.1 * 630e6


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"architectures": ["MixtralForCausalLM"]}, ["MixtralForCausalLM", "LlamaForCausalLM"]),
        ({"architectures": []}, ["architectures"]),
        ({"num_experts": 8}, ["num_experts", "mixture of experts"]),
        ({"num_local_experts": "8"}, ["num_local_experts", "mixture of experts"]),
        ({"layer_types": ["full_attention", "sliding_attention"]}, ["sliding-window"]),
        ({"layer_types": 32}, ["sliding-window"]),
        ({"use_sliding_window": True, "sliding_window": 4096}, ["sliding-window"]),
        ({"hidden_size": "4096"}, ["hidden_size", "'4096'"]),
        ({"num_hidden_layers": None}, ["num_hidden_layers"]),
    ],
)
def test_a_shape_that_is_not_known_is_refused(changes: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(ProfileError) as caught:
        shape_of("llama-3.1-8b", **changes)
    assert all(word in str(caught.value) for word in ["llama-3.1-8b", *words])


def test_mistral_uses_its_window_and_qwen_only_names_one() -> None:
    mistral = {"architectures": ["MistralForCausalLM"]}
    assert shape_of("llama-3.1-8b", **mistral, sliding_window=None).attention_biases == ""
    with pytest.raises(ProfileError, match="sliding-window"):
        shape_of("llama-3.1-8b", **mistral, sliding_window=4096)
    assert shape_of("qwen2.5-7b", sliding_window=131_072, use_sliding_window=False).layers == 28


def test_a_vision_tower_lacking_a_size_is_refused() -> None:
    config = config_of("qwen2.5-vl-3b")
    for key in ("depth", "patch_size", "fullatt_block_indexes"):
        vision = {name: value for name, value in config["vision_config"].items() if name != key}
        with pytest.raises(ProfileError, match=key):
            model_shape({**config, "vision_config": vision}, "model")
