"""Engines without a forward pass: what vLLM schedules is what it schedules with one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cosim.bridge.engine_messages import EngineSpec, HubModel
from cosim.bridge.errors import ChildError
from cosim.inference.base import StepResult
from cosim.inference.synthetic_model import make_model
from cosim.inference.vllm import EngineHost
from cosim.words import WORDS
from tests.live.vllm_host import (
    Chat,
    count,
    engine,
    finish,
    frame,
    profiled,
    running_host,
    spec,
    start,
    text,
    text_model,
)
from tests.live.vllm_host import vision_model as vision

pytestmark = pytest.mark.vllm

# KV cache of text_model(): 2 (key, value) x 2 layers x 1 head x 64 x 4 bytes.
TOKEN_BYTES = 2 * 2 * 64 * 4
# One configuration for an engine of each kind: the CPU's attention has blocks of 32 tokens and works in float32.
SAME: dict[str, Any] = {
    "dtype": "float32",
    "block_size": 32,
    "max_model_len": 256,
    "max_num_seqs": 8,
    "max_num_batched_tokens": 64,
    "kv_cache_memory_bytes": 384 * TOKEN_BYTES,
}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineHost]:
    frames = {**SAME, "max_model_len": 1024, "max_num_batched_tokens": 512, "kv_cache_memory_bytes": 4096 * TOKEN_BYTES}
    sizes = {"small": 208 * TOKEN_BYTES, "large": 768 * TOKEN_BYTES}
    engines: list[EngineSpec] = [
        spec("executed", **SAME),
        profiled("profiled", **SAME),
        profiled("asynchronous", async_scheduling=True, **SAME),
        spec("executed frames", vision(), **frames),
        profiled("profiled frames", vision(), **frames),
        profiled("asynchronous frames", vision(), async_scheduling=True, **frames),
        profiled("without prefix cache", enable_prefix_caching=False, **SAME),
        profiled("asynchronous without prefix cache", async_scheduling=True, enable_prefix_caching=False, **SAME),
        profiled("defaults", vision(), async_scheduling=True),
        *(
            profiled(name, kv_cache_bytes=size, max_model_len=192, dtype="float32", max_num_seqs=16)
            for name, size in sizes.items()
        ),
    ]
    with running_host(tmp_path_factory.mktemp("host"), *engines) as running:
        yield running


def play(host: EngineHost, name: str, script: dict[int, list[Chat]]) -> list[StepResult]:
    """Submit requests before the steps that are named, and step until all have ended."""
    target = engine(host, name)
    steps: list[StepResult] = []
    left = {chat.request_id for chats in script.values() for chat in chats}
    while left:
        start(target, *script.get(len(steps), ()))
        steps.append(target.step(0))
        left -= {key for key, tokens in steps[-1].tokens.items() if tokens.finish_reason is not None}
        assert len(steps) < 1_000
    return steps


def outcomes(steps: list[StepResult]) -> dict[str, tuple[int, str | None, int]]:
    """Of each request: its tokens, why it ended, how many tokens of its prompt were cached."""
    found: dict[str, tuple[int, str | None, int]] = {}
    for step in steps:
        for key, tokens in step.tokens.items():
            before = found.get(key, (0, None, tokens.cached_tokens))
            found[key] = (before[0] + tokens.count, tokens.finish_reason, before[2])
    return found


def said(steps: list[StepResult], request_id: str) -> str:
    return "".join(step.tokens[request_id].text for step in steps if request_id in step.tokens)


def conversation() -> dict[int, list[Chat]]:
    """Prompts longer than a batch, one asked again, and more than the KV cache holds."""
    greedy: dict[str, object] = {"temperature": 0.0}
    return {
        0: [Chat("long", text(140), 40, greedy), Chat("short", text(5, first=3), 60, greedy)],
        3: [Chat("later", text(60, first=50), 70, greedy)],
        60: [Chat("again", text(140), 30, greedy), Chat("third", text(50, first=20), 90, greedy)],
    }


def test_batches_are_those_of_an_executed_engine_step_by_step(host: EngineHost) -> None:
    executed, imitated = (play(host, name, conversation()) for name in ("executed", "profiled"))
    assert [(step.scheduled, step.signature) for step in imitated] == [
        (step.scheduled, step.signature) for step in executed
    ]
    assert [step.gauges for step in imitated] == [step.gauges for step in executed]
    assert outcomes(imitated) == outcomes(executed)
    # The script has what it should tell apart.
    assert executed[-1].gauges["num_preemptions"] > 0
    assert outcomes(executed)["again"][2] == 128
    assert executed[0].signature.prefill_tokens == 64


def test_asynchronous_scheduling_changes_batches_and_not_outcomes(host: EngineHost) -> None:
    plain, steps = (play(host, name, conversation()) for name in ("profiled", "asynchronous"))
    assert outcomes(steps).keys() == outcomes(plain).keys()
    for key, (tokens, reason, _) in outcomes(plain).items():
        assert outcomes(steps)[key][:2] == (tokens, reason)
        assert said(steps, key) == said(plain, key)
    assert [step.scheduled for step in steps] != [step.scheduled for step in plain]
    assert steps[-1].gauges["num_preemptions"] > 0
    # One batch a step: what is in it is what was computed in it.
    for step in steps:
        assert step.scheduled
        tokens = step.signature.prefill_tokens + step.signature.decode_sequences
        assert tokens == sum(step.scheduled.values())
        assert set(step.tokens) <= set(step.scheduled)
    assert engine(host, "asynchronous").step(0).scheduled == {}


def test_frames_take_encoder_and_prompt_tokens_as_in_an_executed_engine(host: EngineHost) -> None:
    def script() -> dict[int, list[Chat]]:
        words = {"type": "text", "text": text(20)}
        one, other = frame(1), frame(2)
        return {
            0: [Chat("one", [one, words], 6), Chat("text", text(30, first=7), 12)],
            1: [Chat("two", [other, one, words], 6)],
            12: [Chat("again", [one, words], 6)],
        }

    executed, imitated = (play(host, f"{name} frames", script()) for name in ("executed", "profiled"))
    assert [(step.scheduled, step.signature) for step in imitated] == [
        (step.scheduled, step.signature) for step in executed
    ]
    assert outcomes(imitated) == outcomes(executed)
    assert sum(step.signature.images for step in executed) >= 2
    assert outcomes(play(host, "asynchronous frames", script())) == outcomes(executed)


@pytest.mark.parametrize("name", ["profiled", "asynchronous"])
def test_every_token_is_a_word_and_a_chunk_that_follows_from_prompt_and_seed(host: EngineHost, name: str) -> None:
    script = {0: [Chat("one", text(30), 60), Chat("seeded", text(30), 60, {"seed": 2}), Chat("other", text(31), 60)]}
    steps = play(host, name, script)
    assert all(tokens.count == 1 and tokens.n_bytes > 0 for step in steps for tokens in step.tokens.values())
    answers = [said(steps, key).split(" ")[1:] for key in ("one", "seeded", "other")]
    assert all(len(answer) == 60 and set(answer) <= set(WORDS) for answer in answers)
    assert len({*map(tuple, answers)}) == 3
    again = play(host, name, {0: [Chat("again", text(30), 60)]})
    assert said(again, "again") == said(steps, "one")


@pytest.mark.parametrize("name", ["without prefix cache", "asynchronous without prefix cache"])
def test_a_preempted_answer_goes_on_where_it_was(host: EngineHost, name: str) -> None:
    """Two of 18 + 200 tokens in a cache of 384: the later one is prefilled again, its answer so far in chunks of 63."""
    chats = [Chat(f"r{n}", text(5, first=n), 200) for n in range(2)]
    steps = play(host, name, {0: chats})
    assert steps[-1].gauges["num_preemptions"] == 1
    again = [step for step in steps[1:] if step.signature.prefill_sequences]
    assert len(again) > 2
    assert sum(step.signature.prefill_tokens for step in again) > 2 * 63
    assert sum("r1" in step.tokens for step in again) == 1
    for chat in chats:
        alone = play(host, "profiled", {0: [Chat(f"alone {chat.request_id}", chat.content, 200)]})
        assert said(steps, chat.request_id) == said(alone, f"alone {chat.request_id}")


def test_an_answer_ends_by_its_length_or_by_a_stop_string(host: EngineHost) -> None:
    target = engine(host, "profiled")
    start(target, Chat("stop", text(5), 60, {"stop": ["e", "a", "t"], "min_tokens": 0}), Chat("length", text(5), 3))
    steps = finish(target, "stop", "length")
    assert outcomes(steps)["stop"][1] == "stop"
    assert outcomes(steps)["length"] == (3, "length", 0)
    assert count(steps, "stop") < 60


def test_a_smaller_kv_cache_preempts_earlier_and_more(host: EngineHost) -> None:
    """Eight requests of 13 + 40 + 100 tokens, 10 blocks each at their end."""
    first, most = {}, {}
    for name in ("small", "large"):
        steps = play(host, name, {0: [Chat(f"r{n}", text(40, first=9 * n), 100) for n in range(8)]})
        counts = [step.gauges["num_preemptions"] for step in steps]
        first[name] = next(index for index, value in enumerate(counts) if value)
        most[name] = counts[-1]
        assert max(step.gauges["kv_cache_usage_perc"] for step in steps) > 0.9
        assert max(step.gauges["num_requests_waiting"] for step in steps) >= (4 if name == "small" else 1)
        assert outcomes(steps) == {f"r{n}": (100, "length", outcomes(steps)[f"r{n}"][2]) for n in range(8)}
    assert first["small"] < first["large"]
    assert most["small"] > most["large"] > 0


def test_the_configuration_is_a_gpu_server_s_and_not_the_cpu_build_s(host: EngineHost) -> None:
    resolved = host.wait_ready().resolved
    made = resolved["defaults"]
    expected = {
        "dtype": "bfloat16",
        "quantization": None,
        "max_model_len": 32768,
        "enforce_eager": False,
        # 64 MiB in blocks of 16 tokens of 512 bytes: bfloat16, 2 layers.
        "num_gpu_blocks": 8192,
        "block_size": 16,
        "enable_prefix_caching": True,
        "max_num_seqs": 64,
        "max_num_batched_tokens": 2048,
        "async_scheduling": True,
        "executor": "profiled",
    }
    assert {key: made[key] for key in expected} == expected
    assert resolved["profiled"]["num_gpu_blocks"] == resolved["executed"]["num_gpu_blocks"] == 12
    assert resolved["profiled"]["async_scheduling"] is False
    assert resolved["executed"]["executor"] != "profiled"


def changed_model(directory: Path, **changes: object) -> HubModel:
    """A copy of text_model() with another config."""
    folder = directory / "model"
    shutil.copytree(make_model(text_model()), folder)
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    return HubModel(str(folder))


def test_what_the_cpu_build_would_do_is_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no kernel for the checkpoint's quantisation, and takes this variable (GiB) for every KV cache."""
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
    awq = {"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True}
    with running_host(tmp_path, profiled("awq", changed_model(tmp_path, quantization_config=awq))) as host:
        made = host.wait_ready().resolved["awq"]
        assert (made["quantization"], made["num_gpu_blocks"]) == (None, 8192)


def test_a_model_of_other_attention_is_refused_by_what_it_has(tmp_path: Path) -> None:
    window: dict[str, object] = {
        "use_sliding_window": True,
        "sliding_window": 64,
        "max_window_layers": 1,
        "layer_types": None,
    }
    refusal = r"(?s)engine window: ValueError: .* has layers of sliding_attention; a profiled engine keeps"
    with (
        pytest.raises(ChildError, match=refusal),
        running_host(tmp_path, profiled("window", changed_model(tmp_path, **window))),
    ):
        pass
