"""Models by config.json in a real vLLM: with weights made up where steps are executed, with none where they are not."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from cosim.bridge.engine_messages import ConfigModel
from cosim.inference.vllm import EngineHost
from cosim.profile.models import read_config
from tests.live.test_vllm_images import words
from tests.live.vllm_host import Chat, count, engine, finish, frame, profiled, running_host, sizes, spec, start

pytestmark = pytest.mark.vllm


def small() -> ConfigModel:
    """A published configuration with smaller layers, so that a CPU can execute it."""
    sizes = {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 2}
    shape = json.loads(read_config("llama-3.2-1b")[1]) | sizes | {"num_key_value_heads": 1}
    return ConfigModel("small", json.dumps(shape))


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineHost]:
    published = ConfigModel(*read_config("qwen2.5-vl-3b"))
    engines = (
        spec("executed", small()),
        profiled("charged", small(), max_model_len=4096),
        profiled("eye", published, kv_cache_bytes=1 << 30, max_model_len=4096),
    )
    with running_host(tmp_path_factory.mktemp("host"), *engines) as running:
        yield running


def test_weights_are_made_up_and_prompts_are_the_same_tokens_without_any(host: EngineHost) -> None:
    chat = Chat("r", [words(50)], 6)
    executed, charged = engine(host, "executed"), engine(host, "charged")
    assert [start(executed, chat)[0].prompt_tokens] == [start(charged, chat)[0].prompt_tokens]
    answers = [finish(target, "r") for target in (executed, charged)]
    assert [count(steps, "r") for steps in answers] == [6, 6]
    # Whichever of 128,256 ids is sampled says something: without a text a chunk is smaller than that of any word.
    least, word = (min(sizes(steps, "r")[1:-1]) for steps in answers)
    assert least >= word
    resolved = host.wait_ready().resolved
    assert resolved["executed"]["parameters"] is None
    assert (resolved["executed"]["executor"], resolved["charged"]["executor"]) == ("uni", "profiled")


def test_a_published_vision_model_gets_as_many_tokens_of_an_image_as_its_processor_makes(host: EngineHost) -> None:
    target = engine(host, "eye")
    (rendered,) = start(target, Chat("r", [frame(1, 640, 480), words(20)], 4))
    # 28 x 28 pixels a token: 23 x 17.
    assert (rendered.images, rendered.encoder_tokens) == (1, 391)
    steps = finish(target, "r")
    assert count(steps, "r") == 4
