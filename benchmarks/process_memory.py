"""Memory of a command under way: its own process, and those that it has started, by the module that they run."""

from __future__ import annotations

import os
import subprocess
from collections import defaultdict
from pathlib import Path

from cosim.clock import monotonic_s

MIB = 1 << 20
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
DRIVER = "driver"


class MemoryWatch:
    """Samples of the resident memory of a process tree; by role, the largest process of that role, MiB."""

    def __init__(self, process: subprocess.Popen[bytes], interval_s: float) -> None:
        self._process = process
        self._interval_s = interval_s
        self._started_s = monotonic_s()
        self.samples: list[tuple[float, dict[str, float]]] = []

    def wait(self) -> int:
        """Sample until the process has ended; returns its exit status."""
        while True:
            try:
                return self._process.wait(self._interval_s)
            except subprocess.TimeoutExpired:
                self.samples.append((monotonic_s() - self._started_s, self._largest()))

    def peaks(self) -> dict[str, float]:
        """The largest that a process of each role became."""
        found: dict[str, float] = {}
        for _, sizes in self.samples:
            for role, mib in sizes.items():
                found[role] = max(found.get(role, 0.0), mib)
        return found

    def growth(self, role: str, beside: str) -> float | None:
        """Peak of the last third of the time over that of the middle third, while processes of the role `beside` ran.

        None if it was too short to tell.
        """
        samples = [sizes for _, sizes in self.samples if beside in sizes]
        third = len(samples) // 3
        parts = samples[third : 2 * third], samples[2 * third :]
        middle, last = (max((sizes.get(role, 0.0) for sizes in part), default=0.0) for part in parts)
        return last / middle - 1 if middle else None

    def _largest(self) -> dict[str, float]:
        children: dict[int, list[int]] = defaultdict(list)
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal() and (stat := _read(entry / "stat")):
                children[int(stat.rpartition(")")[2].split()[1])].append(int(entry.name))
        found: dict[str, float] = {}
        waiting = [(self._process.pid, DRIVER)]
        while waiting:
            pid, role = waiting.pop()
            mib = int((_read(Path(f"/proc/{pid}/statm")) or "0 0").split()[1]) * PAGE_BYTES / MIB
            found[role] = max(found.get(role, 0.0), mib)
            waiting += [(child, _role(child)) for child in children[pid]]
        return found


def _role(pid: int) -> str:
    """The module that a Python process runs, else the name of its program."""
    words = (_read(Path(f"/proc/{pid}/cmdline")) or "").split("\0")
    if "-m" not in words:
        return Path(words[0]).name
    place = words.index("-m") + 1
    module = words[place]
    # Of a fork server and of what it has forked: what they run.
    return words[place + 1] if module == "cosim.bridge.fork_server" else module


def _read(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:
        return None
