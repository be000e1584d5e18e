"""Whole runs with real ns-3 and a real vLLM engine, and what happens when a part of one is killed."""

from __future__ import annotations

import itertools
import json
import os
import re
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from cosim.clock import monotonic_s, sleep_s
from cosim.environment import vllm_hardware
from tests.run_process import children, environment_without, until_a_request_has_ended
from tests.trace_of_run import trace_of

pytestmark = [pytest.mark.ns3, pytest.mark.vllm]

TINY = {"kind": "synthetic", "architecture": "qwen3", "hidden_size": 128, "layers": 2}
TINY_VISION = {"kind": "synthetic", "architecture": "qwen2_5_vl", "hidden_size": 128, "layers": 2}


def engine(model: dict[str, Any], **overrides: Any) -> dict[str, Any]:
    return {"kind": "vllm", "model": model, "args": {"kv_cache_memory_bytes": 32 * 2**20}, **overrides}


def write(folder: Path, **overrides: Any) -> Path:
    """An edge engine for text and a cloud engine for frames that share one piece of hardware."""
    data = {
        "schema_version": 1,
        "duration": "3s",
        "network": {
            "kind": "ns3",
            "access": {
                "kind": "link",
                "uplink": {"rate": "60Mbit/s", "delay": "8ms"},
                "downlink": {"rate": "300Mbit/s", "delay": "4ms"},
            },
            "core": {"delay": "1ms"},
            "paths": {"edge": {"delay": "0.2ms"}, "cloud": {"delay": "32.5ms", "rate": "1Gbit/s"}},
        },
        "tiers": {
            "edge": {"path": "edge", "engine": engine(TINY)},
            "cloud": {"path": "cloud", "engine": engine(TINY_VISION)},
        },
        "clients": [
            {
                "name": "user",
                "kind": "chat",
                "tier": "edge",
                "count": 2,
                "output_tokens": 24,
                "arrivals": {"kind": "poisson", "rate": "4/s"},
            },
            {
                "name": "cam",
                "kind": "frames",
                "tier": "cloud",
                "count": 2,
                "period": "250ms",
                "output_tokens": 8,
                "image": {"width": 320, "height": 240},
            },
        ],
        "sla": {"premium": {"e2el": "500ms"}},
        # What else runs on the test machine is no matter of these tests.
        "validity": {
            "min_requests": 5,
            "max_cpu_wait_share": "100%",
            "max_other_load": "100%",
            "max_step_drift": "1000000%",
        },
        **overrides,
    }
    file = folder / "real.yaml"
    file.write_text(yaml.safe_dump(data))
    return file


def cosim(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cosim", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a finished run."""
    folder = tmp_path_factory.mktemp("real")
    done = cosim("run", write(folder), "-o", folder / "a")
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "a"


def lines(directory: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory / name).read_text().splitlines()]


def test_every_part_adds_up_and_no_token_precedes_its_cause(run: Path) -> None:
    frontend_end = {
        line["request_id"]: line["t_start_ns"] + line["duration_ns"]
        for line in lines(run, "steps.jsonl")
        if line["kind"] == "frontend"
    }
    records = lines(run, "requests.jsonl")
    assert {record["status"] for record in records} == {"ok"}
    for record in records:
        assert sum(record["parts"].values()) == record["e2el_ns"]
        assert min(record["parts"].values()) >= 0
        assert record["parts"]["prefill"] > 0
        assert record["t_first_token_ns"] > frontend_end[record["request_id"]]
        assert record["output_tokens"] == len(record["chunk_times_ns"])


def test_engines_on_one_hardware_never_execute_at_once_though_they_overlap_in_virtual_time(run: Path) -> None:
    steps = [line for line in lines(run, "steps.jsonl") if line["kind"] == "step"]
    assert {line["source"] for line in steps} == {"executed"}
    wall = sorted((line["wall_start_ns"], line["wall_end_ns"]) for line in steps)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(wall))
    spans = defaultdict(list)
    for line in steps:
        spans[line["engine"]].append((line["t_start_ns"], line["t_start_ns"] + line["duration_ns"]))
    assert any(a < d and c < b for a, b in spans["edge"] for c, d in spans["cloud"])


