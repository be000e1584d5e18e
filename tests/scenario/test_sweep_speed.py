"""The benchmark of sweeps: a few points through the same code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "sweep_speed.py"


def test_a_few_points_are_swept_and_resumed() -> None:
    command = [sys.executable, str(BENCHMARK), "--quick", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["stub"]["points"] == 3
    assert {"driver", "cosim.sweep.worker"} <= set(result["stub"]["peak_mib"])
    assert result["resume"]["s"] > 0
    assert "met" not in result["stub"]


def test_rows_that_do_not_go_together_are_refused() -> None:
    command = [sys.executable, str(BENCHMARK), "--rows", "resume"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "--rows: resume goes on with the sweep of stub; give both" in done.stderr
