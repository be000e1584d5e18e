"""A machine that misbehaves: full and read-only disks, vanished directories, closed streams, clocks, endless logs."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cosim.bridge.log_keeper import HEAD_BYTES, TAIL_BYTES
from cosim.clock import monotonic_s, sleep_s
from tests.faults.machine import disk, jumping_clock, resize
from tests.faults.rig import (
    GIVE_UP_S,
    PHASES,
    Injection,
    check_another_run,
    check_end,
    check_remains,
    injection,
    misbehaving,
    moments,
)

pytestmark = pytest.mark.ns3

many = pytest.mark.many_faults
MIB = 2**20
LEAST_KIB, MOST_KIB = 4, 1024


@pytest.mark.parametrize("endless", [pytest.param(True, id="endless"), pytest.param(False, id="short", marks=many)])
@pytest.mark.parametrize("number", [0, *(pytest.param(number, marks=many) for number in range(1, 4))])
def test_a_full_disk(endless: bool, number: int, seed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is full at the first file, at a record, or at the report; what is complete on it stays readable."""
    kib = round(LEAST_KIB * (MOST_KIB / LEAST_KIB) ** ((number + 0.5) / 4))
    with disk(f"size={kib}k") as place, injection(seed, endless=endless, output=place) as (run, _):
        run.moment = f"after {kib} KiB"
        code = run.ended()
        run.expect(code == 3 or (code == 0 and not endless), f"exit status {code}")
        run.expect("Traceback" not in run.errors, "a traceback")
        run.expect(code == 0 or "No space left on device" in run.errors, "nothing says that the disk is full")
        check_remains(run, monkeypatch, reports=(0, 2, 3), again=False)
        resize(place, "size=64m")
        check_another_run(run, monkeypatch)


