"""What `cosim profile` refuses before anything is started, and which engine it then starts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from cosim.bridge.engine_messages import ConfigModel, EnginesReady, HubModel, SyntheticModel
from cosim.profiling.command import profile
from cosim.profiling.header import make_header
from cosim.profiling.prompts import ImageSettings
from cosim.profiling.quantized_config import FORMATS, quantized
from cosim.profiling.target import Target, model_target, tier_target
from cosim.scenario.engines import Quantization
from cosim.scenario.errors import ScenarioError
from tests.lockstep import chat, scenario, stub

pytestmark = pytest.mark.vllm

CAMERA = {"name": "cam", "kind": "frames", "period": "1s"}
MODEL = {"kind": "synthetic", "architecture": "qwen2_5_vl"}


def write(folder: Path) -> Path:
    engine = {"kind": "vllm", "model": MODEL, "args": {"max_num_seqs": 3}}
    profiled = {**engine, "executor": {"kind": "profiled", "profile": "gh200-96gb"}}
    tiers = {"edge": {"engine": engine}, "other": {"engine": profiled}, "stub": {"engine": stub()}}
    picture = {"width": 320, "height": 240, "quality": 60, "detail": 0.2}
    clients = [chat("user", tier="edge"), CAMERA | {"tier": "other", "image": picture}, chat("more", tier="stub")]
    file = folder / "s.yaml"
    file.write_text(yaml.safe_dump(scenario(tiers=tiers, clients=clients), sort_keys=False))
    return file


def run(folder: Path, scenario: Path | None = None, **given: Any) -> None:
    options: dict[str, Any] = {"tier": None, "model": None, "synthetic": None, "hardware": "auto"}
    options |= {"quantization": None, "args": [], "repetitions": 10, "seed": 0, "output": folder / "p.jsonl"}
    profile(scenario, **{**options, **given}, say=lambda text: None)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "nothing to measure is given; one of SCENARIO"),
        ({"model": "x", "synthetic": "y"}, "--model and --synthetic given; one of"),
        ({"synthetic": "qwen2.5-vl-3"}, "--synthetic: no model 'qwen2.5-vl-3' is shipped; allowed: qwen2.5-vl-3b"),
        ({"model": "x", "hardware": "tpu"}, "--hardware: 'tpu' is none; allowed: auto, cpu, gpu, gpu:N"),
        ({"model": "x", "quantization": "int3"}, "--quantization: 'int3' is none; allowed: fp16, fp8"),
        ({"model": "x", "quantization": "awq"}, "give --model a checkpoint that is quantised so"),
        ({"model": "x", "args": ["max_num_seq=1"]}, "max_num_seq: is not an engine argument of vLLM; did you mean"),
        ({"model": "x", "args": ["8"]}, "--arg: '8' is no argument; NAME=VALUE"),
        ({"model": "x", "args": ["a=[1"]}, "the value is no YAML; NAME=VALUE"),
        ({"model": "x", "repetitions": 4}, "--repetitions: 4 is out of range; 5 to 1000"),
        ({"model": "x", "seed": -1}, "--seed: -1 is out of range; 0 to 2147483647"),
        ({"model": "x", "tier": "edge"}, "--tier: given without a scenario; beside --model leave it out"),
        ({"model": "x", "output": Path("p.json")}, "p.json is not the name of a profile; NAME.jsonl"),
        ({"model": "x", "output": Path("/nowhere/p.jsonl")}, "/nowhere is no directory to write to"),
    ],
)
def test_bad_arguments_are_told_with_what_is_allowed(given: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(ScenarioError) as refused:
        run(tmp_path, **given)
    assert said in str(refused.value)
    assert str(refused.value).startswith("cosim profile: ")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "--tier: is missing: the scenario has several; allowed: edge, other"),
        ({"tier": "stub"}, "--tier: no tier 'stub' with an engine of vLLM; allowed: edge, other"),
        ({"tier": "edge", "args": ["seed=1"]}, "--arg: the engine of a tier is as the scenario says"),
        ({"tier": "edge", "quantization": "fp8"}, "--quantization: the engine of a tier is as the scenario says"),
        ({"tier": "edge", "hardware": "cpu"}, "--hardware: given beside a scenario"),
        ({"tier": "edge", "model": "x"}, "SCENARIO and --model given"),
    ],
)
def test_bad_arguments_beside_a_scenario(given: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(ScenarioError) as refused:
        run(tmp_path, write(tmp_path), **given)
    assert said in str(refused.value)


def test_hardware_that_the_installed_vllm_does_not_run_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cosim.profiling.target.vllm_hardware", lambda: "cpu")
    with pytest.raises(ScenarioError, match="'gpu:1', but the CPU build of vLLM is installed; allowed: auto, cpu"):
        run(tmp_path, model="x", hardware="gpu:1")


def test_the_engine_of_a_tier_is_executed_whatever_the_scenario_says(tmp_path: Path) -> None:
    file = write(tmp_path)
    edge = tier_target(file, "edge", quantization=None, args=[])
    assert isinstance(edge.spec.model, SyntheticModel)
    assert edge.spec.args == {"max_num_seqs": 3}
    assert edge.images == ImageSettings()
    other = tier_target(file, "other", quantization=None, args=[])
    assert other.spec.executor is None
    assert other.images == ImageSettings(60, 0.2)


def model(**given: Any) -> Target:
    options: dict[str, Any] = {"model": None, "synthetic": None, "hardware": "auto", "quantization": None, "args": []}
    return model_target(**{**options, **given})


def test_an_engine_from_arguments() -> None:
    assert model(model="org/name", args=["max_num_seqs=4", "dtype=float32"]).spec.args == {
        "max_num_seqs": 4,
        "dtype": "float32",
    }
    online = model(model="org/name", quantization="fp8")
    assert (online.spec.args, online.spec.model) == ({"quantization": "fp8"}, HubModel("org/name"))
    assert model(model="org/name", quantization="fp16").spec.args == {"dtype": "float16"}


def test_a_format_of_a_published_model_goes_into_its_config_and_not_into_the_profiles_model() -> None:
    target = model(synthetic="qwen2.5-vl-3b", quantization="w8a8")
    assert isinstance(target.spec.model, ConfigModel)
    assert isinstance(target.model, ConfigModel)
    assert json.loads(target.spec.model.config)["quantization_config"]["format"] == "int-quantized"
    assert "quantization_config" not in json.loads(target.model.config)
    assert target.spec.model.name == target.model.name == "qwen2.5-vl-3b"


def test_every_format_of_a_scenario_can_be_recorded() -> None:
    assert set(FORMATS) == set(get_args(Quantization))
    config = json.dumps({"hidden_size": 8, "quantization_config": {"quant_method": "awq"}})
    assert json.loads(quantized(config, "fp16")) == {"hidden_size": 8}
    methods = {name: json.loads(quantized(config, name)).get("quantization_config") for name in FORMATS[1:]}
    assert {name: method["quant_method"] for name, method in methods.items()} == {
        "fp8": "compressed-tensors",
        "w8a8": "compressed-tensors",
        "awq": "awq",
        "w4a16": "compressed-tensors",
    }


@pytest.mark.parametrize(
    ("kernels", "word"),
    [
        ({"model.layers.*.mlp.down_proj": "CompressedTensorsW8A8Int8/CPUInt8ScaledMMLinearKernel"}, "w8a8"),
        ({"model.layers.*.mlp.down_proj": "CompressedTensorsW8A8Fp8/CutlassFP8ScaledMMLinearKernel"}, "fp8"),
        ({"model.layers.*.mlp.down_proj": "Fp8LinearMethod/CutlassFP8ScaledMMLinearKernel"}, "fp8"),
        ({"model.layers.*.mlp.down_proj": "CompressedTensorsWNA16/MarlinLinearKernel"}, "w4a16"),
        ({"model.layers.*.mlp.down_proj": "AutoAWQMarlinLinearMethod/MarlinLinearKernel"}, "awq"),
        ({"model.layers.*.mlp.down_proj": "SomethingElse"}, "other"),
    ],
)
def test_a_checkpoints_format_is_told_from_its_kernels(kernels: dict[str, str], word: str) -> None:
    target = model(model="org/name", hardware="cpu")
    resolved = {**RESOLVED, "quantization": "other", "kernels": kernels}
    ready = EnginesReady(1, {"vllm": "0.32.0", "torch": "2.13.0"}, {"engine": resolved})
    conditions: dict[str, float | None] = dict.fromkeys(("cpu_mhz", "gpu_mhz", "gpu_power_w"))
    header = make_header(target, ready, conditions=conditions, grids=[], recording=None)
    assert header.quantization == word
    assert header.label.endswith(f", {word}")
    assert header.kernels == kernels
    assert header.weights == "checkpoint"


RESOLVED: dict[str, Any] = {
    "dtype": "bfloat16",
    "max_model_len": 4096,
    "max_num_seqs": 8,
    "max_num_batched_tokens": 2048,
    "block_size": 16,
    "enable_prefix_caching": True,
    "enforce_eager": False,
    "cudagraph_mode": "NONE",
    "cudagraph_capture_sizes": [],
    "threads": 1,
    "async_scheduling": False,
    "kv_cache_bytes": 1 << 20,
}