def test_replay_without_vllm_is_byte_identical(run: Path, tmp_path: Path) -> None:
    environment = environment_without(tmp_path / "refuse", "vllm", "torch")
    command = [sys.executable, "-m", "cosim", "replay", str(run), "-o", str(tmp_path / "b")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr
    assert (run / "requests.jsonl").read_bytes() == (tmp_path / "b" / "requests.jsonl").read_bytes()
    before = (tmp_path / "b" / "summary.json").read_bytes()
    assert cosim("report", tmp_path / "b").returncode == 0
    assert (tmp_path / "b" / "summary.json").read_bytes() == before


def test_its_trace_holds_every_request_transfer_and_step(run: Path, tmp_path: Path) -> None:
    trace = trace_of(run, tmp_path / "trace.pftrace")
    assert {found.arguments["source"] for found in trace.of("step")} == {"executed"}
    assert trace.counters["engine edge", "edge kv_cache_usage_perc"]


def test_manifest_says_what_ran(run: Path) -> None:
    manifest = json.loads((run / "manifest.json").read_text())
    assert manifest["invariants"]["broken"] == []
    assert manifest["versions"]["ns3"]
    assert manifest["versions"]["vllm"]
    engines = manifest["children"]["engines cpu"]
    assert set(engines) == {"edge", "cloud"}
    assert engines["edge"]["async_scheduling"] is False
    assert all(entry["sent"] for entry in manifest["connections"])


def test_an_argument_that_vllm_does_not_have_is_exit_2_at_its_line(tmp_path: Path) -> None:
    wrong = engine(TINY, args={"max_num_sequences": 4})
    file = write(tmp_path, tiers={"edge": {"path": "edge", "engine": wrong}}, clients=[])
    file.write_text(file.read_text().replace("clients: []", ""))
    text = file.read_text() + "\nclients: [{name: u, kind: chat, tier: edge, arrivals: {kind: closed}}]\n"
    file.write_text(text)
    line = next(number for number, line in enumerate(text.splitlines(), 1) if "max_num_sequences" in line)
    done = cosim("run", file, "-o", tmp_path / "out")
    assert done.returncode == 2
    assert f"{file}:{line}: tiers.edge.engine.args.max_num_sequences" in done.stderr
    assert "max_num_seqs" in done.stderr
    assert not (tmp_path / "out").exists()


def test_hardware_that_the_installed_vllm_does_not_run_on_is_refused(tmp_path: Path) -> None:
    wanted = "gpu" if vllm_hardware() == "cpu" else "cpu"
    tiers = {name: {"path": name, "engine": engine(TINY, hardware=wanted)} for name in ("edge", "cloud")}
    done = cosim("run", write(tmp_path, tiers=tiers), "-o", tmp_path / "out")
    assert done.returncode == 2
    assert f".engine.hardware: {wanted!r}" in done.stderr
    assert not (tmp_path / "out").exists()


@contextmanager
def under_way(folder: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A long run that has recorded a few requests."""
    out = folder / "out"
    command = [sys.executable, "-m", "cosim", "run", str(write(folder, duration="1h")), "-o", str(out), "--ui", "none"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            until_a_request_has_ended(process, out, limit_s=120)
            yield process, out
        finally:
            process.kill()


def all_gone(pids: dict[str, int]) -> None:
    give_up_s = monotonic_s() + 20
    while left := [pid for pid in pids.values() if Path(f"/proc/{pid}").exists()]:
        assert monotonic_s() < give_up_s, f"still running: {left}"
        sleep_s(0.05)


@pytest.mark.parametrize(
    ("module", "role"), [("ns3_scenarios.process", "ns-?3"), ("cosim.inference.host", "engines cpu")]
)
def test_a_killed_child_ends_the_run_with_its_name(tmp_path: Path, module: str, role: str) -> None:
    with under_way(tmp_path) as (process, out):
        pids = children(process)
        os.kill(pids[module], signal.SIGKILL)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 3
    assert re.search(rf"{role}.* was killed by SIGKILL", errors)
    assert "Traceback" not in errors
    failure = json.loads((out / "failure.json").read_text())
    assert failure["status"] == "failed"
    assert re.search(role, failure["peer"])
    assert lines(out, "requests.jsonl")
    all_gone(pids)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_nothing_running(tmp_path: Path, number: signal.Signals, code: int) -> None:
    with under_way(tmp_path) as (process, out):
        pids = children(process)
        assert len(pids) == 2
        process.send_signal(number)
        process.communicate(timeout=60)
    assert process.returncode == code
    assert json.loads((out / "failure.json").read_text())["status"] == "interrupted"
    all_gone(pids)


def test_nothing_outlives_a_killed_cosim(tmp_path: Path) -> None:
    with under_way(tmp_path) as (process, out):
        pids = children(process)
        assert len(pids) == 2
        process.kill()
        process.communicate(timeout=60)
    all_gone(pids)
    assert lines(out, "requests.jsonl")
