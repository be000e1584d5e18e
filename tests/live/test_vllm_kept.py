"""Runs of profiled engines whose hosts a kept process forks: the same bytes as with hosts of their own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cosim.bridge.child import Child, Runtime
from cosim.inference.vllm import EngineHost
from cosim.kept_children import KeptChildren
from tests.kept_runs import InterruptedProgress, Worker, forget_pytest
from tests.live.vllm_host import profiled, spec
from tests.lockstep import scenario

pytestmark = pytest.mark.vllm


def engine(**arguments: Any) -> dict[str, Any]:
    model = {"kind": "config", "config": "qwen2.5-vl-3b"}
    executor = {"kind": "profiled", "profile": "l4"}
    return {"kind": "vllm", "model": model, "executor": executor, "args": {"max_model_len": 8192, **arguments}}


def pictures_and_dialogues() -> dict[str, Any]:
    """Prefix cache and caches of pictures are filled and hit; a second engine takes few requests at a time."""
    frames = {"name": "cam", "kind": "frames", "tier": "edge", "period": "100ms", "output_tokens": 4}
    talk = {"name": "talk", "kind": "dialogue", "tier": "cloud", "turns": 3, "think_time": "100ms", "output_tokens": 20}
    clients = [{**frames, "count": 2, "image": {"width": 160, "height": 120}}, {**talk, "count": 4}]
    tiers = {
        "edge": {"path": "edge", "engine": engine()},
        "cloud": {"path": "cloud", "engine": engine(max_num_seqs=2)},
    }
    return scenario(duration="1s", tiers=tiers, clients=clients)


def text_with_little_memory() -> dict[str, Any]:
    """Another model and configuration, under the same name."""
    model = {"kind": "synthetic", "architecture": "qwen3", "hidden_size": 128, "layers": 2}
    made = engine(max_num_batched_tokens=512, kv_cache_memory_bytes=1 << 24)
    tiers = {"edge": {"path": "edge", "engine": {**made, "model": model}}}
    users = {"name": "user", "kind": "chat", "tier": "edge", "prompt_tokens": 600, "output_tokens": 30, "count": 2}
    return scenario(duration="1s", tiers=tiers, clients=[{**users, "arrivals": {"kind": "poisson", "rate": "6/s"}}])


@pytest.fixture(scope="module")
def kept() -> Iterator[KeptChildren]:
    kept = KeptChildren()
    yield kept
    kept.close()


def test_engines_of_a_kept_process_are_as_new(kept: KeptChildren, tmp_path: Path) -> None:
    fresh, worker = (Worker(tmp_path / name, children) for name, children in (("fresh", None), ("kept", kept)))
    for each in (fresh, worker):
        each.folder.mkdir()
    a, b = fresh.run("a", pictures_and_dialogues()), fresh.run("b", text_with_little_memory(), seed=2)
    assert b'"cached_tokens":{' in a["steps.jsonl"].replace(b'"cached_tokens":{}', b"")
    assert worker.run("1", pictures_and_dialogues()) == a
    assert worker.run("2", text_with_little_memory(), seed=2) == b
    with pytest.raises(KeyboardInterrupt):
        worker.run("3", pictures_and_dialogues(), progress=InterruptedProgress())
    assert worker.run("4", pictures_and_dialogues()) == a


def test_what_executes_steps_is_started_by_itself(kept: KeptChildren, tmp_path: Path) -> None:
    forget_pytest()
    runtime = Runtime()
    engines = {"executed": [profiled("a"), spec("b")], "profiled": [profiled("a")]}
    try:
        for name, specs in engines.items():
            log = tmp_path / f"{name}.log"
            child = EngineHost("cpu", specs, seed=1, runtime=runtime, log=log, kept=kept).child
            assert isinstance(child, Child)
            parent = int(Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()[1])
            assert (parent == os.getpid()) == (name == "executed")
            child.stop(politely=False)
    finally:
        runtime.close()
