"""`cosim profile` on a real engine of a small model: the file, what is refused, how it ends when it is disturbed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from cosim.clock import monotonic_s, sleep_s
from cosim.profile.recorded_file import RecordedFile, read_recorded
from tests.lockstep import chat, scenario
from tests.run_process import children

pytestmark = pytest.mark.vllm

MODEL = {"kind": "synthetic", "architecture": "qwen2_5_vl", "hidden_size": 128, "layers": 2}
ARGS = {"max_num_seqs": 3, "max_num_batched_tokens": 128, "max_model_len": 256, "kv_cache_memory_bytes": 16 * 2**20}


def write(folder: Path, **engine: Any) -> Path:
    settings = {"kind": "vllm", "model": MODEL, "args": ARGS, **engine}
    other = {**settings, "executor": {"kind": "profiled", "profile": "not-needed-here.jsonl"}}
    file = folder / "s.yaml"
    tiers = {"edge": {"engine": settings}, "other": {"engine": other}}
    clients = [chat("user", tier="edge", prompt_tokens=30, output_tokens=6), chat("more", tier="other")]
    # What else runs on the test machine is no matter of these tests.
    validity = {"min_requests": 1, "max_cpu_wait_share": "100%", "max_other_load": "100%"}
    file.write_text(yaml.safe_dump(scenario(tiers=tiers, clients=clients, validity=validity), sort_keys=False))
    return file


def cosim(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cosim", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RecordedFile]:
    folder = tmp_path_factory.mktemp("profile")
    done = cosim("profile", write(folder), "--tier", "edge", "--repetitions", "5", "-o", folder / "p.jsonl")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["p.jsonl", "s.yaml"]
    return folder, read_recorded(folder / "p.jsonl")


def test_the_file_has_every_shape_and_says_what_was_measured(recorded: tuple[Path, RecordedFile]) -> None:
    _, profile = recorded
    header = profile.header
    assert header.recording is not None
    assert header.recording.missing == 0
    assert header.engine.max_num_seqs == 3
    assert header.engine.arguments == ARGS
    assert (header.weights, header.quantization, header.dtype) == ("random", None, "float32")
    assert header.kv_cache_bytes <= 16 * 2**20
    assert {grid.name for grid in header.grids} >= {"decode", "prefill", "continued_prefill", "mixed", "images"}
    assert min(len(line.durations_ns) for line in profile.steps) >= 5
    assert profile.path.stat().st_size < 300_000


def test_measured_shapes_are_those_of_the_grid(recorded: tuple[Path, RecordedFile]) -> None:
    _, profile = recorded
    for line in profile.steps:
        signature = line.signature
        if line.grid == "decode":
            assert (signature.prefill_tokens, signature.decode_sequences) == (0, line.at[0])
            assert line.at[1] <= signature.decode_context_tokens / line.at[0] <= line.at[1] + 24
        if line.grid == "continued_prefill":
            # Of one sequence: what lies before the prompt's rest is the prefix that the cache gave.
            assert signature.context_tokens == line.at[1]
            assert abs(signature.prefill_tokens - line.at[0]) <= 1
        if line.grid == "prefill":
            assert abs(signature.prefill_tokens - line.at[0]) <= 1
            assert signature.context_tokens == 0
        if line.grid == "images":
            assert signature.images == signature.prefill_sequences == line.at[0]
            assert signature.encoder_tokens > 0


def test_front_end_and_egress_are_of_the_same_requests(recorded: tuple[Path, RecordedFile]) -> None:
    _, profile = recorded
    images = {line.images for line in profile.frontends}
    assert images == {0, 1}
    text = [line.prompt_tokens for line in profile.frontends if not line.images]
    assert min(text) < 20
    assert max(text) > 200
    assert [line.position for line in profile.egress] == ["first", "next", "last"]


def charged(folder: Path, name: str, client: dict[str, Any], **validity: Any) -> dict[str, Any]:
    """Summary of a run at the measured engine, charged from its profile, however busy the machine was meanwhile."""
    validity |= {"max_other_load": "100%", "max_cpu_wait_share": "100%", "max_step_drift": "1000%"}
    engine = {"kind": "vllm", "model": MODEL, "executor": {"kind": "profiled", "profile": "p.jsonl"}}
    content = scenario(tiers={"edge": {"engine": engine}}, clients=[client], validity={"min_requests": 1, **validity})
    file = folder / f"{name}.yaml"
    file.write_text(yaml.safe_dump(content))
    done = subprocess.run(
        [sys.executable, "-m", "cosim", "run", file, "-o", folder / name, "--ui", "none"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=300,
    )
    summary: dict[str, Any] = json.loads((folder / name / "summary.json").read_text())
    assert done.returncode == (0 if summary["verdict"] == "VALID" else 4), done.stderr
    return summary


def test_a_scenario_runs_with_it(recorded: tuple[Path, RecordedFile]) -> None:
    summary = charged(recorded[0], "inside", chat("user", count=6, prompt_tokens=30, output_tokens=6))
    assert summary["verdict"] == "VALID"
    assert summary["step_coverage"]["interpolated"] == 1


def test_shapes_beyond_the_measured_ones_are_invalid_unless_allowed_by_name(
    recorded: tuple[Path, RecordedFile],
) -> None:
    # 17 x 13 tokens; the largest picture that was measured in this context has 16 x 12.
    camera = {"name": "cam", "kind": "frames", "tier": "edge", "period": "100ms", "output_tokens": 2}
    camera |= {"image": {"width": 476, "height": 364}, "prompt_tokens": 4}
    summary = charged(recorded[0], "beyond", camera)
    assert summary["verdict"] == "INVALID"
    assert any("extrapolated" in reason and "allow_extrapolated: [edge]" in reason for reason in summary["reasons"])
    assert 0 < summary["step_coverage"]["extrapolated"] < 1
    assert charged(recorded[0], "allowed", camera, allow_extrapolated=["edge"])["verdict"] == "VALID"


def test_what_cannot_be_is_exit_2_and_nothing_is_started(tmp_path: Path) -> None:
    done = cosim("profile", write(tmp_path), "--tier", "cloud", "-o", tmp_path / "p.jsonl")
    assert done.returncode == 2
    assert "--tier: no tier 'cloud'" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["s.yaml"]


@contextmanager
def under_way(folder: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A long recording whose engine is being measured, and the engine host's process id."""
    out = folder / "p.jsonl"
    command = [sys.executable, "-m", "cosim", "profile", str(write(folder)), "--tier", "edge", "-o", str(out)]
    with subprocess.Popen([*command, "--repetitions", "1000"], stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            while "shapes" not in (line := process.stderr.readline()):
                assert line, f"it ended with {process.wait()}"
            yield process, children(process)["cosim.inference.host"]
        finally:
            process.kill()


def _gone(pid: int) -> None:
    give_up_s = monotonic_s() + 20
    while Path(f"/proc/{pid}").exists():
        assert monotonic_s() < give_up_s, f"{pid} still runs"
        sleep_s(0.05)


def test_ctrl_c_leaves_no_profile_and_nothing_running(tmp_path: Path) -> None:
    with under_way(tmp_path) as (process, host):
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert not list(tmp_path.glob("p.jsonl*"))
    _gone(host)


def test_an_engine_that_dies_is_named(tmp_path: Path) -> None:
    with under_way(tmp_path) as (process, host):
        os.kill(host, signal.SIGKILL)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 3
    assert "vllm cpu was killed by SIGKILL" in errors
    assert "Traceback" not in errors
    assert not (tmp_path / "p.jsonl").exists()
