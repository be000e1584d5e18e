"""What the scheduler does to requests: chunks, batches, queues, aborts, preemption, caches."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest

from cosim.inference.vllm import EngineHost
from tests.live.vllm_host import (
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

# KV cache of text_model() in blocks of 32 tokens: 2 (key, value) x 2 layers x 1 head x 64 x 4 bytes a token.
BLOCK_BYTES = 32 * 2 * 2 * 64 * 4


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineHost]:
    engines = (
        spec("plain"),
        spec("other", text_model(seed=1)),
        spec("chunked", max_num_batched_tokens=64),
        spec("one", max_num_seqs=1),
        spec("small", max_model_len=256, kv_cache_memory_bytes=12 * BLOCK_BYTES),
    )
    with running_host(tmp_path_factory.mktemp("host"), *engines) as running:
        yield running


def test_a_long_prompt_is_prefilled_in_chunks(host: EngineHost) -> None:
    target = engine(host, "chunked")
    (rendered,) = start(target, Chat("r", text(140), 2))
    steps = finish(target, "r")
    rest = rendered.prompt_tokens - 128
    assert [(step.signature, "r" in step.tokens) for step in steps] == [
        (prefill(64), False),
        (prefill(64, 64), False),
        (prefill(rest, 128), True),
        (decode(rendered.prompt_tokens), True),
    ]


def test_a_decode_rides_with_the_chunks_of_another(host: EngineHost) -> None:
    target = engine(host, "chunked")
    start(target, Chat("first", text(5), 6))
    target.step(0)
    start(target, Chat("second", text(100, first=150), 2))
    step = target.step(0)
    assert step.signature.decode_sequences == 1
    assert step.signature.prefill_tokens == 63
    assert set(step.tokens) == {"first"}
    finish(target, "first", "second")


def test_seeded_tokens_do_not_depend_on_the_batch_or_the_chunks(host: EngineHost) -> None:
    target = engine(host, "plain")
    chats = [Chat(f"alone-{n}", text(90 + n, first=n), 30, {"seed": n}) for n in range(3)]
    alone = []
    for chat in chats:
        start(target, chat)
        alone.append(sizes(finish(target, chat.request_id), chat.request_id))
    together = [Chat(f"batch-{n}", chat.content, 30, chat.fields) for n, chat in enumerate(chats)]
    for name in ("plain", "chunked"):
        target = engine(host, name)
        start(target, *together)
        steps = finish(target, *(chat.request_id for chat in together))
        assert [sizes(steps, chat.request_id) for chat in together] == alone
    assert len({tuple(one) for one in alone}) == 3
    assert len(set(alone[0])) > 5


def test_another_seed_of_the_model_is_another_model(host: EngineHost) -> None:
    answers = []
    for name in ("plain", "other"):
        target = engine(host, name)
        start(target, Chat("same", text(40), 40))
        answers.append(sizes(finish(target, "same"), "same"))
    assert answers[0] != answers[1]


def test_two_engines_take_turns(host: EngineHost) -> None:
    first, second = engine(host, "plain"), engine(host, "other")
    alone = []
    for target, seed in ((first, 1), (second, 2)):
        start(target, Chat("solo", text(30), 10, {"seed": seed}))
        alone.append(sizes(finish(target, "solo"), "solo"))
    rendered = start(first, Chat("turn", text(30), 10, {"seed": 1}))
    rendered += start(second, Chat("turn", text(30), 10, {"seed": 2}))
    steps = []
    for _ in range(10):
        steps.append(first.step(0))
        steps.append(second.step(0))
    assert sizes(steps[::2], "turn") == alone[0]
    assert sizes(steps[1::2], "turn") == alone[1]
    spans = [(done.wall_start_ns or 0, done.wall_end_ns or 0) for done in rendered]
    spans += [(done.wall_start_ns or 0, done.wall_end_ns or 0) for done in steps]
    assert all(before[1] <= after[0] for before, after in pairwise(sorted(spans)))


def test_abort_of_a_rendered_request(host: EngineHost) -> None:
    target = engine(host, "plain")
    target.render(Chat("r", text(5)))
    target.abort("r")
    assert target.step(0).scheduled == {}
    # Its id is free again, also when it is aborted after `submit` and before the step.
    start(target, Chat("r", text(5)))
    target.abort("r")
    assert target.step(0).scheduled == {}


def test_abort_of_a_waiting_request(host: EngineHost) -> None:
    target = engine(host, "one")
    start(target, Chat("runs", text(5), 6), Chat("waits", text(5), 6))
    step = target.step(0)
    assert step.gauges["num_requests_waiting"] == 1
    target.abort("waits")
    steps = finish(target, "runs")
    assert steps[0].gauges["num_requests_waiting"] == 0
    assert count(steps, "waits") == 0


def test_abort_of_a_running_request(host: EngineHost) -> None:
    target = engine(host, "plain")
    start(target, Chat("stays", text(5), 6), Chat("goes", text(5), 50))
    assert set(target.step(0).tokens) == {"stays", "goes"}
    target.abort("goes")
    steps = finish(target, "stays")
    assert all(set(step.tokens) == {"stays"} for step in steps)
    assert steps[-1].gauges["kv_cache_usage_perc"] == 0
    target.abort("stays")
    target.step(0)


def test_a_stop_string_ends_a_request_in_the_core_too(host: EngineHost) -> None:
    target = engine(host, "plain")
    start(target, Chat("stop", text(5), 60, {"min_tokens": 0, "stop": ["e", "a", "t"]}))
    steps = finish(target, "stop")
    assert steps[-1].tokens["stop"].finish_reason == "stop"
    assert count(steps, "stop") < 60
    assert target.step(0).scheduled == {}


def test_preemption_when_the_kv_cache_is_full(host: EngineHost) -> None:
    target = engine(host, "small")
    before = target.step(0).gauges.get("num_preemptions", 0)
    names = [f"p{n}" for n in range(4)]
    start(target, *(Chat(name, text(40, first=n), 80) for n, name in enumerate(names)))
    steps = finish(target, *names)
    assert steps[-1].gauges["num_preemptions"] > before
    assert [count(steps, name) for name in names] == [80] * 4
    # A preempted request prefills again what it had, its own answer included.
    again = [step for step in steps if step.signature.prefill_tokens > 0]
    assert sum(step.signature.prefill_tokens for step in again) > 4 * 53


def test_a_repeated_prompt_is_read_from_the_prefix_cache(host: EngineHost) -> None:
    target = engine(host, "plain")
    cached = []
    for name in ("first", "again"):
        (rendered,) = start(target, Chat(name, text(200, first=77), 2))
        steps = finish(target, name)
        cached.append(steps[0].tokens[name].cached_tokens)
        assert steps[0].signature.prefill_tokens == rendered.prompt_tokens - cached[-1]
        assert steps[0].signature.context_tokens == cached[-1]
    assert cached[0] == 0
    assert cached[1] == 192
    assert steps[-1].gauges["prefix_cache_hits"] >= 192


def test_warm_up_leaves_nothing_behind(host: EngineHost) -> None:
    target = engine(host, "one")
    start(target, Chat("warm", text(100), 1))
    (step,) = finish(target, "warm")
    assert step.tokens["warm"].cached_tokens == 0


def test_time_scale_multiplies_every_duration(host: EngineHost) -> None:
    target = engine(host, "plain", time_scale=0.25)
    (rendered,) = start(target, Chat("scaled", text(5), 2))
    step = target.step(0)
    assert rendered.duration_ns == round(((rendered.wall_end_ns or 0) - (rendered.wall_start_ns or 0)) * 0.25)
    assert step.duration_ns == round(((step.wall_end_ns or 0) - (step.wall_start_ns or 0)) * 0.25)
    finish(target, "scaled")
    engine(host, "plain", time_scale=1e-12).step(0)
    assert engine(host, "plain", time_scale=1e-12).step(0).duration_ns == 1
