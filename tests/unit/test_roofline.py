"""Rooflines: what a name gives, what a step takes, what is refused."""

from __future__ import annotations

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
