"""Models made locally: files, tokens, reproducibility; nothing here needs vLLM or torch."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cosim.bridge.engine_messages import SyntheticModel
from cosim.inference.synthetic_model import make_model
from cosim.profile.synthetic_config import ARCHITECTURES
from cosim.words import WORDS

tokenizers = pytest.importorskip("tokenizers")
safetensors = pytest.importorskip("safetensors.numpy")


def spec(
    architecture: str = "qwen3", *, hidden_size: int = 128, seed: int = 0, vocabulary: int = 2048
) -> SyntheticModel:
    return SyntheticModel(architecture, hidden_size, 2, 64, 1, vocabulary, seed)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_model_s_files(cache: Path, architecture: str) -> None:
    folder = make_model(spec(architecture), cache=cache)
    config = json.loads((folder / "config.json").read_text())
    text = config.get("text_config", config)
    assert config["architectures"] == [ARCHITECTURES[architecture]]
    assert (text["num_attention_heads"], text["num_key_value_heads"], text["head_dim"]) == (2, 1, 64)
    assert (folder / "preprocessor_config.json").exists() == (architecture == "qwen2_5_vl")
    tensors = safetensors.load_file(folder / "model.safetensors")
    assert tensors["model.embed_tokens.weight"].shape == (2048, 128)
    assert any(name.startswith("visual.") for name in tensors) == (architecture == "qwen2_5_vl")


def test_words_are_single_tokens_when_joined_by_spaces(cache: Path) -> None:
    for vocabulary in (1536, 2048, 8192):
        folder = make_model(spec(vocabulary=vocabulary), cache=cache)
        tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        assert tokenizer.get_vocab_size() == vocabulary
        for n_words in (1, 2, len(WORDS)):
            text = " ".join(WORDS[-n_words:])
            assert len(tokenizer.encode(text).ids) == n_words
            assert tokenizer.decode(tokenizer.encode(text).ids) == text
        assert len(tokenizer.encode("<|vision_end|>" + " ".join(WORDS)).ids) == len(WORDS) + 1


def test_every_id_has_a_token_and_any_text_has_ids(cache: Path) -> None:
    folder = make_model(spec(), cache=cache)
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    assert all(tokenizer.id_to_token(index) is not None for index in range(2048))
    text = "naïve 東京 \U0001f600\n\tx = {'a': 1}"
    assert tokenizer.decode(tokenizer.encode(text).ids) == text


def test_weights_follow_from_the_seed(tmp_path: Path) -> None:
    first, again = (make_model(spec(), cache=tmp_path / name) for name in ("first", "again"))
    other = make_model(spec(seed=1), cache=tmp_path / "first")
    assert first != other
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        assert (first / name).read_bytes() == (again / name).read_bytes()
    assert (first / "model.safetensors").read_bytes() != (other / "model.safetensors").read_bytes()


def test_a_model_is_made_once_even_by_several_at_a_time(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        folders = set(pool.map(lambda _: make_model(spec(), cache=tmp_path), range(4)))
    assert [path.name for path in tmp_path.iterdir()] == [path.name for path in folders]
    made_ns = (folders.pop() / "config.json").stat().st_mtime_ns
    assert (make_model(spec(), cache=tmp_path) / "config.json").stat().st_mtime_ns == made_ns


@pytest.mark.parametrize(
    ("model", "key"),
    [
        (spec(hidden_size=192), "hidden_size: 192"),
        (SyntheticModel("qwen2_5_vl", 128, 2, 96, 1, 2048, 0), "vision_hidden_size: 96"),
        (SyntheticModel("llama", 128, 0, 64, 1, 2048, 0), "layers: 0"),
        (SyntheticModel("gpt2", 128, 2, 64, 1, 2048, 0), "architecture: 'gpt2'"),
        (spec(vocabulary=512), "vocabulary_size: too small by"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path: Path, model: SyntheticModel, key: str) -> None:
    with pytest.raises(ValueError, match=key):
        make_model(model, cache=tmp_path)
    assert not any(tmp_path.iterdir())
