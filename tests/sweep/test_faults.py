"""Sweeps that are interrupted, killed, starved and tampered with: nothing is lost, nothing is left running."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest

from cosim.results.sweep_store import read_sweep, run_directory
from tests.faults.machine import disk, resize
from tests.sweep.rig import ENDLESS, SECTION, failure, is_failed, sweeping, swept, swept_to_the_end, tables, write

# A point that ends only when it is told to.
LAST_HANGS: dict[str, Any] = {
    "kind": "list",
    "repeats": 1,
    "points": [{}, {"clients.0.output_tokens": 3}, {"duration": ENDLESS}],
}
HANGING = f"duration={ENDLESS}/run=0"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "s.yaml", swept())


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The tables of a sweep that was left alone."""
    folder = tmp_path_factory.mktemp("undisturbed")
    file = write(folder / "s.yaml", swept())
    code, errors = swept_to_the_end(file, folder / "out", "-j", "2")
    assert (code, read_sweep(folder / "out").paired) == (0, True), errors
    return tables(folder / "out")


@pytest.mark.parametrize(("told", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_a_sweep_that_is_stopped_goes_on(
    told: signal.Signals, code: int, file: Path, tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    """Workers end with the driver however it ends; what was done is left alone, and the tables are the same."""
    out = tmp_path / "out"
    with sweeping(file, out, "-j", "2") as sweep:
        sweep.until(done=3)
        sweep.process.send_signal(told)
        ended, errors = sweep.ended()
        assert ended == code, errors
        assert told == signal.SIGKILL or "the same command with --resume goes on" in errors
        done = {path: path.stat().st_mtime_ns for path in sweep.summaries if not is_failed(path.parent)}
    assert 1 <= len(done) < 8
    code, errors = swept_to_the_end(file, out, "--resume")
    assert code == 0, errors
    assert f"{len(done)} of them done before" in errors
    assert done == {path: path.stat().st_mtime_ns for path in done}
    assert not any(is_failed(path.parent) for path in sweep.summaries)
    assert tables(out) == undisturbed


def test_workers_end_with_their_driver_whatever_they_are_at(tmp_path: Path) -> None:
    file = write(tmp_path / "s.yaml", swept({"kind": "list", "repeats": 1, "points": [{"duration": ENDLESS}]}))
    with sweeping(file, tmp_path / "out") as sweep:
        sweep.until_requests_of(HANGING)
        sweep.process.kill()
        sweep.ended()


def test_a_worker_that_is_killed_costs_its_run_a_second_try(
    file: Path, tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    with sweeping(file, tmp_path / "out", "-j", "1") as sweep:
        sweep.until(done=2)
        [worker] = sweep.workers()
        os.kill(worker, signal.SIGKILL)
        code, errors = sweep.ended()
    assert code == 0, errors
    assert tables(tmp_path / "out") == undisturbed


def test_a_run_whose_worker_is_killed_twice_has_failed(tmp_path: Path) -> None:
    file = write(tmp_path / "s.yaml", swept(LAST_HANGS))
    with sweeping(file, tmp_path / "out", "-j", "1") as sweep:
        sweep.until_requests_of(HANGING)
        worker = sweep.worker_after()
        os.kill(worker, signal.SIGKILL)
        os.kill(sweep.worker_after(worker), signal.SIGKILL)
        code, errors = sweep.ended()
    assert code == 3, errors
    told = failure(tmp_path / "out" / "points" / HANGING)
    assert told["status"] == "failed"
    assert "its worker was killed by SIGKILL, 2 times" in told["text"]
    assert "2 of 3 runs done, 1 failed" in errors


@pytest.mark.parametrize("stopped", [False, True], ids=["busy", "stopped"])
def test_a_run_that_takes_too_long_is_given_up(tmp_path: Path, stopped: bool) -> None:
    """Also one whose process does not react."""
    hangs = {"kind": "list", "repeats": 1, "points": [{"duration": ENDLESS}], "time_limit": "2s"}
    file, out = write(tmp_path / "s.yaml", swept(hangs)), tmp_path / "out"
    with sweeping(file, out, "-j", "1") as sweep:
        worker = sweep.worker_after()
        if stopped:
            sweep.until_requests_of(HANGING)
            os.kill(worker, signal.SIGSTOP)
        code, errors = sweep.ended()
    assert code == 3, errors
    text = "took longer than its time limit of 2 s (sweep.time_limit)"
    assert failure(out / "points" / HANGING)["text"] == text
    assert "0 of 1 runs done, 1 failed" in errors
    with sweeping(file, out, "--resume") as sweep:
        sweep.worker_after()
        sweep.process.send_signal(signal.SIGINT)
        code, errors = sweep.ended()
    assert code == 130
    assert f"again: points/{HANGING}: failed: {text}" in errors


def test_damaged_and_foreign_runs_are_carried_out_again(
    file: Path, tmp_path: Path, undisturbed: dict[str, bytes]
) -> None:
    out = tmp_path / "out"
    swept_to_the_end(file, out)
    slugs = [point.slug for point in read_sweep(out).points]
    first, second, third, fourth = (run_directory(out, slug, 1) for slug in slugs[:4])
    whole = (first / "summary.json").read_bytes()
    (first / "summary.json").write_bytes(whole[: len(whole) // 2])
    shutil.rmtree(second)
    shutil.copytree(first, second)
    (second / "summary.json").write_bytes(whole)
    (third / "manifest.json").write_text("{")
    (fourth / "summary.json").unlink()
    code, errors = swept_to_the_end(file, out, "--resume")
    assert code == 0, errors
    assert [line.partition("/run=1: ")[2] for line in errors.splitlines() if line.startswith("again: ")] == [
        "summary.json is damaged",
        "manifest.json is of another scenario",
        "manifest.json is damaged",
        "was not finished",
    ]
    assert "4 of them done before" in errors
    assert tables(out) == undisturbed


def test_a_changed_file_is_refused_with_the_difference(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with sweeping(file, out) as sweep:
        sweep.until(done=1)
        sweep.process.send_signal(signal.SIGINT)
        sweep.ended()
    write(file, swept({**SECTION, "repeats": 3}, duration="400ms"))
    code, errors = swept_to_the_end(file, out, "--resume")
    assert code == 2
    assert "holds a sweep of another scenario" in errors
    for line in ("-duration: 300ms", "+duration: 400ms", "-  repeats: 2", "+  repeats: 3"):
        assert line in errors.splitlines()


def test_a_sweep_is_not_written_over(file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with sweeping(file, out) as sweep:
        sweep.until(done=1)
        code, errors = swept_to_the_end(file, out, "--resume")
        assert (code, "another sweep is writing into" in errors) == (2, True), errors
        sweep.process.send_signal(signal.SIGINT)
        sweep.ended()
    code, errors = swept_to_the_end(file, out)
    assert (code, "already holds a sweep; --resume goes on with it" in errors) == (2, True), errors
    write(file, swept({**SECTION, "repeats": 1, "parameters": {"clients.0.output_tokens": [5]}}))
    (out / "notes.txt").write_text("of the user")
    code, errors = swept_to_the_end(file, out, "--force")
    assert code == 0, errors
    assert [path.name for path in (out / "points").iterdir()] == ["output_tokens=5"]
    assert (out / "notes.txt").exists()


def test_a_full_disk_ends_a_sweep_that_then_goes_on(file: Path, undisturbed: dict[str, bytes]) -> None:
    with disk("size=600k") as place:
        code, errors = swept_to_the_end(file, place / "out")
        assert code == 3, errors
        assert f"the disk of {place}/out is full: free some of it, then go on with --resume" in errors
        assert os.strerror(errno.ENOSPC) in errors
        resize(place, "size=64m")
        code, errors = swept_to_the_end(file, place / "out", "--resume")
        assert code == 0, errors
        assert tables(place / "out") == undisturbed


def test_what_was_swept_is_known_before_the_first_run(tmp_path: Path, file: Path) -> None:
    with sweeping(file, tmp_path / "out") as sweep:
        while not sweep.workers():
            assert sweep.process.poll() is None
        stored = json.loads((tmp_path / "out" / "sweep.json").read_bytes())
        assert (tmp_path / "out" / "sweep.resolved.yaml").exists()
    assert [point["slug"] for point in stored["points"]][:2] == [
        "delay=1ms,output_tokens=2",
        "delay=1ms,output_tokens=3",
    ]
    assert stored["seeds"] == [1, 2]
