"""A recorded profile is used for the engine that it is of, and for no other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from cosim.bridge.engine_messages import ConfigModel, EngineSpec, HubModel
from cosim.profile.load import ProfileError, load_profile
from cosim.profile.records import Header
from tests import made_up_profile
from tests.made_up_profile import KV_CACHE_BYTES, MODEL, VISION_MODEL


def refused(path: Path, spec: EngineSpec, asked: str | None = None, **header: Any) -> list[str]:
    """What is said when a profile with another header is asked for."""
    content = made_up_profile.lines()
    content[0].update(header)
    made_up_profile.write(path, content)
    with pytest.raises(ProfileError) as caught:
        load_profile(str(path), spec, quantization=asked)
    return [str(ProfileError(fault.what, fault.allowed, fault.place)) for fault in caught.value.faults]


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"max_num_seqs": 8, "dtype": "float32", "enforce_eager": True, "async_scheduling": False},
        {"dtype": "float"},
        {"max_num_seqs": None},
        {"gpu_memory_utilization": 0.5, "seed": 7, "limit_mm_per_prompt": {"image": 1}},
    ],
)
def test_what_was_recorded_or_does_not_matter_may_be_asked_for(tmp_path: Path, arguments: dict[str, Any]) -> None:
    path = made_up_profile.write(tmp_path / "p.jsonl")
    profile = load_profile(str(path), made_up_profile.spec(**arguments), quantization=None)
    assert profile.label == "made-up CPU float32"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"max_num_seqs": 4}, "max_num_seqs: recorded with 8, asked for 4; 8, or leave args.max_num_seqs out"),
        ({"max_num_batched_tokens": 8192}, "max_num_batched_tokens: recorded with 2048, asked for 8192; 2048"),
        ({"max_model_len": 8192}, "max_model_len: recorded with 4096, asked for 8192"),
        ({"block_size": 16}, "block_size: recorded with 32, asked for 16"),
        ({"enable_prefix_caching": False}, "enable_prefix_caching: recorded with True, asked for False"),
        ({"enforce_eager": False}, "enforce_eager: recorded with True, asked for False"),
        ({"enforce_eager": 1}, "enforce_eager: recorded with True, asked for 1"),
        ({"dtype": "bfloat16"}, "dtype: recorded with 'float32', asked for 'bfloat16'"),
        ({"async_scheduling": True}, "async_scheduling: recorded with False, asked for True"),
        ({"kv_cache_dtype": "fp8"}, "kv_cache_dtype: recorded with None, asked for 'fp8'"),
        ({"quantization": "awq"}, "quantization: is the profile's, not an argument; leave args.quantization out"),
    ],
)
def test_another_configuration_is_refused(tmp_path: Path, arguments: dict[str, Any], text: str) -> None:
    path = tmp_path / "p.jsonl"
    (found,) = refused(path, made_up_profile.spec(**arguments))
    assert found.startswith(f"{path}:1: {text}")


def test_another_model_version_and_scheduling_mode_are_told_together(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    versions = {"vllm": "0.31.0", "torch": "2.12.0"}
    spec = made_up_profile.spec(msgspec.structs.replace(MODEL, layers=4), async_scheduling=True)
    assert refused(path, spec, "awq", versions=versions) == [
        f"{path}:1: model.layers: recorded with 2, asked for 4; a profile of the same model",
        f"{path}:1: quantization: recorded with float32, asked for awq; float32, or leave it out",
        f"{path}:1: versions.vllm: recorded with 0.31.0, installed is {made_up_profile.installed_vllm()}; the version "
        "of the recording; record it again with `cosim profile`",
        f"{path}:1: async_scheduling: recorded with False, asked for True; False, or leave args.async_scheduling out",
    ]


def test_a_build_of_the_same_version_fits(tmp_path: Path) -> None:
    content = made_up_profile.lines()
    content[0]["versions"]["vllm"] = made_up_profile.installed_vllm() + "+cu130"
    path = made_up_profile.write(tmp_path / "p.jsonl", content)
    assert load_profile(str(path), made_up_profile.spec(), quantization=None)


@pytest.mark.parametrize(
    ("recorded", "asked", "fits"),
    [
        (None, "fp16", True),
        ("fp8", "fp8", True),
        ("fp8", None, True),
        ("fp8", "fp16", False),
        ("w4a16", "awq", False),
    ],
)
def test_a_recorded_profile_has_its_quantisation(
    tmp_path: Path, recorded: str | None, asked: str | None, fits: bool
) -> None:
    path = tmp_path / "p.jsonl"
    if not fits:
        (found,) = refused(path, made_up_profile.spec(), asked, quantization=recorded)
        assert f"quantization: recorded with {recorded}, asked for {asked}; {recorded}, or leave it out" in found
        return
    content = made_up_profile.lines()
    content[0]["quantization"] = recorded
    assert load_profile(str(made_up_profile.write(path, content)), made_up_profile.spec(), quantization=asked)


@pytest.mark.parametrize("model", [HubModel("Qwen/Qwen3-0.6B"), ConfigModel("qwen3-0.6b", '{"vocab_size": 9}')])
def test_a_model_of_another_kind_is_refused(tmp_path: Path, model: HubModel | ConfigModel) -> None:
    spec = msgspec.structs.replace(made_up_profile.spec(), model=model)
    assert any("a profile of the same model" in fault for fault in refused(tmp_path / "p.jsonl", spec))


def test_of_a_config_its_values_count_and_not_how_they_are_written(tmp_path: Path) -> None:
    content = made_up_profile.lines()
    content[0]["model"] = {"type": "config", "name": "a", "config": '{"vocab_size": 9, "layers": 2}'}
    path = made_up_profile.write(tmp_path / "p.jsonl", content)
    same = msgspec.structs.replace(made_up_profile.spec(), model=ConfigModel("b", '{ "layers": 2, "vocab_size": 9 }'))
    assert load_profile(str(path), same, quantization=None)
    other = msgspec.structs.replace(made_up_profile.spec(), model=ConfigModel("a", '{"layers": 2}'))
    with pytest.raises(ProfileError, match=r"model.vocab_size: recorded with 9, asked for None"):
        load_profile(str(path), other, quantization=None)


@pytest.mark.parametrize("name", ["hf_overrides", "mm_processor_kwargs"])
def test_what_made_another_model_of_it_must_be_asked_for_too(tmp_path: Path, name: str) -> None:
    content = made_up_profile.lines()
    content[0]["engine"]["arguments"] = {name: {"size": 4}}
    path = made_up_profile.write(tmp_path / "p.jsonl", content)
    with pytest.raises(ProfileError, match=rf"{name}: recorded with {{'size': 4}}, asked for None; the same as args"):
        load_profile(str(path), made_up_profile.spec(), quantization=None)
    same = made_up_profile.spec(made_up_profile.MODEL, **{name: {"size": 4}})
    assert load_profile(str(path), same, quantization=None)


def test_the_stand_in_has_the_recorded_configuration(tmp_path: Path) -> None:
    content = made_up_profile.lines()
    content[0]["engine"]["arguments"] = {
        "kv_cache_dtype": "fp8",
        "limit_mm_per_prompt": {"image": 2},
        "gpu_memory_utilization": 0.5,
        "quantization": "fp8",
    }
    path = made_up_profile.write(tmp_path / "p.jsonl", content)
    executor = load_profile(str(path), made_up_profile.spec(), quantization=None).executor
    assert executor.kv_cache_bytes == KV_CACHE_BYTES
    assert not executor.async_scheduling
    assert executor.defaults == {
        "dtype": "float32",
        "max_model_len": 4096,
        "max_num_seqs": 8,
        "max_num_batched_tokens": 2048,
        "block_size": 32,
        "enable_prefix_caching": True,
        "kv_cache_dtype": "fp8",
        "limit_mm_per_prompt": {"image": 2},
    }


def test_a_kv_cache_of_another_size_may_be_asked_for(tmp_path: Path) -> None:
    path = made_up_profile.write(tmp_path / "p.jsonl")
    executor = load_profile(str(path), made_up_profile.spec(kv_cache_memory_bytes=2**20), quantization=None).executor
    assert executor.kv_cache_bytes == 2**20


def test_the_header_of_the_tests_is_one(tmp_path: Path) -> None:
    assert msgspec.convert(made_up_profile.header(VISION_MODEL), Header).model == VISION_MODEL
