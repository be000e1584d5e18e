"""A short run of the command in which something is broken at a random moment, and what must hold afterwards."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from cosim import cli
from cosim.clock import monotonic_s, sleep_s
from tests.lockstep import chat, scenario

NS3 = "ns3_scenarios.process"
MISBEHAVE = Path(__file__).parent / "misbehave"
# However slow the machine: a run that takes longer hangs.
GIVE_UP_S = 120.0
GONE_WITHIN_S = 10.0

# Seconds after a phase has begun within which the moment of an injection lies.
PHASES = {"boot": 0.4, "start": 2.0, "loop": 0.8, "end": 2.0, "finish": 1.0}
ENDLESS = ("boot", "start", "loop")


def moments(sample: int, **phases: int) -> list[Any]:
    """Phase and number of each injection of a kind; all but one of each of `sample` phases only with --faults."""
    first = list(phases)[:sample]
    return [
        pytest.param(phase, number, marks=() if number == 0 and phase in first else pytest.mark.many_faults)
        for phase, count in phases.items()
        for number in range(count)
    ]


def write_scenario(file: Path, *, endless: bool, **overrides: Any) -> None:
    """Stub engines behind ns-3, for hours of virtual time or for some seconds."""
    data = scenario(
        duration="8000h" if endless else "4s",
        clients=[chat("user", count=8)],
        validity={"min_requests": 1},
        **{"limits": {"silence": "2s", "start": "60s"}, **overrides},
    )
    data["network"] |= {"kind": "ns3", "paths": {"edge": {"delay": "5ms", "rate": "50Mbit/s"}}}
    file.write_text(yaml.safe_dump(data, sort_keys=False))


@dataclass
class Injection:
    """One run: where its files lie, how it was started, and how it went."""

    folder: Path
    seed: str
    process: subprocess.Popen[bytes]
    moment: str = "?"
    found: list[str] = field(default_factory=list)

    @property
    def out(self) -> Path:
        return self.folder / "out"

    @property
    def temporary(self) -> Path:
        return self.folder / "tmp"

    @property
    def errors(self) -> str:
        return (self.folder / "stderr").read_text(errors="replace")

    def expect(self, holds: object, otherwise: str) -> None:
        """Note what does not hold."""
        if not holds:
            self.found.append(otherwise)

    def manifest(self) -> dict[str, Any]:
        """manifest.json; empty while there is none."""
        try:
            content: dict[str, Any] = json.loads((self.out / "manifest.json").read_bytes())
        except FileNotFoundError:
            return {}
        return content

    def in_phase(self, phase: str) -> bool:
        """Whether a phase of the run has begun."""
        match phase:
            case "loaded":
                return "pydantic_core" in Path(f"/proc/{self.process.pid}/maps").read_text()
            case "start":
                return bool(self.manifest())
            case "loop":
                return any(path.exists() and path.stat().st_size for path in [self.out / "steps.jsonl"])
            case "end":
                return bool(self.manifest().get("children"))
            case "finish":
                return self.manifest().get("status") == "finished"
        return True

    def reach(self, phase: str, after_s: float) -> None:
        """Wait until a phase has begun and some time has gone, or the run has ended."""
        give_up_s = monotonic_s() + GIVE_UP_S
        while not self.in_phase(phase) and self.process.poll() is None and monotonic_s() < give_up_s:
            sleep_s(0.005)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(after_s)
        self.moment = f"{after_s:.3f} s after the beginning of {phase}"

    def ended(self) -> int:
        """Wait for the end; the exit status."""
        try:
            return self.process.wait(GIVE_UP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.expect(False, f"still running after {GIVE_UP_S:g} s")
            return self.process.wait()

    def processes(self) -> dict[int, str]:
        """Every process that this run has started, itself included, by what it has in its environment."""
        mark, found = os.fsencode(self.temporary), {}
        for entry in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if entry.name.isdecimal() and mark in (entry / "environ").read_bytes():
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        return found

    def child(self, module: str) -> int | None:
        """Process id of the child that runs a module."""
        return next((pid for pid, command in self.processes().items() if f"-m {module}" in command), None)

    def signal_child(self, module: str, number: signal.Signals) -> bool:
        """Send a signal to a child; whether there was one."""
        pid = self.child(module)
        if pid is None:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
            return True
        return False


@contextlib.contextmanager
def injection(
    seed: str,
    *,
    endless: bool,
    output: Path | None = None,
    command: Callable[[list[str]], list[str]] = lambda words: words,
    environment: dict[str, str] | None = None,
    **overrides: Any,
) -> Iterator[tuple[Injection, random.Random]]:
    """A run under way; at the end of the block everything that was found is told with seed and moment."""
    # Short, because a socket's path is; pytest's own folders are not.
    folder = Path(tempfile.mkdtemp(prefix="faults-", dir="/tmp"))
    try:
        (folder / "tmp").mkdir()
        if output is not None:
            (folder / "out").symlink_to(output)
        file = folder / "scenario.yaml"
        write_scenario(file, endless=endless, **overrides)
        words = [sys.executable, "-m", "cosim", "run", str(file), "-o", str(folder / "out"), "--ui", "none"]
        with (folder / "stdout").open("wb") as stdout, (folder / "stderr").open("wb") as stderr:
            process = subprocess.Popen(
                command(words),
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                env={**os.environ, "TMPDIR": str(folder / "tmp"), **(environment or {})},
            )
        run = Injection(folder, seed, process)
        try:
            yield run, random.Random(seed)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        assert run.found == [], f"seed {seed!r}, {run.moment}, exit {process.returncode}\n{run.errors[-3000:]}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def misbehaving(fault: str) -> dict[str, str]:
    """Environment in which the ns-3 process does something wrong; see misbehave/sitecustomize.py."""
    path = os.pathsep.join(filter(None, [str(MISBEHAVE), os.environ.get("PYTHONPATH")]))
    return {"PYTHONPATH": path, "FAULT": fault}


def check_end(run: Injection, codes: tuple[int, ...], *says: str, peer: str | None = None) -> int:
    """Exit status, message and what the files say of the end; returns the exit status."""
    code, errors = run.ended(), run.errors
    run.expect(code in codes, f"exit status {code}, not one of {codes}")
    run.expect("Traceback" not in errors, "a traceback")
    if code > 0:
        for text in says:
            run.expect(text in errors, f"nothing says {text!r}")
    interrupted = dict.fromkeys((130, 143, -signal.SIGINT), "interrupted")
    status = {0: "finished", 3: "failed", **interrupted}.get(code)
    if status is not None and run.manifest():
        run.expect(run.manifest()["status"] == status, f"the manifest says {run.manifest()['status']}")
        failure = run.out / "failure.json"
        run.expect(failure.exists() == (code != 0), "failure.json is missing, or there without a failure")
        if failure.exists():
            told = json.loads(failure.read_bytes())
            run.expect(told["status"] == status, f"failure.json says {told['status']}")
            run.expect(told["peer"] == peer, f"failure.json blames {told['peer']}")
        if code == 0:
            run.expect(json.loads((run.out / "summary.json").read_bytes())["verdict"] == "VALID", "not VALID")
    return code


def check_remains(
    run: Injection, monkeypatch: pytest.MonkeyPatch, *, reports: tuple[int, ...] = (), again: bool = True
) -> None:
    """Records, processes, sockets and temporary files; a report of what is left, and another run in its place.

    `reports`: how `cosim report` may end where the run directory is damaged.
    """
    give_up_s = monotonic_s() + GONE_WITHIN_S
    while (left := run.processes()) and monotonic_s() < give_up_s:
        sleep_s(0.02)
    run.expect(not left, f"still running: {left}")
    if run.process.returncode != -signal.SIGKILL:
        run.expect(not os.listdir(run.temporary), f"left in the temporary folder: {os.listdir(run.temporary)}")
    for name in ("requests.jsonl", "steps.jsonl"):
        run.expect(*_readable(run.out / name))
    for name in ("manifest.json", "failure.json", "summary.json"):
        if (run.out / name).exists():
            run.expect(isinstance(json.loads((run.out / name).read_bytes()), dict), f"{name} is no object")
    complete = (run.out / "manifest.json").exists() and (run.out / "steps.jsonl").exists()
    code, errors = in_process(monkeypatch, run, "report", str(run.out))
    allowed = reports or ((0,) if complete else (0, 2))
    run.expect(code in allowed, f"report ended with {code}: {errors}")
    if again:
        check_another_run(run, monkeypatch)


def check_another_run(run: Injection, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another run takes the directory over and sweeps what a killed one left."""
    file, pipe = run.folder / "scenario.yaml", ["--set", "network.kind=pipe", "--set", "duration=300ms"]
    pipe += ["--set", "tiers.edge.engine={kind: stub}"]
    words = ["run", str(file), "-o", str(run.out), "--force", "--ui", "none", *pipe]
    code, errors = in_process(monkeypatch, run, *words)
    run.expect(code == 0, f"a run after it ended with {code}: {errors}")
    run.expect(not os.listdir(run.temporary), f"not swept: {os.listdir(run.temporary)}")
    run.expect(not list(run.out.rglob("*.tmp")), "a temporary file is left in the run directory")
    run.expect(not (run.out / "failure.json").exists(), "failure.json of the run before is left")


def _readable(file: Path) -> tuple[bool, str]:
    """Whether every complete line of a record parses."""
    lines = file.read_bytes().split(b"\n")[:-1] if file.exists() else []
    for number, line in enumerate(lines, 1):
        try:
            json.loads(line)
        except ValueError as error:
            return False, f"{file.name}:{number}: {error}"
    return True, ""


def in_process(monkeypatch: pytest.MonkeyPatch, run: Injection, *arguments: str) -> tuple[int, str]:
    """Exit code and stderr of a command that runs in this process, with the run's temporary folder."""
    errors = io.StringIO()
    with monkeypatch.context() as patch, (run.folder / "output").open("w") as output:
        patch.setattr(sys, "argv", ["cosim", *arguments])
        patch.setattr(tempfile, "tempdir", str(run.temporary))
        # A real file: cosim turns a broken standard output off.
        patch.setattr(sys, "stdout", output)
        patch.setattr(sys, "stderr", errors)
        with pytest.raises(SystemExit) as ended:
            cli.main()
    assert isinstance(ended.value.code, int)
    return ended.value.code, errors.getvalue()
