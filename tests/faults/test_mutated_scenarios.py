"""Broken scenarios: exit 0 or 2, an error at its file and line, in bounded time and memory, never a traceback."""

from __future__ import annotations

import contextlib
import io
import os
import random
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest
import yaml

from cosim import cli
from cosim.scenario.errors import LONGEST_SHOWN, MOST_SHOWN
from cosim.scenario.load import load
from tests.faults.mutants import KINDS, ODD_SPELLINGS, ODD_VALUES, mutant, names, paths, seeds

AT_LEAST = 500
THROUGH_THE_COMMAND = 12
CPU_LIMIT_S = 20
MEMORY_LIMIT_BYTES = 2**30
LONGEST_ERROR_LINE = 4 * LONGEST_SHOWN + 2 * 4096


class UnboundedError(BaseException):
    """A mutant took more time than any file may."""


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """At most CPU_LIMIT_S of processor time and MEMORY_LIMIT_BYTES more of addresses than at the start."""

    def too_slow(number: int, frame: FrameType | None) -> None:
        raise UnboundedError

    handler = signal.signal(signal.SIGVTALRM, too_slow)
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    signal.setitimer(signal.ITIMER_VIRTUAL, CPU_LIMIT_S)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY_LIMIT_BYTES, hard))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, handler)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, str]:
    """Exit code and stderr of a cosim command that runs in this process."""
    errors = io.StringIO()
    monkeypatch.setattr(sys, "argv", ["cosim", *arguments])
    with (
        bounded(),
        contextlib.redirect_stderr(errors),
        contextlib.redirect_stdout(io.StringIO()),
        pytest.raises(SystemExit) as ended,
    ):
        cli.main()
    assert isinstance(ended.value.code, int)
    return ended.value.code, errors.getvalue()


def faults_of(file: Path, content: bytes, code: int, errors: str) -> list[str]:
    """What is wrong with how a command answered a file."""
    found = []
    if code not in (0, 2):
        found.append(f"exit code {code}")
    if "Traceback" in errors:
        found.append("a traceback")
    told = [line for line in errors.splitlines() if not line.startswith("warning: ")]
    if bool(told) != (code == 2):
        found.append("an error without exit code 2, or the reverse")
    if len(told) > MOST_SHOWN + 1:
        found.append(f"{len(told)} lines of errors")
    lines = len(re.split(rb"\r\n|\r|\n|\xc2\x85|\xe2\x80[\xa8\xa9]", content)) + 1
    for line in told:
        place = re.match(rf"{re.escape(str(file))}:(\d+): |{re.escape(str(file))}: and \d+ more$", line)
        if place is None or (place[1] and not 1 <= int(place[1]) <= lines):
            found.append(f"no place in the file: {line[:200]!r}")
        if len(line) > LONGEST_ERROR_LINE:
            found.append(f"an error of {len(line)} characters")
        if not line.isprintable():
            found.append(f"control characters: {line[:200]!r}")
    return found


def test_there_are_enough_of_them_and_they_differ() -> None:
    contents = {mutant(*name) for name in names()} - {seed.encode() for seed in seeds()}
    assert len(contents) >= AT_LEAST


