"""Dialogues with vLLM's own prefix cache: later turns are prefilled from where it ends, a session that moves from 0."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.vllm

BLOCK = 32
OUTPUT_TOKENS = 40
MODEL = {"kind": "synthetic", "architecture": "qwen3"}
PROFILED = {"kind": "profiled", "profile": "h100-sxm-80gb"}


def engine(**values: Any) -> dict[str, Any]:
    return {"kind": "vllm", "model": MODEL, "args": {"kv_cache_memory_bytes": 2**25, "block_size": BLOCK}, **values}


def profiled() -> dict[str, Any]:
    return engine(executor=PROFILED, args={"block_size": BLOCK})


def talker(name: str, tiers: tuple[str, str], **values: Any) -> dict[str, Any]:
    """Sessions of four turns, of which the last two are served elsewhere."""
    return {
        "name": name,
        "kind": "dialogue",
        "tier": tiers[0],
        "moves": [{"turn": 3, "tier": tiers[1]}],
        "turns": 4,
        "sessions": 2,
        "think_time": "200ms",
        "prompt_tokens": 50,
        "output_tokens": OUTPUT_TOKENS,
        **values,
    }


SCENARIO = {
    "schema_version": 1,
    "duration": "1min",
    "network": {
        "kind": "pipe",
        "access": {"kind": "link", "uplink": {"rate": "60Mbit/s", "delay": "8ms"}, "downlink": {"delay": "4ms"}},
        "paths": {"edge": {}, "cloud": {"delay": "20ms"}},
    },
    "tiers": {
        "edge": {"path": "edge", "engine": engine()},
        "cloud": {"path": "cloud", "engine": engine()},
        "near": {"path": "edge", "engine": profiled()},
        "far": {"path": "cloud", "engine": profiled()},
    },
    "clients": [
        talker("user", ("edge", "cloud"), count=2),
        talker("guest", ("near", "far"), count=2),
        talker("staff", ("near", "near"), system_tokens=100, sessions=1, count=2, join="20s", join_every="10s"),
    ],
    # What else runs on the test machine is no matter of these tests.
    "validity": {
        "min_requests": 1,
        "max_cpu_wait_share": "100%",
        "max_other_load": "100%",
        "max_step_drift": "1000000%",
    },
}


def cosim(*arguments: str | Path) -> None:
    command = [sys.executable, "-m", "cosim", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dialogue")
    file = folder / "dialogue.yaml"
    file.write_text(yaml.safe_dump(SCENARIO))
    cosim("run", file, "-o", folder / "run")
    return folder / "run"


def lines(directory: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory / name).read_text().splitlines()]


def sessions(directory: Path, group: str) -> list[list[dict[str, Any]]]:
    """Requests of each session, by turn."""
    found: dict[str, list[dict[str, Any]]] = {}
    for record in sorted(lines(directory, "requests.jsonl"), key=lambda record: str(record["request_id"])):
        if record["client"].startswith(group):
            found.setdefault(record["session"], []).append(record)
    assert all([record["turn"] for record in session] == [1, 2, 3, 4] for session in found.values())
    assert all(record["status"] == "ok" for session in found.values() for record in session)
    return list(found.values())


def whole_blocks(n_tokens: int) -> int:
    return n_tokens // BLOCK * BLOCK


def test_steps_prefill_what_the_prefix_cache_does_not_have(run: Path) -> None:
    """What vLLM says of each request agrees with what its batches computed."""
    prefilled: Counter[str] = Counter()
    by_engine: Counter[str] = Counter()
    started: set[str] = set()
    for step in lines(run, "steps.jsonl"):
        if step["kind"] == "step":
            by_engine[step["engine"]] += step["signature"]["prefill_tokens"]
            prefilled.update({key: n for key, n in step["scheduled"].items() if key not in started})
            started |= set(step["tokens"])
    uncached: Counter[str] = Counter()
    for record in lines(run, "requests.jsonl"):
        assert prefilled[record["request_id"]] == record["prompt_tokens"] - record["cached_tokens"]
        uncached[record["engine"]] += prefilled[record["request_id"]]
    assert uncached == by_engine
    assert set(by_engine) == {"edge", "cloud", "near", "far"}


@pytest.mark.parametrize("group", ["user", "guest"])
def test_a_later_turn_has_at_least_the_earlier_prompt_in_the_cache(run: Path, group: str) -> None:
    for session in sessions(run, group):
        for before, after in ((session[0], session[1]), (session[2], session[3])):
            assert whole_blocks(before["prompt_tokens"]) <= after["cached_tokens"] < after["prompt_tokens"]


@pytest.mark.parametrize("group", ["user", "guest"])
def test_a_session_that_moved_pays_for_its_whole_context(run: Path, group: str) -> None:
    for session in sessions(run, group):
        assert session[0]["cached_tokens"] < BLOCK
        assert session[2]["cached_tokens"] < BLOCK
        assert session[2]["prompt_tokens"] > session[1]["prompt_tokens"] + OUTPUT_TOKENS
        assert session[2]["tier"] != session[1]["tier"]


def test_words_of_a_profiled_answer_are_found_in_the_cache_to_the_last_block(run: Path) -> None:
    """The answer's last token was never computed; all before it are the same tokens when they come back as text."""
    for session in sessions(run, "guest"):
        for before, after in ((session[0], session[1]), (session[2], session[3])):
            assert after["cached_tokens"] == whole_blocks(before["prompt_tokens"] + OUTPUT_TOKENS - 1)


def test_sessions_share_their_system_prompt(run: Path) -> None:
    first, second = (session[0] for session in sessions(run, "staff"))
    assert first["cached_tokens"] < BLOCK
    assert second["t_sent_ns"] > first["t_end_ns"]
    assert second["cached_tokens"] >= whole_blocks(100)


def test_replay_is_byte_identical(run: Path) -> None:
    """No body is built there, and no answer's text is known."""
    cosim("replay", run, "-o", run.parent / "again")
    assert (run / "requests.jsonl").read_bytes() == (run.parent / "again" / "requests.jsonl").read_bytes()
