"""`cosim sweep` and what other commands do with a sweep."""

from __future__ import annotations

import dataclasses
import datetime
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from cosim import cli
from cosim.results.manifest import mapping
from cosim.results.store import read_manifest
from cosim.sweep.base import Outcome
from cosim.sweep.local import LocalExecutor
from cosim.sweep.points import placed_points
from cosim.sweep.tasks import resolved_points, tasks_of
from tests.sweep.rig import ENDLESS, failure, loaded, swept, write

TOKENS = "clients.0.output_tokens"


def cosim(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    """Exit status of a command in this process."""
    monkeypatch.setattr(sys, "argv", ["cosim", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def points(*values: dict[str, Any], repeats: int = 1) -> dict[str, Any]:
    return {"kind": "list", "repeats": repeats, "points": list(values)}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def test_the_help_names_what_points_and_merge_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cosim(monkeypatch, "sweep", "--help") == 0
    text = capsys.readouterr().out
    assert "The word `points` may be left out." in text
    assert "`cosim sweep merge DIR... -o DIR` makes one sweep" in text


def test_a_sweep_ends_with_a_table_and_says_which_runs_are_invalid(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "s.yaml", swept(points({}, {"validity.min_requests": 1000}, repeats=2)))
    assert cosim(monkeypatch, "sweep", file, "-o", out, "-j", "1", "--ui", "none") == 4
    told = capsys.readouterr()
    head, *rows = [line.split("  ") for line in told.out.splitlines()]
    assert (head[0], [row[0] for row in rows]) == ("point", ["base", "min_requests=1000"])
    assert "4 of 4 runs done, 0 failed, 2 INVALID" in told.err
    assert f"report: {out}/report.html" in told.err
    assert cosim(monkeypatch, "sweep", file, "-o", out, "--resume", "--ui", "none", "--json") == 4
    assert json.loads(capsys.readouterr().out) == {
        "directory": str(out),
        "name": "demo",
        "points": 2,
        "paired": True,
        "shard": None,
        "runs": {"total": 4, "done": 4, "done_before": 4, "invalid": 2, "failed": 0, "left": 0},
        "failed": [],
        "tables": [str(out / name) for name in ("runs.csv", "summary.csv", "report.html")],
    }


@pytest.fixture
def failing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sweep of three runs, of which the second repeats a recording of fewer requests, and fails."""
    alone = swept(duration="100ms")
    del alone["sweep"]
    recording = tmp_path / "recording"
    assert cosim(monkeypatch, "run", write(tmp_path / "r.yaml", alone), "-o", recording, "--ui", "none") == 0
    replay = {"tiers.edge.engine": {"kind": "replay", "run": str(recording)}}
    section = {**points({}, replay, {TOKENS: 3}), "time_limit": "60s"}
    return write(tmp_path / "s.yaml", swept(section))


def test_a_sweep_stops_after_a_failed_run_unless_it_is_to_go_on(
    failing: Path, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cosim(monkeypatch, "sweep", failing, "-o", out, "-j", "1", "--ui", "none") == 3
    told = capsys.readouterr().err
    assert "engine=kind-replay-run" in told
    assert "stopped at the first failed run with 1 left" in told
    [directory] = [path.parent for path in out.glob("points/*/*/failure.json")]
    assert failure(directory)["status"] == "failed"
    assert cosim(monkeypatch, "sweep", failing, "-o", out, "--resume", "--continue-on-error", "--ui", "none") == 3
    told = capsys.readouterr().err
    assert "2 of 3 runs done, 1 failed, 0 INVALID" in told
    assert (out / "points" / "output_tokens=3" / "run=0" / "summary.json").exists()


def test_fail_fast_interrupts_the_others(
    failing: Path, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It ends although one of the others never would."""
    settings = ["--set", f"sweep.points.0={{duration: {ENDLESS}}}"]
    assert cosim(monkeypatch, "sweep", failing, "-o", out, "-j", "2", "--fail-fast", "--ui", "none", *settings) == 3
    assert "0 of 3 runs done, 1 failed" in capsys.readouterr().err
    assert failure(out / "points" / f"duration={ENDLESS}" / "run=0")["status"] == "interrupted"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--num-runs", "1000"], "s.yaml:42: sweep: is of 20000 runs (20 points x 1000); at most 10000, or pass --yes"),
        (["--continue-on-error", "--fail-fast"], "--fail-fast: given beside --continue-on-error; one of the two"),
        (["--resume", "--force"], "--force: given beside --resume; one of the two"),
        (["--set", "sweep=null"], "sweep: is missing, so there is nothing to sweep"),
        (
            ["--seed", "9223372036854775806", "--num-runs", "3", "--dry-run"],
            "--set seed=9223372036854775806: seed: 9223372036854775806 leaves no seed for the last of 3 runs of each "
            "point; at most 9223372036854775805",
        ),
    ],
)
def test_what_is_refused_starts_nothing(
    arguments: list[str],
    told: str,
    tmp_path: Path,
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    grid = {"kind": "grid", "parameters": {TOKENS: list(range(1, 21))}}
    file = write(tmp_path / "s.yaml", swept(grid))
    assert cosim(monkeypatch, "sweep", file, "-o", out, *arguments) == 2
    assert told in capsys.readouterr().err
    assert not out.exists()


def test_the_directory_of_a_run_is_refused(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`cosim run` on the file of a sweep runs what stands beside the sweep, and says so."""
    file = write(tmp_path / "s.yaml", swept())
    assert cosim(monkeypatch, "run", file, "-o", out, "--ui", "none") == 0
    assert "has a sweep, of which this runs the scenario itself" in capsys.readouterr().err
    assert "sweep" not in (out / "scenario.resolved.yaml").read_text()
    assert cosim(monkeypatch, "sweep", file, "-o", out, "--ui", "none") == 2
    assert f"{out} holds a run (manifest.json); choose another directory with -o" in capsys.readouterr().err


def test_points_are_listed_and_checked_without_a_run(
    tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path / "s.yaml", swept(points({TOKENS: 2}, {TOKENS: 3}, repeats=2)))
    assert cosim(monkeypatch, "sweep", file, "-o", out, "--dry-run", "--seed", "8") == 0
    assert capsys.readouterr().out.splitlines() == [
        f"points/output_tokens={tokens}/run={number}  seed {8 + number}" for tokens in (2, 3) for number in (0, 1)
    ]
    settings = ["--set", f"sweep.points.1.{TOKENS}=9", "--num-runs", "1"]
    assert cosim(monkeypatch, "sweep", file, "-o", out, "--dry-run", *settings) == 0
    assert capsys.readouterr().out.splitlines()[1] == "points/output_tokens=9/run=0  seed 1"
    assert not out.exists()
    assert cosim(monkeypatch, "validate", file) == 0
    assert capsys.readouterr().out.splitlines()[1] == "sweep: 2 point(s) x 2 run(s) = 4"
    assert cosim(monkeypatch, "plan", file) == 0
    assert capsys.readouterr().out.splitlines()[-3:] == [
        "sweep: 2 point(s) x 2 run(s) = 4",
        "  output_tokens=2",
        "  output_tokens=3",
    ]
    for command in ("validate", "plan"):
        assert cosim(monkeypatch, command, file, "--set", f"sweep.points.1={{{TOKENS}: 0}}") == 2
        assert "sweep.points[1].clients.0.output_tokens: 0 is not allowed" in capsys.readouterr().err


def test_runs_that_execute_steps_are_never_at_it_at_a_time(tmp_path: Path) -> None:
    """Whatever -j: such a run is alone, whether the others execute steps or not."""
    base = loaded(tmp_path, {"kind": "list", "repeats": 6, "points": [{}]})
    [(placed, resolved)] = resolved_points(base, placed_points(base), runnable=True)
    tasks = [
        dataclasses.replace(task, executed_on=("cpu",) if task.number in (1, 2, 4) else ())
        for task in tasks_of(base, placed, resolved)
    ]
    ended: list[Outcome] = []
    LocalExecutor(2).execute(tmp_path, tasks, lambda outcome: ended.append(outcome) or True)  # type: ignore[func-returns-value]
    assert [outcome.status for outcome in ended] == ["done"] * 6

    def span(number: int) -> tuple[datetime.datetime, datetime.datetime]:
        manifest = mapping(read_manifest(tmp_path / tasks[number].directory))
        started, ended = (datetime.datetime.fromisoformat(manifest[key]) for key in ("started", "ended"))
        return started, ended

    for alone in (1, 2, 4):
        started, stopped = span(alone)
        for other in set(range(6)) - {alone}:
            began, gone = span(other)
            assert gone <= started or began >= stopped
