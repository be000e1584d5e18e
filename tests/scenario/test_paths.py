"""Runs over presets and traces: doubles and real packets keep every invariant, and a resolved copy repeats them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from cosim.cli import app, guarded
from cosim.results.terminal import Progress
from cosim.run import RunOptions, execute
from cosim.scenario.load import load
from tests.links import with_cloud
from tests.lockstep import MS, Recorded, simulate

PING = "t_s,rtt_ms\n" + "".join(f"{k / 20:g},{40 + 13 * (k % 5)}\n" for k in range(30))
CELL = "".join(f"{t_ms}\n" * (1 + t_ms % 3) for t_ms in range(1, 200))


def wan_ms(run: Recorded) -> list[tuple[int, float]]:
    """When each request was sent, and its way over the path, in ms."""
    return [(record.t_sent_ns // MS, record.parts["up_wan"] / MS) for record in run.requests]


def test_a_delay_is_its_trace_at_the_time_and_no_message_overtakes() -> None:
    """The user asks at 32, 132 and 232 ms; the first request waits 60 ms for its connection."""
    data = with_cloud({"delay": {"kind": "trace", "samples": "0 60, 0.12 20, 0.16 40, 0.3 2"}})
    run = simulate(data)
    assert wan_ms(run) == [(32, 30), (132, 10), (232, 20)]
    assert not run.invariants.broken
    assert run.invariants.checked["causality"] > 0


def test_a_message_behind_a_slower_one_keeps_its_place() -> None:
    """An answer's first chunk leaves at 195 ms with 50 ms before it, its last at 200 ms with 1 ms before it."""
    data = with_cloud({"delay": {"kind": "trace", "samples": "0 100, 0.198 2, 9 2"}})
    run = simulate(data)
    first = run.requests[0]
    assert [t_ns // MS for t_ns in first.chunk_times_ns] == [245, 245]
    assert not run.invariants.broken


def test_a_trace_does_not_keep_a_run_from_ending() -> None:
    data = with_cloud({"delay": {"kind": "trace", "samples": "0 60, 0.001 61"}})
    run = simulate(data)
    assert len(run.requests) == 3
    assert run.virtual_ns < 1000 * MS


def test_a_preset_is_what_its_values_are() -> None:
    preset = simulate(with_cloud({"preset": "leo-satellite"}))
    values = {"delay": "15ms", "rate_up": "10Mbit/s", "rate_down": "100Mbit/s", "loss": "0.1%"}
    written = simulate(
        with_cloud({**values, "jitter": {"kind": "gamma", "mean": "1.1ms", "shape": 0.1, "hold": "100ms"}})
    )
    assert preset.requests == written.requests


def test_cosim_paths_lists_presets_and_refuses_others(capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(lambda: app(["paths"], standalone_mode=False)) == 0
    assert "singapore-mumbai " in capsys.readouterr().out
    assert guarded(lambda: app(["paths", "leo-satelite"], standalone_mode=False)) == 2
    assert "no preset 'leo-satelite'; did you mean leo-satellite" in capsys.readouterr().err


def carried_out(file: Path, directory: Path) -> dict[str, Any]:
    return execute(load(file, environment={}), RunOptions(directory, False, ()), Progress("none", 0))


@pytest.mark.parametrize("kind", ["pipe", pytest.param("ns3", marks=pytest.mark.ns3)])
def test_a_resolved_copy_without_the_files_gives_the_same_run(tmp_path: Path, kind: str) -> None:
    (tmp_path / "ping.csv").write_text(PING)
    (tmp_path / "cell.up").write_text(CELL)
    cloud = {
        "delay": {"kind": "trace", "file": "ping.csv"},
        "jitter": {"kind": "gamma", "mean": "1ms", "shape": 0.5},
        "loss_up": {"kind": "gilbert-elliott", "good_to_bad": "15%", "bad_to_good": "60%"},
        "rate": {"kind": "mahimahi", "file": "cell.up"},
        "discipline_down": "fq-codel",
        "outages": [{"at": "250ms", "duration": "30ms"}],
    }
    data = with_cloud(cloud, duration="1s", validity={"min_requests": 1})
    data["network"]["kind"] = kind
    data["network"]["core"] = {"preset": "national"}
    file = tmp_path / "s.yaml"
    file.write_text(yaml.safe_dump(data))
    summary = carried_out(file, tmp_path / "run")
    assert summary["verdict"] == "VALID", summary["reasons"]
    for name in ("ping.csv", "cell.up"):
        (tmp_path / name).unlink()
    again = carried_out(tmp_path / "run" / "scenario.resolved.yaml", tmp_path / "again")
    for name in ("requests.jsonl", "scenario.resolved.yaml"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "run" / name).read_bytes()
    assert again["paths"] == summary["paths"]
    kinds = {(name, row["key"]): row["kind"] for name, link in summary["paths"].items() for row in link["figures"]}
    assert kinds["paths.cloud", "delay"] == kinds["paths.cloud", "rate"] == "trace"
    assert kinds["core", "delay"] == "assumption"
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["paths"] == summary["paths"]
    html = (tmp_path / "run" / "report.html").read_text()
    assert "half of RTTs of ping.csv: 40 to 92 ms, 30 samples" in html
    assert "1000 km of fibre" in html
    lost = sum(link["dropped_loss"] for link in manifest["links"])
    assert (lost > 0) == (kind == "ns3")
