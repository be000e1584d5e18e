"""Prompts with images that engines without a forward pass keep between runs: the same as made anew, and bounded."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cosim.inference.base import EngineRefusal, RenderResult, StepResult
from cosim.inference.vllm import EngineHost
from tests.live.test_vllm_images import words
from tests.live.vllm_host import Chat, engine, finish, frame, profiled, running_host, spec, start, vision_model

pytestmark = pytest.mark.vllm


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


def environment(cache: Path) -> dict[str, str]:
    # vLLM's own cache, of what it knows of model classes, is the user's: to make it takes as long as these tests.
    usual = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return {"XDG_CACHE_HOME": str(cache), "VLLM_CACHE_ROOT": os.environ.get("VLLM_CACHE_ROOT", str(usual / "vllm"))}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Iterator[EngineHost]:
    engines = [profiled(name, vision_model()) for name in ("first", "second", "third")]
    engines += [profiled("two", vision_model(), limit_mm_per_prompt={"image": 2, "video": 0})]
    engines += [spec("executed", vision_model())]
    with running_host(tmp_path_factory.mktemp("host"), *engines, environment=environment(cache)) as running:
        yield running


@pytest.fixture
def kept(cache: Path) -> Path:
    """The folder of what is kept, empty."""
    folder = cache / "cosim" / "prompts"
    for path in folder.rglob("*/*"):
        path.unlink()
    return folder


def inodes(kept: Path) -> set[int]:
    """A file that was written anew is another one."""
    return {path.stat().st_ino for path in kept.rglob("*/*")}


def serve(host: EngineHost, name: str, *contents: Any, run: str) -> list[tuple[Any, ...]]:
    """All that an engine says of requests that come one after another, but for its wall clock."""
    target, seen = engine(host, name), []
    for index, content in enumerate(contents):
        request_id = f"{run}-{name}-{index}"
        (rendered,) = start(target, Chat(request_id, content, 4))
        seen.append((told(rendered), [said(step, request_id) for step in finish(target, request_id)]))
    return seen


def told(rendered: RenderResult) -> tuple[int, int, int]:
    return rendered.prompt_tokens, rendered.encoder_tokens, rendered.images


def said(step: StepResult, request_id: str) -> tuple[Any, ...]:
    got = step.tokens[request_id]
    return step.signature, got.count, got.n_bytes, got.finish_reason, got.cached_tokens, got.text


def test_a_kept_prompt_is_served_as_one_made_anew(host: EngineHost, kept: Path) -> None:
    contents = ([frame(1, 640, 480), words(20)], [frame(1, 640, 480), words(20)], [frame(2), words(5)])
    made = serve(host, "first", *contents, run="kept")
    before = inodes(kept)
    assert len(before) == 2
    assert serve(host, "second", *contents, run="kept") == made
    assert inodes(kept) == before
    # The second time the prefix is cached, whether the prompt was kept or made.
    assert [steps[0][4] > 0 for _, steps in made] == [False, True, False]


def test_an_engine_that_executes_makes_every_prompt(host: EngineHost, kept: Path) -> None:
    content = [frame(8, 640, 480), words(20)]
    (executed,) = serve(host, "executed", content, run="each")
    assert inodes(kept) == set()
    (profiled,) = serve(host, "first", content, run="each")
    assert executed[0] == profiled[0]


def test_a_damaged_entry_is_made_anew(host: EngineHost, kept: Path) -> None:
    content = [frame(3), words(8)]
    (made,) = serve(host, "first", content, run="damaged")
    (file,) = kept.rglob("*/*")
    whole = file.read_bytes()
    file.write_bytes(whole[:-5] + b"XXXXX")
    (again,) = serve(host, "second", content, run="damaged")
    assert again == made
    assert file.read_bytes() == whole


def test_each_image_text_and_limit_has_an_entry_of_its_own(host: EngineHost, kept: Path) -> None:
    contents = ([frame(4), words(8)], [frame(5), words(8)], [frame(4), words(9)], [words(8), frame(4)])
    serve(host, "third", *contents, run="own")
    assert len(inodes(kept)) == len(contents)
    serve(host, "two", contents[0], [frame(4), frame(5)], run="own")
    assert len(inodes(kept)) == len(contents) + 2


def test_what_is_refused_or_unusual_is_not_kept(host: EngineHost, kept: Path) -> None:
    target = engine(host, "third")
    damaged = {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,AAAA"}}
    texts = set()
    for request_id in ("bad-0", "bad-1"):
        with pytest.raises(EngineRefusal) as refusal:
            target.render(Chat(request_id, [damaged, words(3)]))
        texts.add(str(refusal.value))
    assert len(texts) == 1
    start(target, Chat("unusual", [frame(6), words(3)], fields={"chat_template_kwargs": {"a": 1}}))
    start(target, Chat("text", [words(3)]), Chat("plain", "good day"))
    finish(target, "unusual", "text", "plain")
    assert inodes(kept) == set()


def test_another_run_finds_what_was_kept(host: EngineHost, kept: Path, cache: Path, tmp_path: Path) -> None:
    content = [frame(7), words(8)]
    made = serve(host, "third", content, run="one")
    before = inodes(kept)
    with running_host(tmp_path, profiled("third", vision_model()), environment=environment(cache)) as other:
        assert serve(other, "third", content, run="two") == made
    assert inodes(kept) == before != set()
