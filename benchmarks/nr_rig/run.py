"""Runs a point in a process of its own, since nothing of ns-3 runs in another."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.nr_rig.exchange import Measured
from benchmarks.nr_rig.figures import figures
from benchmarks.nr_rig.point import Point

ROOT = Path(__file__).parents[2]
LAST_LINES = 12


class RigError(Exception):
    """The measuring child ended before it answered; the text is the end of its log."""


def measure(point: Point) -> dict[str, Any]:
    """The figures of a point. Raises ImpossibleCell, RigError."""
    request = point.request()
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.nr_rig.child"],
        input=msgspec.json.encode(request),
        capture_output=True,
        cwd=ROOT,
        check=False,
    )
    if done.returncode != 0:
        log = "\n".join(done.stderr.decode(errors="replace").splitlines()[-LAST_LINES:])
        raise RigError(f"the measuring process ended with status {done.returncode}:\n{log}")
    return figures(point.load, request, msgspec.json.decode(done.stdout, type=Measured))
