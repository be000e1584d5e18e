"""Configurations of models by name and by path, and what is said of those that are none."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cosim.profile.models import ConfigError, known_models, read_config

# Number of parameters that each model's safetensors index gives on its hub page; tied embeddings count once.
PARAMETERS = {
    "llama-2-7b": 6_738_415_616,
    "llama-2-13b": 13_015_864_320,
    "llama-2-70b": 68_976_648_192,
    "llama-3.1-8b": 8_030_261_248,
    "llama-3.1-70b": 70_553_706_496,
    "llama-3.2-1b": 1_235_814_400,
    "llama-3.2-3b": 3_212_749_824,
    "qwen2.5-0.5b": 494_032_768,
    "qwen2.5-1.5b": 1_543_714_304,
    "qwen2.5-3b": 3_085_938_688,
    "qwen2.5-7b": 7_615_616_512,
    "qwen2.5-14b": 14_770_033_664,
    "qwen2.5-32b": 32_763_876_352,
    "qwen2.5-72b": 72_706_203_648,
    "qwen2.5-vl-3b": 3_754_622_976,
    "qwen2.5-vl-7b": 8_292_166_656,
    "qwen3-0.6b": 596_049_920,
    "qwen3-1.7b": 1_720_574_976,
    "qwen3-4b": 4_022_468_096,
    "qwen3-8b": 8_190_735_360,
    "qwen3-14b": 14_768_307_200,
    "qwen3-32b": 32_762_123_264,
}


def test_every_shipped_model_has_a_published_number_of_parameters() -> None:
    assert set(known_models()) == set(PARAMETERS)


COUNT = """
import json, sys
from cosim.inference import torchvision_shim
torchvision_shim.install()
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText
from cosim.profile.models import known_models, read_config
counted = {}
for name in known_models():
    shape = json.loads(read_config(name)[1])
    factory = AutoModelForImageTextToText if "vision_config" in shape else AutoModelForCausalLM
    with torch.device("meta"):
        model = factory.from_config(AutoConfig.for_model(**shape))
    assert type(model).__name__ == shape["architectures"][0], name
    counted[name] = sum(parameter.numel() for parameter in model.parameters())
print(json.dumps(counted))
"""


@pytest.mark.vllm
def test_transformers_makes_models_of_as_many_parameters_as_published() -> None:
    done = subprocess.run([sys.executable, "-c", COUNT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == PARAMETERS


def test_an_unknown_model_is_refused_with_the_known_ones_nearest_first() -> None:
    with pytest.raises(ConfigError) as refusal:
        read_config("Qwen3-8")
    assert refusal.value.what == "no model 'Qwen3-8' is shipped"
    assert refusal.value.allowed.startswith("allowed: qwen3-8b, ")
    assert all(name in refusal.value.allowed for name in known_models())


@pytest.fixture
def shape() -> dict[str, Any]:
    config: dict[str, Any] = json.loads(read_config("qwen3-0.6b")[1])
    return config


def test_a_file_is_read_by_path(tmp_path: Path, shape: dict[str, Any]) -> None:
    folder = tmp_path / "our-model"
    folder.mkdir()
    for file, name in ((folder / "config.json", "our-model"), (tmp_path / "small.json", "small")):
        file.write_text(json.dumps(shape))
        assert read_config(str(file)) == (name, json.dumps(shape))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none/config\.json: cannot be read: No such file or directory"):
        read_config(str(tmp_path / "none" / "config.json"))
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read_config(f"{tmp_path}/")
    (tmp_path / "binary.json").write_bytes(b"\xff\xfe{}")
    with pytest.raises(ConfigError, match=r"binary\.json: is not text"):
        read_config(str(tmp_path / "binary.json"))


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ('{\n "model_type": "qwen3",\n}', ":3", "is not JSON: "),
        ("[]", "", "is no JSON object"),
        ('{"a": 1}', "", "architectures: names no architecture"),
        ('{\n "architectures": "Qwen3"}', ":2", "architectures: names no architecture"),
    ],
)
def test_what_is_no_config_is_refused_at_its_line(tmp_path: Path, text: str, line: str, what: str) -> None:
    file = tmp_path / "config.json"
    file.write_text(text)
    with pytest.raises(ConfigError) as refusal:
        read_config(str(file))
    assert refusal.value.place == f"{file}{line}"
    assert refusal.value.what.startswith(what)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"hidden_size": None}, "hidden_size: None is no size"),
        ({"vocab_size": True}, "vocab_size: True is no size"),
        ({"vocab_size": 1535}, "vocab_size: 1535 is no size"),
        ({"num_hidden_layers": 0}, "num_hidden_layers: 0 is no size"),
        ({"intermediate_size": "3072"}, "intermediate_size: '3072' is no size"),
        ({"model_type": 3}, "model_type: is no text"),
        ({"text_config": []}, "text_config: is no JSON object"),
        ({"vision_config": 1}, "vision_config: is no JSON object"),
        ({"vision_config": {}}, "vision_config: the image processor of a qwen3 is not known here"),
        ({"model_type": "qwen2_5_vl", "vision_config": {"depth": 1}}, "vision_config.hidden_size: is missing"),
        ({"text_config": {"hidden_size": 64}}, "text_config.intermediate_size: is missing"),
    ],
)
def test_a_wrong_field_is_named(tmp_path: Path, shape: dict[str, Any], change: dict[str, Any], what: str) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({**shape, **change}, indent=1))
    with pytest.raises(ConfigError) as refusal:
        read_config(str(file))
    assert refusal.value.what == what
    assert refusal.value.place is not None
    line = int(refusal.value.place.removeprefix(f"{file}:"))
    key = what.partition(":")[0]
    shown = key.partition(".")[0] if what.endswith("is missing") else key
    assert f'"{shown}"' in file.read_text().splitlines()[line - 1]
