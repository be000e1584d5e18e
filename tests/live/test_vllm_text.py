"""Requests of text through the bridge to real vLLM engines with random weights."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from cosim.bridge.engine_messages import HubModel
from cosim.inference.base import EngineRefusal
from cosim.inference.synthetic_model import make_model
from cosim.inference.vllm import EngineHost
from cosim.wire import answer_bytes
from cosim.words import WORDS
from tests.live.vllm_host import (
    MODEL,
    Chat,
    count,
    decode,
    engine,
    finish,
    prefill,
    running_host,
    sizes,
    spec,
    start,
    text,
    text_model,
)

pytestmark = pytest.mark.vllm


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineHost]:
    engines = (
        spec("plain"),
        spec("other", text_model(seed=1)),
        spec("folder", HubModel(str(make_model(text_model())))),
        # 36 blocks: one request of 1024 tokens fits, eight of 200 do not.
        spec("small", max_model_len=1024, kv_cache_memory_bytes=36 * 32 * 1024),
    )
    with running_host(tmp_path_factory.mktemp("host"), *engines) as running:
        yield running


def test_resolved_configuration(host: EngineHost) -> None:
    ready = host.wait_ready()
    resolved = ready.resolved["small"]
    assert set(ready.resolved) == {"plain", "other", "folder", "small"}
    assert ready.versions["vllm"].startswith("0.32")
    assert resolved["max_model_len"] == 1024
    assert resolved["num_gpu_blocks"] == 36
    assert resolved["dtype"] == "float32"
    assert resolved["async_scheduling"] is False
    assert "/" not in str(resolved["model"])


def test_a_request_from_prompt_to_last_token(host: EngineHost) -> None:
    target = engine(host, "plain")
    (rendered,) = start(target, Chat("r", text(20), output_tokens=5))
    steps = finish(target, "r")
    assert rendered.duration_ns == (rendered.wall_end_ns or 0) - (rendered.wall_start_ns or 0)
    assert [step.signature for step in steps] == [
        prefill(rendered.prompt_tokens),
        *(decode(rendered.prompt_tokens + done) for done in range(4)),
    ]
    assert [step.scheduled for step in steps] == [{"r": rendered.prompt_tokens}, *[{"r": 1}] * 4]
    assert [step.tokens["r"].finish_reason for step in steps] == [None] * 4 + ["length"]
    assert steps[0].gauges["num_requests_running"] == 1
    assert steps[-1].gauges["num_requests_running"] == 0
    assert all(step.duration_ns > 0 and step.tokens["r"].egress_ns > 0 for step in steps)


def test_a_model_given_as_a_folder(host: EngineHost) -> None:
    answers = []
    for name in ("plain", "folder"):
        target = engine(host, name)
        start(target, Chat("folder", text(30), 10))
        answers.append(sizes(finish(target, "folder"), "folder"))
    assert answers[0] == answers[1]


def test_a_text_of_n_words_is_n_tokens_and_a_constant(host: EngineHost) -> None:
    target = engine(host, "plain")
    texts = {1: WORDS[5], 10: text(10), len(WORDS): text(len(WORDS))}
    constants = set()
    for n_words, content in texts.items():
        constants.add(target.render(Chat(f"words-{n_words}", content)).prompt_tokens - n_words)
        target.abort(f"words-{n_words}")
    assert len(constants) == 1
    target.step(0)


@pytest.mark.parametrize("output_tokens", [1, 2, 33])
def test_output_tokens_are_exact(host: EngineHost, output_tokens: int) -> None:
    target = engine(host, "plain")
    start(target, Chat("exact", text(5), output_tokens))
    assert count(finish(target, "exact"), "exact") == output_tokens


def test_wire_bytes_are_the_framing_of_the_server_s_events(host: EngineHost) -> None:
    """With one token allowed the text is known; id, time stamp and fingerprint have known lengths."""
    target = engine(host, "plain")
    word = WORDS[7]
    vocabulary = json.loads((make_model(text_model()) / "tokenizer.json").read_text())["model"]["vocab"]
    start(target, Chat("frame", text(3), 3, {"allowed_token_ids": [vocabulary[word]]}))
    steps = finish(target, "frame")

    def event(delta: str, end: str = "", tail: str = "") -> bytes:
        head = f'"id":"chatcmpl-{"0" * 16}","object":"chat.completion.chunk","created":{"0" * 10},"model":"{MODEL}"'
        choice = f'{{"index":0,"delta":{{{delta}}},"logprobs":null,{end or """"finish_reason":null"""}'
        return f'data: {{{head},"choices":[{choice}{tail}\n\n'.encode()

    role = event('"role":"assistant","content":""', tail='}],"prompt_token_ids":null,"prompt_text":null}')
    token = event(f'"content":"{word}"', tail=',"token_ids":null}]}')
    last = event(
        f'"content":"{word}"',
        '"finish_reason":"length","stop_reason":null',
        f',"token_ids":null}}],"system_fingerprint":"vllm-0.32.0-{"0" * 8}"}}',
    )
    assert sizes(steps, "frame") == [
        answer_bytes(role, first=True, last=False, tls=True) + answer_bytes(token, first=False, last=False, tls=True),
        answer_bytes(token, first=False, last=False, tls=True),
        answer_bytes(last, first=False, last=True, tls=True),
    ]


def test_refusals_are_answers(host: EngineHost) -> None:
    target = engine(host, "small")
    with pytest.raises(EngineRefusal, match="maximum context length is 1024"):
        target.render(Chat("long", text(1500)))
    with pytest.raises(EngineRefusal, match="max_tokens"):
        target.render(Chat("typed", text(3), fields={"max_tokens": "many"}))
    with pytest.raises(EngineRefusal, match="does not exist"):
        target.render(Chat("model", text(3), fields={"model": "another"}))
    with pytest.raises(EngineRefusal, match="stream"):
        target.render(Chat("whole", text(3), fields={"stream": False}))
    start(target, Chat("after", text(3), 1))
    assert count(finish(target, "after"), "after") == 1
