"""A run in a process of its own."""

from __future__ import annotations

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
