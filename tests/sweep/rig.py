"""A sweep of stub engines over the pipe, in this process or in one of its own that is disturbed."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from cosim.clock import monotonic_s, sleep_s
from cosim.results.sweep_store import RUNS_TABLE, SUMMARY_TABLE
from cosim.scenario.load import Loaded, load
from tests.lockstep import chat, scenario

# However slow the machine: a sweep that takes longer hangs.
GIVE_UP_S = 120.0
GONE_WITHIN_S = 10.0
GRID = {"network.paths.edge.delay": ["1ms", "20ms"], "clients.0.output_tokens": [2, 3]}
SECTION: dict[str, Any] = {"kind": "grid", "repeats": 2, "parameters": GRID}
ENDLESS = "8000h"


def swept(sweep: dict[str, Any] | None = None, **overrides: Any) -> dict[str, Any]:
    """A scenario of three requests, and a sweep of four points with two runs each unless another is given."""
    arrivals = {"kind": "poisson", "rate": "10/s"}
    data = {"name": "demo", "clients": [chat("user", arrivals=arrivals)], "validity": {"min_requests": 1}}
    return scenario(**{**data, "sweep": sweep or SECTION, **overrides})


def write(file: Path, data: dict[str, Any]) -> Path:
    """A scenario as a file."""
    file.write_text(yaml.safe_dump(data, sort_keys=False))
    return file


def loaded(folder: Path, sweep: dict[str, Any] | None = None, **overrides: Any) -> Loaded:
    """A scenario with a sweep, read from a file."""
    return load(write(folder / "s.yaml", swept(sweep, **overrides)), environment={})


@dataclass
class Sweeping:
    """A sweep in a process of its own."""

    process: subprocess.Popen[str]
    out: Path
    mark: Path

    @property
    def summaries(self) -> list[Path]:
        return sorted(self.out.glob("points/*/*/summary.json"))

    def until(self, done: int) -> None:
        """Wait until a number of runs have ended; fails if the sweep ends before."""
        give_up_s = monotonic_s() + GIVE_UP_S
        while len(self.summaries) < done:
            assert self.process.poll() is None, self.process.stderr and self.process.stderr.read()
            assert monotonic_s() < give_up_s
            sleep_s(0.01)

    def until_requests_of(self, run: str) -> None:
        """Wait until a run is under way."""
        give_up_s = monotonic_s() + GIVE_UP_S
        requests = self.out / "points" / run / "requests.jsonl"
        while not requests.exists() or not requests.stat().st_size:
            assert self.process.poll() is None, self.process.stderr and self.process.stderr.read()
            assert monotonic_s() < give_up_s
            sleep_s(0.01)

    def processes(self) -> dict[int, str]:
        """Every process of this sweep, by what it has in its environment."""
        found = {}
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdecimal() and os.fsencode(self.mark) in (entry / "environ").read_bytes():
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        return found

    def workers(self) -> list[int]:
        return [pid for pid, command in self.processes().items() if "cosim.sweep.worker" in command]

    def worker_after(self, former: int | None = None) -> int:
        """The one worker, which is another than the former: waits until it is there."""
        give_up_s = monotonic_s() + GIVE_UP_S
        while not (found := [pid for pid in self.workers() if pid != former]):
            assert monotonic_s() < give_up_s
            sleep_s(0.01)
        [pid] = found
        return pid

    def ended(self) -> tuple[int, str]:
        """Exit status and what was said; nothing may be left running."""
        _, errors = self.process.communicate(timeout=GIVE_UP_S)
        give_up_s = monotonic_s() + GONE_WITHIN_S
        while (left := self.processes()) and monotonic_s() < give_up_s:
            sleep_s(0.02)
        assert not left, left
        assert "Traceback" not in errors, errors
        return self.process.returncode, errors


def command(file: Path, out: Path, *arguments: str) -> list[str]:
    """The words of a sweep."""
    return [sys.executable, "-m", "cosim", "sweep", str(file), "-o", str(out), "--ui", "none", *arguments]


@contextlib.contextmanager
def sweeping(file: Path, out: Path, *arguments: str) -> Iterator[Sweeping]:
    """A sweep under way; it is killed at the end of the block if it has not ended."""
    mark = out.parent / f"tmp-of-{out.name}"
    mark.mkdir(exist_ok=True)
    process = subprocess.Popen(
        command(file, out, *arguments),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(mark)},
    )
    try:
        yield Sweeping(process, out, mark)
    finally:
        process.kill()
        process.communicate()


def swept_to_the_end(file: Path, out: Path, *arguments: str) -> tuple[int, str]:
    """Exit status of a sweep and what it said."""
    with sweeping(file, out, *arguments) as sweep:
        return sweep.ended()


def tables(out: Path) -> dict[str, bytes]:
    """The tables of a sweep."""
    return {name: (out / name).read_bytes() for name in (RUNS_TABLE, SUMMARY_TABLE)}


def failure(directory: Path) -> dict[str, Any]:
    """The content of failure.json."""
    content: dict[str, Any] = json.loads((directory / "failure.json").read_bytes())
    return content


def is_failed(directory: Path) -> bool:
    """Whether a run says that it was not carried out to its end, its report included."""
    return (directory / "failure.json").exists()
