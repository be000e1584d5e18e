"""Requests with an image through the bridge to a real vLLM engine of a vision model with random weights."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cosim.inference.base import EngineRefusal
from cosim.inference.vllm import EngineHost
from tests.live.vllm_host import (
    Chat,
    count,
    engine,
    finish,
    frame,
    prefill,
    running_host,
    sizes,
    spec,
    start,
    text,
    vision_model,
)

pytestmark = pytest.mark.vllm


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineHost]:
    engines = (spec("eye", vision_model()), spec("two", vision_model(), limit_mm_per_prompt={"image": 2, "video": 0}))
    with running_host(tmp_path_factory.mktemp("host"), *engines) as running:
        yield running


def words(n_words: int) -> dict[str, object]:
    return {"type": "text", "text": text(n_words)}


def test_a_frame_from_prompt_to_last_token(host: EngineHost) -> None:
    target = engine(host, "eye")
    (rendered,) = start(target, Chat("r", [frame(1, 640, 480), words(20)], 4))
    steps = finish(target, "r")
    # Qwen2.5-VL: an image is resized to multiples of 28 pixels, each 28 x 28 one token: 23 x 17.
    assert (rendered.images, rendered.encoder_tokens) == (1, 391)
    assert steps[0].signature == prefill(rendered.prompt_tokens, encoder_tokens=391, images=1)
    assert [step.signature.images for step in steps] == [1, 0, 0, 0]
    assert count(steps, "r") == 4


def test_prompt_tokens_are_words_and_image_and_a_constant(host: EngineHost) -> None:
    target = engine(host, "eye")
    constants = set()
    for n_words, width in ((1, 320), (24, 640)):
        rendered = target.render(Chat("count", [frame(2, width), words(n_words)]))
        constants.add(rendered.prompt_tokens - rendered.encoder_tokens - n_words)
        target.abort("count")
        target.step(0)
    assert len(constants) == 1


def test_frames_that_differ_share_no_cache(host: EngineHost) -> None:
    target = engine(host, "eye")
    chats = [Chat(f"f{n}", [frame(10 + n), words(20)], 3) for n in range(3)]
    start(target, *chats)
    steps = finish(target, "f0", "f1", "f2")
    assert all(step.tokens[name].cached_tokens < 32 for step in steps[:1] for name in step.tokens)
    assert sum(step.signature.images for step in steps) == 3
    # The same frame and text again: the prefix cache holds them, and the encoder has nothing to do.
    start(target, Chat("same", chats[0].content, 3))
    steps = finish(target, "same")
    assert steps[0].tokens["same"].cached_tokens >= 96
    assert steps[0].signature.images == 0


def test_seeded_tokens_of_a_frame_are_reproducible(host: EngineHost) -> None:
    answers = []
    for name in ("eye", "two"):
        target = engine(host, name)
        start(target, Chat("r", [frame(20), words(10)], 20))
        answers.append(sizes(finish(target, "r"), "r"))
    assert answers[0] == answers[1]


def test_several_images_in_a_prompt(host: EngineHost) -> None:
    target = engine(host, "two")
    (rendered,) = start(target, Chat("pair", [frame(30), frame(31), words(5)], 2))
    steps = finish(target, "pair")
    assert rendered.images == 2
    assert sum(step.signature.images for step in steps) == 2
    with pytest.raises(EngineRefusal, match="image"):
        target.render(Chat("three", [frame(n) for n in range(3)]))


def test_an_image_that_is_none_is_refused(host: EngineHost) -> None:
    target = engine(host, "eye")
    broken: dict[str, object] = {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,QUJD"}}
    with pytest.raises(EngineRefusal, match="image"):
        target.render(Chat("broken", [broken, words(3)]))


def test_abort_of_a_rendered_frame(host: EngineHost) -> None:
    target = engine(host, "eye")
    target.render(Chat("gone", [frame(40), words(3)]))
    target.abort("gone")
    (rendered,) = start(target, Chat("kept", [frame(40), words(3)], 2))
    steps = finish(target, "kept")
    assert rendered.images == 1
    assert steps[0].signature.images == 1
    assert count(steps, "kept") == 2
