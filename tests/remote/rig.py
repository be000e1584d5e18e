"""Engine hosts and runs that use them, as processes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from cosim.clock import monotonic_s, sleep_s
from tests.lockstep import chat, scenario
from tests.run_process import until_a_request_has_ended

REPOSITORY = Path(__file__).parents[2]
LIMIT_S = 30.0


class EngineHostProcess:
    """A daemon that listens; `output` is what it has written so far, both streams."""

    def __init__(self, folder: Path, keys: Path, *, module: str, **environment: str) -> None:
        self.temporary = folder / "host-tmp"
        self.temporary.mkdir(exist_ok=True)
        command = [sys.executable, "-m", *module.split(), "--listen", "tcp://127.0.0.1:0", "--keys", str(keys)]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "TMPDIR": str(self.temporary), "PYTHONPATH": str(REPOSITORY), **environment},
        )
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self.address = re.sub(r"^engine host listens on ", "", self.wait_for("listens on").splitlines()[0])
        self.port = int(self.address.rpartition(":")[2])

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.append(line)

    @property
    def output(self) -> str:
        return "".join(self._lines)

    def wait_for(self, text: str) -> str:
        """The output when a pattern has come."""
        give_up_s = monotonic_s() + LIMIT_S
        while not re.search(text, self.output):
            assert monotonic_s() < give_up_s, f"no {text!r} in: {self.output}"
            sleep_s(0.02)
        return self.output

    def children(self) -> list[int]:
        """The processes of engines."""
        return [pid for pid, command in processes() if str(self.process.pid) in command and "-m" in command]

    def close(self) -> None:
        """End it; nothing that it started or made is left."""
        children = self.children()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
        self.process.wait(LIMIT_S)
        wait_until_gone(*children)
        self._reader.join(LIMIT_S)
        assert self.process.stdout is not None
        self.process.stdout.close()


def processes() -> Iterator[tuple[int, list[str]]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                yield int(entry.name), (entry / "cmdline").read_text().split("\0")
            except OSError:
                continue


def wait_until_gone(*pids: int) -> None:
    give_up_s = monotonic_s() + LIMIT_S
    while left := [pid for pid in pids if Path(f"/proc/{pid}").exists() and not zombie(pid)]:
        assert monotonic_s() < give_up_s, f"still running: {left}"
        sleep_s(0.02)


def zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def write(folder: Path, address: str, key: Path, **overrides: Any) -> Path:
    """A scenario of which two tiers are served by one engine host elsewhere."""
    tiers = {name: {"path": name, "engine": remote(address, key)} for name in ("edge", "cloud")}
    clients = [chat("user"), chat("other", tier="cloud")]
    data = scenario(validity={"min_requests": 1}, tiers=tiers, clients=clients, **overrides)
    file = folder / "scenario.yaml"
    file.write_text(yaml.safe_dump(data, sort_keys=False))
    return file


def remote(address: str, key: Path, **hardware: Any) -> dict[str, Any]:
    """A vLLM engine on an engine host elsewhere."""
    model = {"kind": "synthetic", "architecture": "qwen3"}
    where = {"kind": "remote", "address": address, "key": str(key), **hardware}
    return {"kind": "vllm", "model": model, "hardware": where}


def start_run(file: Path, out: Path) -> subprocess.Popen[str]:
    """A run in the background."""
    command = [sys.executable, "-m", "cosim", "run", str(file), "-o", str(out), "--ui", "none"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


@contextmanager
def run_under_way(
    folder: Path, address: str, key: Path, **overrides: Any
) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A run of hours that has recorded a request."""
    out = folder / "out"
    file = write(folder, address, key, duration="8000h", **overrides)
    with start_run(file, out) as process:
        try:
            until_a_request_has_ended(process, out, limit_s=LIMIT_S)
            yield process, out
        finally:
            process.kill()


@contextmanager
def engine_host(
    folder: Path, keys: Path, *, module: str = "tests.remote.daemon_double", **environment: str
) -> Iterator[EngineHostProcess]:
    host = EngineHostProcess(folder, keys, module=module, **environment)
    try:
        yield host
    finally:
        host.close()
