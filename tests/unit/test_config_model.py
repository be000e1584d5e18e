"""Models by config.json: in a scenario, in the message to an engine host, and as a folder for vLLM."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from cosim.bridge import engine_messages as messages
from cosim.engine_plan import engine_plans, engine_spec
from cosim.inference import config_model
from cosim.profile.models import read_config
from cosim.requirements import check_names
from cosim.scenario.errors import ScenarioError
from cosim.scenario.load import Loaded, load
from cosim.words import WORDS
from tests.lockstep import chat, scenario

tokenizers = pytest.importorskip("tokenizers")


def loaded(folder: Path, config: str) -> Loaded:
    engine = {"kind": "vllm", "model": {"kind": "config", "config": config}}
    file = folder / "scenario.yaml"
    file.write_text(yaml.safe_dump(scenario(tiers={"edge": {"path": "edge", "engine": engine}}, clients=[chat("u")])))
    return load(file, environment={})


def spec_of(folder: Path, config: str) -> messages.EngineSpec:
    return engine_spec(engine_plans(loaded(folder, config).scenario)[0], tls=False)


def test_an_engine_host_is_told_the_config_itself(tmp_path: Path) -> None:
    shipped = spec_of(tmp_path, "qwen3-0.6b")
    assert shipped.model == messages.ConfigModel("qwen3-0.6b", read_config("qwen3-0.6b")[1])
    assert shipped.served_model_name == "qwen3-0.6b"


def test_a_path_is_relative_to_the_scenario(tmp_path: Path) -> None:
    text = read_config("qwen3-0.6b")[1]
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours" / "config.json").write_text(text)
    spec = spec_of(tmp_path, "ours/config.json")
    assert (spec.model, spec.served_model_name) == (messages.ConfigModel("ours", text), "ours")


def test_validation_names_the_line_of_a_model_that_is_not_shipped(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError) as refusal:
        check_names(loaded(tmp_path, "qwen3-8"))
    [problem] = refusal.value.problems
    assert problem.line is not None
    line = (tmp_path / "scenario.yaml").read_text().splitlines()[problem.line - 1]
    assert line.strip() == "config: qwen3-8"
    assert "no model 'qwen3-8' is shipped; allowed: qwen3-8b, " in str(refusal.value)


def test_validation_names_what_is_wrong_with_a_file(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text('{\n "model_type": \n}')
    with pytest.raises(ScenarioError) as refusal:
        check_names(loaded(tmp_path, str(file)))
    assert f"tiers.edge.engine.model.config: {file}:3: is not JSON: Expecting value" in str(refusal.value)


def folder_of(tmp_path: Path, name: str, *, executed: bool = True, **changes: Any) -> Path:
    config = json.loads(read_config(name)[1]) | changes
    return config_model.make_model(messages.ConfigModel(name, json.dumps(config)), executed=executed, cache=tmp_path)


def test_a_folder_has_the_shape_our_tokens_and_no_weights(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "qwen2.5-vl-3b")
    published = json.loads(read_config("qwen2.5-vl-3b")[1])
    config = json.loads((folder / "config.json").read_text())
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    ids = {key for key in config if key.endswith("_token_id")}
    assert {key: value for key, value in config.items() if key not in ids} == {
        key: value for key, value in published.items() if key not in ids
    }
    assert config["image_token_id"] == tokenizer.token_to_id("<|image_pad|>")
    assert config["eos_token_id"] == tokenizer.token_to_id("<|im_end|>")
    assert config["bos_token_id"] is None
    assert not list(folder.glob("*.safetensors"))
    assert json.loads((folder / "preprocessor_config.json").read_text())["size"]["longest_edge"] == 12_845_056


def test_every_id_of_a_published_vocabulary_has_a_token_of_a_few_letters(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, "qwen3-0.6b")
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert tokenizer.get_vocab_size() == 151_936
    assert all(tokenizer.id_to_token(index) is not None for index in range(151_936))
    for text in (" ".join(WORDS), "naïve 東京 aaaa aaab\n"):
        assert tokenizer.decode(tokenizer.encode(text).ids) == text
    assert len(tokenizer.encode(" ".join(WORDS)).ids) == len(WORDS)
    rare = tokenizer.decode(list(range(140_000, 141_000)))
    assert 4 <= len(rare) / 1000 <= 7
    assert len(set(rare.split())) == 1000


def test_a_profiled_engine_reads_texts_as_an_executed_one_does(tmp_path: Path) -> None:
    executed, profiled = (
        tokenizers.Tokenizer.from_file(str(folder_of(tmp_path, "qwen3-0.6b", executed=executed) / "tokenizer.json"))
        for executed in (True, False)
    )
    assert profiled.get_vocab_size() < executed.get_vocab_size()
    for text in (" ".join(WORDS), "<|im_start|>user\nnaïve 東京<|im_end|>\n<|im_start|>assistant\n"):
        assert profiled.encode(text).ids == executed.encode(text).ids


def test_a_folder_is_made_once_for_each_config(tmp_path: Path) -> None:
    first, again = folder_of(tmp_path, "llama-3.2-1b"), folder_of(tmp_path, "llama-3.2-1b")
    other = folder_of(tmp_path, "llama-3.2-1b", num_hidden_layers=8)
    assert first == again != other
