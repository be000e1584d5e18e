"""A Mooncake trace against vLLM's own prefix cache: equal hash ids are cached tokens, in the replica that saw them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lockstep import scenario

pytestmark = pytest.mark.vllm

KV_BLOCK_TOKENS = 16

# Requests take turns between two clients, and a client stays with its replica: 0 sees the even ones, 1 the odd ones.
TRACE = [
    {"timestamp": 0, "input_length": 592, "output_length": 2, "hash_ids": [0, 1]},
    {"timestamp": 0, "input_length": 592, "output_length": 2, "hash_ids": [0, 2]},
    {"timestamp": 2000, "input_length": 1500, "output_length": 2, "hash_ids": [0, 1, 3]},
    {"timestamp": 2000, "input_length": 1500, "output_length": 2, "hash_ids": [0, 1, 3]},
    {"timestamp": 4000, "input_length": 512, "output_length": 2, "hash_ids": [4]},
    {"timestamp": 4000, "input_length": 1024, "output_length": 2, "hash_ids": [0, 1]},
]
# Words that each request shares with an earlier one of its replica.
SHARED = [0, 0, 592, 512, 0, 1024]


def cosim(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cosim", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=dict(os.environ))


def requests(directory: Path) -> dict[str, dict[str, Any]]:
    found = map(json.loads, (directory / "requests.jsonl").read_text().splitlines())
    return {request["request_id"]: request for request in found}


def test_prefixes_of_a_trace_are_prefixes_in_vllm(tmp_path: Path) -> None:
    trace = tmp_path / "mooncake.jsonl"
    trace.write_text("".join(json.dumps(request) + "\n" for request in TRACE))
    model = {"kind": "synthetic", "architecture": "qwen3"}
    executor = {"kind": "profiled", "profile": "gh200-96gb/3g.48gb"}
    engine = {"kind": "vllm", "model": model, "executor": executor, "args": {"block_size": KV_BLOCK_TOKENS}}
    data = scenario(
        duration="10s",
        tiers={"edge": {"path": "edge", "engine": engine, "replicas": 2, "balancing": "session-affinity"}},
        clients=[{"name": "t", "kind": "trace", "tier": "edge", "file": "mooncake.jsonl", "count": 2}],
        validity={"min_requests": 1},
    )
    file = tmp_path / "scenario.yaml"
    file.write_text(yaml.safe_dump(data))
    done = cosim("run", file, "-o", tmp_path / "a")
    assert done.returncode == 0, done.stderr
    found = requests(tmp_path / "a")
    ordered = [found[f"t-{index % 2}-{index // 2:06d}"] for index in range(len(TRACE))]
    assert [request["engine"] for request in ordered] == ["edge/replica-0", "edge/replica-1"] * 3
    # What the chat template adds lies before the text and after it; no part of it fills a block of the KV cache.
    added = {request["prompt_tokens"] - row["input_length"] for request, row in zip(ordered, TRACE, strict=True)}
    assert len(added) == 1
    assert added < set(range(KV_BLOCK_TOKENS))
    assert [request["cached_tokens"] for request in ordered] == [
        shared // KV_BLOCK_TOKENS * KV_BLOCK_TOKENS for shared in SHARED
    ]
    trace.unlink()
    replay = cosim("replay", tmp_path / "a", "-o", tmp_path / "b")
    assert replay.returncode == 0, replay.stderr
    assert (tmp_path / "a/requests.jsonl").read_bytes() == (tmp_path / "b/requests.jsonl").read_bytes()
