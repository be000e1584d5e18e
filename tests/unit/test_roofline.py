"""Rooflines: what a name gives, what a step takes, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cosim.bridge.engine_messages import ConfigModel, EngineSpec, HubModel, Signature, SyntheticModel
from cosim.profile.errors import ProfileError
from cosim.profile.models import read_config
from cosim.profile.roofline import Roofline, load_roofline

SLICE = "gh200-96gb/3g.48gb"


def spec(model: str = "qwen2.5-vl-3b", **args: Any) -> EngineSpec:
    name, text = read_config(model)
    return EngineSpec("edge", ConfigModel(name, text), model, args, False)


def roofline(hardware: str = SLICE, model: str = "qwen2.5-vl-3b", bits: str = "fp16", **args: Any) -> Roofline:
    return load_roofline(hardware, spec(model, **{"max_model_len": 8192, **args}), bits)


def decode(sequences: int, context: int) -> Signature:
    return Signature(0, sequences, sequences * context, 0, 0, decode_context_tokens=sequences * context)


def prefill(tokens: int) -> Signature:
    return Signature(tokens, 0, 0, 0, 0, prefill_sequences=1, prefill_attention=tokens * (tokens + 1) // 2)


def step_ns(profile: Roofline, signature: Signature) -> int:
    return profile.step(signature, 0.5).duration_ns


def test_a_charge_is_predicted_and_the_same_for_every_draw() -> None:
    profile = roofline()
    charges = {profile.step(decode(8, 500), draw) for draw in (0.0, 0.5, 0.999)}
    assert {charge.source for charge in charges} == {"predicted"}
    assert len(charges) == 1
    assert profile.label == "gh200-96gb/3g.48gb fp16"
    assert profile.frontend(prompt_tokens=400, encoder_tokens=300, images=1, draw=0.1).source == "predicted"
    assert profile.egress("first", 0.1).duration_ns >= profile.egress("next", 0.1).duration_ns > 0


def test_a_synthetic_model_has_a_shape_without_being_made() -> None:
    model = SyntheticModel("qwen2_5_vl", 256, 4, 128, 2, 2048, 0)
    profile = load_roofline(SLICE, EngineSpec("edge", model, "synthetic", {}, False), None)
    assert profile.describe()["parameters"]["vision"] > 0


def test_a_hub_name_that_is_not_here_says_how_to_name_its_shape() -> None:
    with pytest.raises(ProfileError, match="kind: config"):
        load_roofline(SLICE, EngineSpec("edge", HubModel("Qwen/Qwen3-8B"), "x", {}, False), None)


def test_the_engine_host_is_told_of_the_hardware() -> None:
    executor = roofline().executor
    assert executor.async_scheduling
    assert executor.defaults == {"max_num_seqs": 256, "max_num_batched_tokens": 2048, "block_size": 16}
    assert executor.kv_cache_bytes == roofline().describe()["memory_bytes"]["kv_cache"]
    assert not roofline(async_scheduling=False).executor.async_scheduling


def test_the_manifest_gets_every_constant_and_what_is_assumed() -> None:
    about = roofline(bits="awq").describe()
    assert (about["kind"], about["hardware"], about["quantization"]) == ("roofline", SLICE, "awq")
    assert about["constants"]["memory.bandwidth_gb_per_s"]["value"] == 4000
    assert all(len(constant["source"]) >= 8 for constant in about["constants"].values())
    assert "overheads.kernel_us" in about["assumptions"]
    assert "attainable.bandwidth" not in about["assumptions"]
    assert about["parameters"]["vision"] == 668_684_288
    assert json.loads(json.dumps(about)) == about


def test_a_checkpoint_says_its_own_format() -> None:
    name, text = read_config("qwen3-8b")
    config = {**json.loads(text), "quantization_config": {"quant_method": "awq", "bits": 4}}
    engine = EngineSpec("edge", ConfigModel(name, json.dumps(config)), name, {"max_model_len": 4096}, False)
    assert load_roofline("l40s", engine, None).label == "l40s awq"
    assert load_roofline("l40s", engine, "fp8").label == "l40s fp8"


def test_a_front_end_takes_longer_for_pixels_than_for_words() -> None:
    profile = roofline()
    words, pixels = (
        profile.frontend(prompt_tokens=1000, encoder_tokens=tokens, images=1, draw=0.5).duration_ns
        for tokens in (0, 1000)
    )
    assert words == 3_000_000 + 1000 * 3000
    assert pixels == 3_000_000 + 1000 * 20_000


def test_an_own_file_gives_its_name_and_no_path_to_the_results(tmp_path: Path) -> None:
    path = tmp_path / "gpu.yaml"
    path.write_text("name: Our card\nlike: l40s\nsms: 100\n")
    profile = load_roofline(str(path), spec(max_model_len=4096), None)
    assert profile.label == "Our card fp16"
    assert str(tmp_path) not in json.dumps(profile.describe())


def test_a_model_on_this_machine_is_read_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(read_config("qwen3-0.6b")[1])
    engine = EngineSpec("edge", HubModel(str(tmp_path)), "x", {"max_model_len": 4096}, False)
    assert load_roofline("l4", engine, None).describe()["parameters"]["embedding"] == 151_936 * 1024
    (tmp_path / "config.json").write_text("[1]")
    with pytest.raises(ProfileError, match="no JSON object"):
        load_roofline("l4", engine, None)
