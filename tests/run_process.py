"""A run in a process of its own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from cosim.clock import monotonic_s, sleep_s


def until_a_request_has_ended(process: subprocess.Popen[str], out: Path, *, limit_s: float) -> None:
    """Wait until a run has recorded a request; fails if it ends first, or takes longer."""
    give_up_s = monotonic_s() + limit_s
    requests = out / "requests.jsonl"
    while not requests.exists() or not requests.stat().st_size:
        assert process.poll() is None, process.stderr and process.stderr.read()
        assert monotonic_s() < give_up_s
        sleep_s(0.02)


def children(process: subprocess.Popen[str]) -> dict[str, int]:
    """Process ids of the children by module."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                command = (entry / "cmdline").read_text().split("\0")
            except OSError:
                continue
            if str(process.pid) in command and "-m" in command:
                found[command[command.index("-m") + 1]] = int(entry.name)
    return found


def environment_without(folder: Path, *packages: str) -> dict[str, str]:
    """Environment of a process whose module finder refuses packages: it stands for a machine that has none of them."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(
        "import sys\n"
        "class Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.split('.')[0] in {packages!r}:\n"
        "            raise ImportError(f'{name} is not here')\n"
        "sys.meta_path.insert(0, Refuse())\n"
    )
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path}