@pytest.mark.parametrize("kind", KINDS)
def test_a_broken_scenario_is_refused_at_its_line_or_understood(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file, wrong = tmp_path / "mutant.yaml", []
    for number in [number for each, number in names() if each == kind]:
        content = mutant(kind, number)
        file.write_bytes(content)
        code, errors = command(monkeypatch, "validate", str(file))
        found = faults_of(file, content, code, errors)
        if code == 0:
            found += [f"plan: {fault}" for fault in faults_of(file, b"", *command(monkeypatch, "plan", str(file)))]
            found += _resolved_otherwise(file)
        wrong += [f"{kind} {number}: {fault}" for fault in found]
    assert wrong == []
    assert set(os.listdir(tmp_path)) <= {"mutant.yaml", "resolved.yaml"}


def _resolved_otherwise(file: Path) -> list[str]:
    """What is understood reads back the same from its resolved copy."""
    loaded = load(file)
    copy = file.with_name("resolved.yaml")
    copy.write_text(loaded.resolved_yaml())
    return [] if load(copy).hash() == loaded.hash() else ["its resolved copy is another scenario"]


@pytest.mark.parametrize(("kind", "number"), random.Random(1).sample(names(), THROUGH_THE_COMMAND))
def test_the_command_itself_refuses_it_and_starts_nothing(kind: str, number: int, tmp_path: Path) -> None:
    file, out, content = tmp_path / "mutant.yaml", tmp_path / "out", mutant(kind, number)
    file.write_bytes(content)
    checked = subprocess.run([sys.executable, "-m", "cosim", "validate", file], capture_output=True, timeout=120)
    assert faults_of(file, content, checked.returncode, checked.stderr.decode()) == []
    if checked.returncode == 2:
        run = [sys.executable, "-m", "cosim", "run", str(file), "-o", str(out), "--ui", "none"]
        done = subprocess.run(run, capture_output=True, timeout=120)
        assert (done.returncode, done.stderr) == (2, checked.stderr)
        assert not out.exists()


def settings() -> Iterator[tuple[str, str]]:
    """Keys and values for `--set` and for the environment: real keys with odd values, odd keys with any value."""
    dice = random.Random("settings")
    data = yaml.safe_load(seeds()[0])
    values = [*ODD_SPELLINGS, *map(str, ODD_VALUES), "[" * 5000, "x" * 100_000, "{a: " * 50, ""]
    odd_keys = [
        "",
        ".",
        "a",
        "a.b",
        "seed.a",
        "clients.99.name",
        "clients.-1.name",
        "clients.x",
        "é",
        "a b",
        "x" * 3000,
    ]
    odd_keys += [".".join(["a"] * 40), "tiers..engine", "tiers.edge", "clients", "network.kind", "schema_version"]
    for _ in range(60):
        keys = ".".join(map(str, dice.choice(paths(data))))
        yield dice.choice([keys, keys, keys, f"{keys}.x", *odd_keys]), dice.choice(values)


def test_odd_settings_and_variables_are_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "scenario.yaml"
    file.write_text(seeds()[0])
    wrong = []
    for key, value in settings():
        code, errors = command(monkeypatch, "validate", str(file), "--set", f"{key}={value}")
        wrong += _unnamed(f"--set {key}={value}"[:80], code, errors, named=(str(file), "--set"))
        name = "COSIM__" + key.upper().replace(".", "__")
        if "\0" in value or not name.isascii():
            continue
        with monkeypatch.context() as variables:
            variables.setenv(name, value)
            code, errors = command(monkeypatch, "validate", str(file))
        wrong += _unnamed(f"{name}={value}"[:80], code, errors, named=(str(file), f"environment {name[:100]}"))
    assert wrong == []
    assert [entry.name for entry in tmp_path.iterdir()] == ["scenario.yaml"]


def _unnamed(given: str, code: int, errors: str, named: tuple[str, ...]) -> list[str]:
    told = [line for line in errors.splitlines() if not line.startswith("warning: ")]
    found = [] if code in (0, 2) and bool(told) == (code == 2) else [f"{given}: exit code {code}"]
    found += [f"{given}: {line[:200]!r}" for line in told if not line.startswith(named) or not line.isprintable()]
    return found + [
        f"{given}: {len(line)} characters" for line in errors.splitlines() if len(line) > LONGEST_ERROR_LINE
    ]


@pytest.mark.parametrize("what", ["nothing", "directory", "pipe", "device", "link to itself", "huge", "no permission"])
def test_what_is_no_file_is_refused_by_its_name(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "mutant.yaml"
    if what == "directory":
        file.mkdir()
    elif what == "pipe":
        os.mkfifo(file)
    elif what == "device":
        file.symlink_to("/dev/zero")
    elif what == "link to itself":
        file.symlink_to(file)
    elif what == "huge":
        with file.open("wb") as content:
            content.truncate(2**40)
    elif what == "no permission":
        if os.geteuid() == 0:
            pytest.skip("root reads every file")
        file.touch(0)
    for name in ("validate", "plan", "run"):
        code, errors = command(monkeypatch, name, str(file))
        assert code == 2
        assert errors.startswith(f"{file}: ")
        assert len(errors.splitlines()) == 1


def test_a_fault_would_be_seen(tmp_path: Path) -> None:
    """The checks themselves: each kind of bad answer is told from a good one."""
    file = tmp_path / "mutant.yaml"
    assert faults_of(file, b"a: 1\n", 2, f"{file}:1: a: unknown key\n") == []
    assert faults_of(file, b"a: 1\n", 0, "warning: something\n") == []
    for code, errors in [
        (1, "Traceback (most recent call last):\n"),
        (2, ""),
        (0, f"{file}:1: a: unknown key\n"),
        (2, "a: unknown key\n"),
        (2, f"{file}: a: unknown key\n"),
        (2, f"{file}:99: a: unknown key\n"),
        (2, f"{file}:1: a\x1b[31m: unknown key\n"),
        (2, f"{file}:1: a: {'x' * 20_000}\n"),
        (2, f"{file}:1: a: unknown key\n" * 100),
    ]:
        assert faults_of(file, b"a: 1\n", code, errors), errors
    with pytest.raises(MemoryError), bounded():
        bytearray(4 * MEMORY_LIMIT_BYTES)
