"""The commands as a script sees them: exit codes, what is on stdout, what is on disk."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from cosim.clock import monotonic_s, sleep_s
from tests.lockstep import chat, scenario, stub


def cosim(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cosim", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env={**os.environ, **environment})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path)


def write(folder: Path, **overrides: Any) -> Path:
    file = folder / "scenario.yaml"
    data = scenario(validity={"min_requests": 1}, **overrides)
    file.write_text(yaml.safe_dump(data, sort_keys=False))
    return file


def long_run(folder: Path, kind: str = "pipe") -> Path:
    """Hours of virtual time; a test ends it."""
    data = scenario(duration="8000h", clients=[chat("user", count=20)])
    data["network"]["kind"] = kind
    file = folder / "scenario.yaml"
    file.write_text(yaml.safe_dump(data))
    return file


def wait_for(file: Path) -> None:
    give_up_s = monotonic_s() + 60
    while not file.exists() or file.stat().st_size == 0:
        assert monotonic_s() < give_up_s, f"{file} stays empty"
        sleep_s(0.05)


def test_run_replay_and_report(file: Path, tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    done = cosim("run", file, "-o", a, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads((a / "summary.json").read_text())
    assert cosim("replay", a, "-o", b).returncode == 0
    assert (a / "requests.jsonl").read_bytes() == (b / "requests.jsonl").read_bytes()
    before = (b / "summary.json").read_bytes()
    assert cosim("report", b).returncode == 0
    assert (b / "summary.json").read_bytes() == before
    assert json.loads(before)["step_coverage"]["replayed"] == 1


def test_the_resolved_copy_gives_the_same_run(file: Path, tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    assert cosim("run", file, "-o", a, "--set", "network.core.delay=7ms", "--seed", "5").returncode == 0
    assert cosim("run", a / "scenario.resolved.yaml", "-o", b).returncode == 0
    for name in ("requests.jsonl", "steps.jsonl", "scenario.resolved.yaml"):
        assert (a / name).read_bytes() == (b / name).read_bytes()


def test_bad_input_is_exit_2_and_starts_nothing(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text("schema_version: 1\nduration: 20\nnetwrok: {}\n")
    done = cosim("run", file, "-o", tmp_path / "out")
    assert done.returncode == 2
    assert f"{file}:2: duration: 20 has no unit: '20ms' or '20s'?" in done.stderr
    assert f"{file}:3: netwrok: unknown key; did you mean 'network'?" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["run"],
        ["run", "none.yaml"],
        ["run", "--sed", "1"],
        ["frobnicate"],
        ["replay", "nowhere"],
        ["report", "nowhere"],
        ["validate", "none.yaml", "--set", "a"],
    ],
)
def test_bad_arguments_are_exit_2(arguments: list[str]) -> None:
    done = cosim(*arguments)
    assert done.returncode == 2
    assert done.stderr.strip()
    assert "Traceback" not in done.stderr


def test_a_directory_that_holds_a_run_is_refused(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert cosim("run", file, "-o", out).returncode == 0
    before = (out / "requests.jsonl").read_bytes()
    refused = cosim("run", file, "-o", out, "--seed", "9")
    assert refused.returncode == 2
    assert "already holds a run" in refused.stderr
    assert "--force" in refused.stderr
    assert (out / "requests.jsonl").read_bytes() == before
    assert cosim("run", file, "-o", out, "--seed", "9", "--force").returncode == 0


def test_too_few_requests_are_invalid_and_exit_4(tmp_path: Path) -> None:
    file = write(tmp_path)
    done = cosim("run", file, "-o", tmp_path / "out", "--set", "validity.min_requests=100")
    assert done.returncode == 4
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["verdict"] == "INVALID"


@pytest.mark.parametrize(
    ("expression", "code"),
    [
        ("edge.premium.sla_hit_rate<0.95", 0),
        ("edge.premium.sla_hit_rate>0.5", 5),
        ("edge.median_ttft_ms>1", 5),
        ("edge.nothing.sla_hit_rate<1", 2),
        ("no.premium.sla_hit_rate<1", 2),
        ("edge.premium", 2),
    ],
)
def test_fail_on(file: Path, tmp_path: Path, expression: str, code: int) -> None:
    assert cosim("run", file, "-o", tmp_path / "out", "--fail-on", expression).returncode == code


def test_a_request_that_cannot_make_its_timeout_is_a_miss_and_the_run_goes_on(tmp_path: Path) -> None:
    file = write(tmp_path, clients=[chat("user", timeout="20ms"), chat("other")])
    assert cosim("run", file, "-o", tmp_path / "out").returncode == 0
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["requests"]["timeout"] > 0
    assert summary["requests"]["ok"] > 0
    assert summary["sla"][0]["hits"] == summary["requests"]["ok"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_keeps_what_was_recorded(tmp_path: Path, number: signal.Signals, code: int) -> None:
    """Also in the background of a shell script, where SIGINT is ignored at the start."""
    out = tmp_path / "out"
    cosim_run = [sys.executable, "-m", "cosim", "run", str(long_run(tmp_path)), "-o", str(out), "--ui", "none"]
    command = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", *cosim_run]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        wait_for(out / "requests.jsonl")
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in errors
    assert json.loads((out / "failure.json").read_text())["status"] == "interrupted"
    assert all(json.loads(line) for line in (out / "requests.jsonl").read_text().splitlines())


def test_unknown_variables_are_warned_about_by_name(file: Path) -> None:
    done = cosim("validate", file, COSIM_SEDE="3", COSIM__SEED="7")
    assert done.returncode == 0
    assert "COSIM_SEDE" in done.stderr
    assert "seed 7" in done.stdout


def test_a_recording_that_does_not_fit_is_refused(file: Path, tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    assert cosim("run", file, "-o", a).returncode == 0
    steps = (a / "steps.jsonl").read_text().splitlines()
    index = next(index for index, line in enumerate(steps) if '"kind":"step"' in line)
    changed = json.loads(steps[index])
    changed["t_start_ns"] += 1
    (a / "steps.jsonl").write_text("\n".join([*steps[:index], json.dumps(changed), *steps[index + 1 :]]) + "\n")
    done = cosim("replay", a, "-o", b)
    assert done.returncode == 3
    assert "step 0 of edge starts at" in done.stderr
    assert json.loads((b / "failure.json").read_text())["error"] == "ReplayError"


def test_a_raised_delay_moves_warm_requests_by_its_round_trip_and_local_ones_not_at_all(tmp_path: Path) -> None:
    tiers = {"edge": {"path": "cloud", "engine": stub()}, "device": {"engine": stub(), "per_client": True}}
    file = write(tmp_path, duration="3s", tiers=tiers, clients=[chat("far"), chat("near", tier="device")])
    for name, delay in (("a", "20ms"), ("b", "70ms")):
        setting = f"network.paths.cloud.delay={delay}"
        assert cosim("run", file, "-o", tmp_path / name, "--set", setting).returncode == 0
    a, b = ({r["request_id"]: r for r in requests(tmp_path / name)} for name in ("a", "b"))
    warm = [rid for rid in a if a[rid]["connection"] == b[rid]["connection"] == "reused"]
    assert len(warm) > 10
    assert {b[rid]["ttft_ns"] - a[rid]["ttft_ns"] for rid in warm} == {100_000_000}
    assert [a[rid] for rid in a if rid.startswith("near")] == [b[rid] for rid in b if rid.startswith("near")]


def requests(directory: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (directory / "requests.jsonl").read_text().splitlines()]


def test_force_leaves_what_is_no_run_alone(file: Path, tmp_path: Path) -> None:
    mine = tmp_path / "project" / "logs" / "mine"
    mine.parent.mkdir(parents=True)
    mine.write_text("precious")
    done = cosim("run", file, "-o", tmp_path / "project", "--force")
    assert done.returncode == 2
    assert "is no run" in done.stderr
    assert mine.read_text() == "precious"


def test_two_runs_into_one_directory_are_refused(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "cosim", "run", str(long_run(tmp_path)), "-o", str(out), "--ui", "none"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as first:
        wait_for(out / "requests.jsonl")
        second = cosim("run", file, "-o", out, "--force")
        first.kill()
    assert second.returncode == 2
    assert "another run is writing" in second.stderr
    # What the killed run has left is all there is: no line of it is missing.
    assert cosim("report", out).returncode == 0
    reasons = json.loads((out / "summary.json").read_text())["reasons"]
    assert [reason for reason in reasons if "lines" in reason] == []
    assert "the run never came to its end (the process was killed); run it again" in reasons


def test_a_recording_is_not_overwritten_by_its_own_replay(file: Path, tmp_path: Path) -> None:
    rec = tmp_path / "rec"
    assert cosim("run", file, "-o", rec).returncode == 0
    before = (rec / "steps.jsonl").read_bytes()
    repeats = f"tiers.edge.engine={{kind: replay, run: {rec}}}"
    assert cosim("run", file, "-o", rec, "--force", "--set", repeats).returncode == 2
    assert (rec / "steps.jsonl").read_bytes() == before
    assert cosim("run", file, "-o", tmp_path / "again", "--set", repeats).returncode == 0


@pytest.mark.parametrize(("redirection", "code"), [(">&-", 0), ("2>&-", 0), (">/dev/full", 3)])
def test_closed_and_full_streams(file: Path, tmp_path: Path, redirection: str, code: int) -> None:
    command = f'"$0" -m cosim run "$1" -o "$2" {redirection}'
    done = subprocess.run(["sh", "-c", command, sys.executable, file, tmp_path / "out"], capture_output=True, text=True)
    assert done.returncode == code
    assert "Traceback" not in done.stdout + done.stderr
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["verdict"] == "VALID"


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/nowhere"])
def test_a_place_that_cannot_hold_a_run_is_exit_2(file: Path, tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    done = cosim("run", file, "-o", tmp_path / place)
    assert done.returncode == 2
    assert "choose" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_killed_run_can_be_reported_and_says_that_it_was_killed(tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "cosim", "run", str(long_run(tmp_path)), "-o", str(out), "--ui", "none"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        wait_for(out / "requests.jsonl")
        process.kill()
    assert cosim("report", out).returncode == 0
    summary = json.loads((out / "summary.json").read_text())
    assert summary["verdict"] == "INVALID"
    assert summary["requests"]["unfinished"] is None
    assert not any("bug" in reason for reason in summary["reasons"])
    replayed = cosim("replay", out, "-o", tmp_path / "again")
    assert replayed.returncode == 3
    assert "cut short" in replayed.stderr


def test_a_cut_record_is_no_valid_run(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert cosim("run", file, "-o", out).returncode == 0
    steps = (out / "steps.jsonl").read_text().splitlines(keepends=True)
    (out / "steps.jsonl").write_text("".join(steps[:-2]))
    cosim("report", out)
    assert json.loads((out / "summary.json").read_text())["verdict"] == "INVALID"
    assert cosim("replay", out, "-o", tmp_path / "again").returncode == 3
