"""A replay takes the recorded run's hardware for `auto`, whatever is installed where it runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from cosim import engine_plan
from cosim.results.terminal import Progress
from cosim.run import RunOptions, execute
from cosim.scenario.load import load
from tests.lockstep import chat, scenario, stub


@pytest.mark.parametrize(("here", "there"), [("gpu", None), (None, "gpu")])
def test_engines_in_time_slices_take_turns_as_in_the_recorded_run(
    here: str | None, there: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = scenario(
        tiers={
            "edge": {"path": "edge", "engine": stub(sharing="timeslice", hardware="cpu")},
            "cloud": {"path": "edge", "engine": stub(sharing="timeslice", hardware="auto")},
        },
        clients=[chat("a", output_tokens=8), chat("b", tier="cloud", output_tokens=8)],
    )
    file = tmp_path / "scenario.yaml"
    file.write_text(yaml.safe_dump(data))
    first, second = tmp_path / "run", tmp_path / "replay"
    monkeypatch.setattr(engine_plan, "vllm_hardware", lambda: here)
    execute(load(file, environment={}), RunOptions(first, False, ()), Progress("none", 0))
    monkeypatch.setattr(engine_plan, "vllm_hardware", lambda: there)
    resolved = load(first / "scenario.resolved.yaml", environment={})
    execute(resolved, RunOptions(second, False, (), first), Progress("none", 0))
    assert (second / "requests.jsonl").read_bytes() == (first / "requests.jsonl").read_bytes()
    for directory in (first, second):
        tiers = json.loads((directory / "manifest.json").read_text())["objectives"]["tiers"]
        assert tiers["cloud"]["hardware"] == (here or "cpu")