@pytest.mark.parametrize("number", [pytest.param(number, marks=many) for number in range(2)])
def test_a_limit_of_file_sizes(number: int, seed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The full disk of a user who may not mount: EFBIG instead of ENOSPC."""
    kib = (40, 200)[number]
    limited = ["bash", "-c", 'ulimit -f "$0" && exec "$@"', str(kib)]
    with injection(seed, endless=True, command=lambda words: limited + words) as (run, _):
        run.moment = f"after {kib} KiB"
        check_end(run, (3,), "File too large")
        check_remains(run, monkeypatch)


def test_a_read_only_disk(seed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with disk("ro") as place, injection(seed, endless=False, output=place) as (run, _):
        code = run.ended()
        run.expect(code == 2, f"exit status {code}")
        run.expect("Read-only file system" in run.errors and "-o" in run.errors, "nothing says what to do")
        run.expect("Traceback" not in run.errors, "a traceback")
        check_remains(run, monkeypatch, again=False)
        resize(place, "rw")
        check_another_run(run, monkeypatch)


@pytest.mark.parametrize(("phase", "number"), moments(1, end=2, start=2, finish=1))
def test_a_run_directory_that_vanishes(phase: str, number: int, seed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with injection(seed, endless=False) as (run, dice):
        run.reach(phase, dice.uniform(0, PHASES[phase] / 2))
        give_up_s = monotonic_s() + GIVE_UP_S
        while run.out.exists() and monotonic_s() < give_up_s:
            shutil.rmtree(run.out, ignore_errors=True)
        code = run.ended()
        run.expect(code in (0, 3), f"exit status {code}")
        run.expect("Traceback" not in run.errors, "a traceback")
        run.expect(code == 0 or str(run.out) in run.errors, "nothing names the directory")
        check_remains(run, monkeypatch, reports=(2,))


STREAMS = {
    ">&-": (0,),
    "2>&-": (0,),
    "<&-": (0,),
    "<&- >&- 2>&-": (0,),
    ">/dev/full": (3,),
    "2>/dev/full": (0,),
    "| true": (0, 3),
    "2>&1 | head -c 1": (0, 3),
    "--json | head -c 1": (0, 3),
    "--ui plain 2>/dev/full": (0,),
    "--ui rich 2>&-": (0,),
}


@pytest.mark.parametrize(
    "redirection", [words if words == "<&- >&- 2>&-" else pytest.param(words, marks=many) for words in STREAMS]
)
def test_closed_and_full_streams(redirection: str, seed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has to read what is printed: the records are what counts."""
    shell = ["bash", "-c", f'set -o pipefail; "$@" {redirection}', "bash"]
    with injection(seed, endless=False, command=lambda words: shell + words) as (run, _):
        code = run.ended()
        run.expect(code in STREAMS[redirection], f"exit status {code}")
        run.expect("Traceback" not in run.errors, "a traceback")
        run.expect(json.loads((run.out / "summary.json").read_bytes())["verdict"] == "VALID", "not VALID")
        check_remains(run, monkeypatch)


@many
def test_a_clock_that_jumps(seed: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every reading of the time of day is another day, in cosim and its children: the run is the same to the byte."""
    requests = []
    for environment in ({}, {"LD_PRELOAD": str(jumping_clock(tmp_path))}):
        with injection(seed, endless=False, environment=environment) as (run, _):
            check_end(run, (0,))
            requests.append((run.out / "requests.jsonl").read_bytes())
            manifest = run.manifest()
            check_remains(run, monkeypatch)
    assert requests[0] == requests[1]
    started, ended = (datetime.datetime.fromisoformat(manifest[key]) for key in ("started", "ended"))
    assert abs(ended - started) > datetime.timedelta(hours=12), "the clock did not jump"
    assert 0 < manifest["wall_ns"] < GIVE_UP_S * 1e9


def largest_while_running(run: Injection) -> int:
    """The most bytes that the logs took on the disk, at any time until the run ended."""
    largest, give_up_s = 0, monotonic_s() + GIVE_UP_S
    while run.process.poll() is None and monotonic_s() < give_up_s:
        with contextlib.suppress(FileNotFoundError):
            largest = max(largest, sum(file.stat().st_blocks * 512 for file in (run.out / "logs").iterdir()))
        sleep_s(0.005)
    return largest


@pytest.mark.parametrize("gib", [2, pytest.param(10, marks=many)])
@pytest.mark.parametrize("kind", ["flood", pytest.param("drown", marks=many)])
def test_a_child_that_writes_without_end(kind: str, gib: int, seed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log holds its head and its tail; the run goes on, or shows the last lines of a child that then dies."""
    limits = {"silence": "100s", "start": "100s"}
    with injection(seed, endless=False, environment=misbehaving(f"{kind} {gib}:50"), limits=limits) as (run, _):
        largest = largest_while_running(run)
        run.expect(largest <= HEAD_BYTES + TAIL_BYTES + MIB, f"the logs took {largest} bytes")
        if kind == "flood":
            check_end(run, (0,))
        else:
            check_end(run, (3,), "ended with exit status 9", "the last words of a flood", peer="ns-3 network")
        log = (run.out / "logs" / "ns3.log").read_bytes()
        run.expect(log.startswith(b"about to misbehave"), "the head of the log is lost")
        run.expect(b"[cosim left out" in log, "nothing says what was left out")
        run.expect(log.endswith(b"the last words of a flood\n"), "the tail of the log is lost")
        check_remains(run, monkeypatch)


@many
def test_many_starts_at_once_leave_nothing(seed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs that start and sweep at the same time do not take one another's folders for abandoned."""
    with injection(seed, endless=False) as (run, _):
        run.ended()
        pipe = ["--set", "network.kind=pipe", "--set", "duration=300ms", "--ui", "none"]
        words = [sys.executable, "-m", "cosim", "run", str(run.folder / "scenario.yaml"), *pipe]
        environment = {**os.environ, "TMPDIR": str(run.temporary)}
        others = [
            subprocess.Popen(
                [*words, "-o", str(run.folder / f"other-{index}")], env=environment, stdout=subprocess.DEVNULL
            )
            for index in range(4)
        ]
        run.expect([other.wait() for other in others] == [0] * 4, "one of four runs at once failed")
        check_remains(run, monkeypatch)
