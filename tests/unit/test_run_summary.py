"""A summary.json that no run has written is damaged: its run is carried out again, and none of its figures is used."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cosim.results.store import ResultsError
from cosim.results.sweep_report import write_sweep_report
from cosim.results.sweep_runs import read_runs
from cosim.results.sweep_store import SWEEP_SCENARIO, read_sweep, run_directory
from cosim.results.sweep_tables import sweep_rows, write_tables
from cosim.sweep.directory import run_state
from tests.results_factory import S, ended
from tests.sweep_factory import write_sweep

Damage = Callable[[dict[str, Any]], Any]


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Two points of one run."""
    points = {f"delay={delay}": {"network.paths.edge.delay": delay} for delay in ("1ms", "2ms")}
    directory = write_sweep(tmp_path / "sweep", points, lambda values, seed: [ended("r-1", 0, S)], seeds=[1])
    (directory / SWEEP_SCENARIO).write_text("duration: 10s\n")
    return directory


def set_at(*keys: Any, value: object) -> Damage:
    def damage(summary: dict[str, Any]) -> None:
        node: Any = summary
        for key in keys[:-1]:
            node = node[key]
        node[keys[-1]] = value

    return damage


DAMAGES: dict[str, Damage] = {
    "no qualifiers": lambda summary: summary.pop("qualifiers"),
    "no clock": lambda summary: summary.pop("clock"),
    "no loop": lambda summary: summary.pop("loop"),
    "only a verdict": lambda summary: [summary.pop(key) for key in list(summary) if key != "verdict"],
    "another verdict": set_at("verdict", value=1),
    "a figure as text": set_at("tiers", "edge", "mean_e2el_ms", value="456"),
    "a count as text": set_at("tiers", "edge", "n", value="1"),
    "parts as a list": set_at("tiers", "edge", "parts_ms", value=[]),
    "no percentiles": set_at("tiers", "edge", "e2el_of_all_ms", value={}),
    "an unknown ground": set_at("tiers", "edge", "basis", "steps", value={"guessed": 1}),
    "no deadline": lambda summary: summary["sla"][0].pop("deadline_ms"),
    "a path without figures": set_at("paths", value={"edge": {"preset": None}}),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_what_no_run_has_written_counts_as_missing(sweep: Path, damage: Damage) -> None:
    run = run_directory(sweep, "delay=1ms", 0)
    content = json.loads((run / "summary.json").read_bytes())
    scenario_hash = json.loads((run / "manifest.json").read_bytes())["scenario_hash"]
    assert run_state(run, scenario_hash).verdict == content["verdict"]
    damage(content)
    (run / "summary.json").write_text(json.dumps(content))
    assert run_state(run, scenario_hash).why == "summary.json is damaged"
    assert {row.point.slug: row.status for row in sweep_rows(sweep)} == {"delay=1ms": "missing", "delay=2ms": "done"}
    assert [run.state == "missing" for run in read_runs(sweep, read_sweep(sweep))] == [True, False]


def test_a_sweep_with_a_damaged_summary_has_its_tables_and_report(sweep: Path) -> None:
    (run_directory(sweep, "delay=1ms", 0) / "summary.json").write_text('{"verdict": "VALID"}')
    write_tables(sweep)
    assert write_sweep_report(sweep).exists()
    (sweep / SWEEP_SCENARIO).write_bytes(b"\xff")
    with pytest.raises(ResultsError, match=r"sweep\.resolved\.yaml: is not UTF-8 text; restore the file"):
        write_sweep_report(sweep)
