"""Runs of a trace: when its requests are sent, who answers them, and that a replay needs the trace no more."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lockstep import lines, scenario, simulate, stub

# Two sessions that share their first block of four tokens, and one that does not.
TRACE = """\
{"timestamp": 5000, "input_length": 8, "output_length": 2, "hash_ids": [0, 1], "user": "x"}
{"timestamp": 5010, "input_length": 6, "output_length": 1, "hash_ids": [0, 2], "user": "y"}
{"timestamp": 5100, "input_length": 12, "output_length": 1, "hash_ids": [0, 1, 3], "user": "x"}
{"timestamp": 5110, "input_length": 4, "output_length": 1, "hash_ids": [4], "user": "z"}
"""
COLUMNS = {
    "arrival": "timestamp",
    "unit": "ms",
    "prompt_tokens": "input_length",
    "output_tokens": "output_length",
    "session": "user",
    "hash_ids": "hash_ids",
}


def traced(folder: Path, text: str = TRACE, **values: Any) -> dict[str, Any]:
    """A scenario of two clients that ask what a trace says, of two replicas."""
    file = folder / "trace.jsonl"
    file.write_text(text)
    group = {"name": "t", "kind": "trace", "tier": "edge", "file": str(file), "columns": COLUMNS, "block_tokens": 4}
    tier = {"path": "edge", "engine": stub(), "replicas": 2, "balancing": "session-affinity"}
    return scenario(tiers={"edge": tier}, clients=[{**group, "count": 2, **values}])


def test_requests_come_when_the_trace_has_them_from_their_sessions_clients(tmp_path: Path) -> None:
    recorded = simulate(traced(tmp_path, limit=3))
    assert recorded.events() == lines("""
        0 send t-0-000000
        10 send t-1-000000
        23 prompt t-0-000000
        25 frontend t-0-000000
        25 step edge/replica-0 t-0-000000:8
        33 prompt t-1-000000
        35 step done edge/replica-0
        35 frontend t-1-000000
        35 step edge/replica-1 t-1-000000:6
        35 step edge/replica-0 t-0-000000:1
        36 egress t-0-000000
        40 step done edge/replica-0
        41 egress t-0-000000
        41 chunk t-0-000000
        45 step done edge/replica-1
        46 chunk t-0-000000
        46 end t-0-000000 ok
        46 egress t-1-000000
        51 chunk t-1-000000
        51 end t-1-000000 ok
        100 send t-0-000001
        109 prompt t-0-000001
        111 frontend t-0-000001
        111 step edge/replica-0 t-0-000001:12
        121 step done edge/replica-0
        122 egress t-0-000001
        127 chunk t-0-000001
        127 end t-0-000001 ok
    """)
    assert [(record.session, record.prompt_tokens) for record in recorded.requests] == [("x", 8), ("y", 6), ("x", 12)]


def test_speed_and_start_change_when_and_not_what(tmp_path: Path) -> None:
    recorded = simulate(traced(tmp_path, start="100ms", speedup=2.0, join="50ms"))
    assert [(record.t_sent_ns, record.prompt_tokens) for record in recorded.requests] == [
        (50_000_000, 12),
        (55_000_000, 4),
    ]


def test_two_groups_share_a_trace(tmp_path: Path) -> None:
    data = traced(tmp_path, limit=1)
    data["clients"].append({**data["clients"][0], "name": "u", "start": "100ms", "count": 1})
    assert {record.request_id for record in simulate(data).requests} == {"t-0-000000", "u-0-000000"}


def cosim(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cosim", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=dict(os.environ))


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A finished run, whose trace is gone."""
    file = tmp_path / "scenario.yaml"
    file.write_text(yaml.safe_dump(traced(tmp_path) | {"validity": {"min_requests": 1}}))
    done = cosim("run", file, "-o", tmp_path / "a", "--ui", "none")
    assert done.returncode == 0, done.stderr
    (tmp_path / "trace.jsonl").unlink()
    return tmp_path / "a"


def test_a_replay_and_its_own_need_no_trace(run: Path) -> None:
    b, c = run.with_name("b"), run.with_name("c")
    for source, target in ((run, b), (b, c)):
        done = cosim("replay", source, "-o", target)
        assert done.returncode == 0, done.stderr
        assert (source / "requests.jsonl").read_bytes() == (target / "requests.jsonl").read_bytes()
        assert (source / "traces" / "t.jsonl").read_bytes() == (target / "traces" / "t.jsonl").read_bytes()


def test_the_manifest_says_what_was_taken(run: Path) -> None:
    taken = json.loads((run / "manifest.json").read_bytes())["traces"]["t"]
    assert taken.pop("file") == str(run.with_name("trace.jsonl"))
    assert taken == {
        "format": "columns",
        "requests": 4,
        "clipped": 0,
        "dropped": 0,
        "first_line": 1,
        "last_line": 4,
        "last_due_ns": 110_000_000,
    }


def test_a_run_again_needs_the_trace_and_a_replay_the_runs_copy_of_it(run: Path) -> None:
    again = cosim("run", run / "scenario.resolved.yaml", "-o", run.with_name("b"))
    assert again.returncode == 2
    assert "clients.0.file: " in again.stderr
    (run / "traces" / "t.jsonl").unlink()
    replay = cosim("replay", run, "-o", run.with_name("b"))
    assert replay.returncode == 2
    assert replay.stderr.endswith("a/traces/t.jsonl: is missing; the directory of a run as it was written\n")
    assert not run.with_name("b").exists()


def test_a_run_that_is_replaced_leaves_no_trace(run: Path) -> None:
    file = run.with_name("other.yaml")
    file.write_text(yaml.safe_dump(scenario(validity={"min_requests": 1})))
    assert cosim("run", file, "-o", run, "--force").returncode == 0
    assert not (run / "traces").exists()
