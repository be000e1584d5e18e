"""A run beside other programs is told apart from a quiet one by its verdict."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from cosim.clock import monotonic_s, sleep_s
from tests.load import busy

pytestmark = pytest.mark.vllm

SCENARIO = {
    "schema_version": 1,
    "duration": "8s",
    "network": {"kind": "pipe", "access": {"kind": "link"}, "paths": {"edge": {"delay": "1ms"}}},
    "tiers": {
        "edge": {
            "path": "edge",
            "engine": {
                "kind": "vllm",
                "model": {"kind": "synthetic", "architecture": "qwen3", "hidden_size": 128, "layers": 2},
                "args": {"kv_cache_memory_bytes": 32 * 2**20},
            },
        }
    },
    "clients": [
        {
            "name": "user",
            "kind": "chat",
            "tier": "edge",
            "output_tokens": 16,
            "arrivals": {"kind": "poisson", "rate": "10/s"},
        }
    ],
    "validity": {"min_requests": 1},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """Directory and exit code of a run beside four busy processes on each CPU, which begin when its engine is warm."""
    folder = tmp_path_factory.mktemp("load")
    out = folder / "run"
    (folder / "load.yaml").write_text(yaml.safe_dump(SCENARIO))
    command = [sys.executable, "-m", "cosim", "run", str(folder / "load.yaml"), "-o", str(out)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            give_up_s = monotonic_s() + 300
            while not (out / "manifest.json").exists() or not read(out / "manifest.json")["children"]:
                assert process.poll() is None, process.stderr and process.stderr.read()
                assert monotonic_s() < give_up_s
                sleep_s(0.05)
            with busy(4 * len(os.sched_getaffinity(0))):
                _, errors = process.communicate(timeout=300)
        finally:
            process.kill()
    assert process.returncode in (0, 4), errors
    return out, process.returncode


def read(file: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(file.read_text())
    return loaded


def test_a_run_under_load_is_invalid_and_says_why(run: tuple[Path, int]) -> None:
    directory, code = run
    found = read(directory / "summary.json")
    assert (code, found["verdict"]) == (4, "INVALID")
    assert found["machine_use"]["other_share"] > 0.3
    assert found["reasons"][0].startswith("cpu: other programs used ")


def test_each_executed_thing_has_its_conditions(run: tuple[Path, int]) -> None:
    lines = [json.loads(line) for line in (run[0] / "steps.jsonl").read_text().splitlines()]
    executed = [line for line in lines if line["kind"] in ("step", "frontend")]
    assert {line["source"] for line in executed} == {"executed"}
    for line in executed:
        conditions, wall_ns = line["conditions"], line["wall_end_ns"] - line["wall_start_ns"]
        assert conditions["cpu_ns"] > 0
        assert conditions["cpu_wait_ns"] is None or 0 <= conditions["cpu_wait_ns"] <= wall_ns


def test_a_replay_executes_nothing_gives_the_same_requests_and_inherits_the_reasons(
    run: tuple[Path, int], tmp_path: Path
) -> None:
    again = tmp_path / "again"
    command = [sys.executable, "-m", "cosim", "replay", str(run[0]), "-o", str(again)]
    assert subprocess.run(command, capture_output=True, timeout=300).returncode == 4
    assert (again / "requests.jsonl").read_bytes() == (run[0] / "requests.jsonl").read_bytes()
    found = read(again / "summary.json")
    assert found["engines"]["edge"]["hygiene"] is None
    assert found["reasons"][0].startswith("recorded: the steps that were repeated had been measured on a disturbed")
