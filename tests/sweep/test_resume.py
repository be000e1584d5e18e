"""What a sweep that goes on is compared with: the scenario and the files that it names."""

from __future__ import annotations

from pathlib import Path

import pytest

from cosim.results.store import ResultsError
from cosim.scenario.load import Loaded
from cosim.sweep.directory import write_sweep
from cosim.sweep.driver import Work, work_of
from tests.sweep.rig import loaded


def begun(base: Loaded, directory: Path) -> Work:
    """A sweep of which no run was carried out."""
    work = work_of(base, directory, None, runnable=False)
    directory.mkdir()
    write_sweep(directory, work.sweep, base.resolved_yaml())
    return work


def test_a_scenario_that_cannot_be_compared_is_told(tmp_path: Path) -> None:
    out = tmp_path / "out"
    work = begun(loaded(tmp_path), out)
    (out / "sweep.resolved.yaml").write_bytes(b"\xff")
    with pytest.raises(ResultsError, match=r"sweep\.resolved\.yaml is damaged: it is not UTF-8 text; sweep again"):
        work_of(loaded(tmp_path, duration="400ms"), out, work.sweep, runnable=False)
