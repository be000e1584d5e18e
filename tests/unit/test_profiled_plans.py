"""From a scenario with profiled engines to their profiles and processes, and every fault at its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from cosim.engine_plan import EnginePlan, engine_spec, host_plans
from cosim.profiled_plans import planned_engines
from cosim.requirements import check_names
from cosim.scenario.errors import ScenarioError
from cosim.scenario.load import Loaded, load
from tests import made_up_profile
from tests.lockstep import chat, scenario

MODEL = {"kind": "synthetic", "architecture": "qwen3", "hidden_size": 128, "layers": 2}
REMOTE = {"kind": "remote", "address": "tcp://127.0.0.1:5555", "key": "keys"}


def engine(profile: str = "p.jsonl", **overrides: Any) -> dict[str, Any]:
    return {"kind": "vllm", "model": MODEL, "executor": {"kind": "profiled", "profile": profile}, **overrides}


def loaded(folder: Path, **tiers: dict[str, Any]) -> Loaded:
    """A scenario with a client for each tier, and a good profile beside it."""
    if not (folder / "p.jsonl").exists():
        made_up_profile.write(folder / "p.jsonl")
    data = scenario(
        tiers={name: {"path": "edge", "engine": settings} for name, settings in tiers.items()},
        clients=[chat(f"user-{name}", tier=name) for name in tiers],
    )
    file = folder / "s.yaml"
    file.write_text(yaml.safe_dump(data, default_flow_style=False))
    return load(file, environment={})


def line_of(folder: Path, text: str) -> int:
    return next(n for n, line in enumerate((folder / "s.yaml").read_text().splitlines(), 1) if text in line)


def plans(folder: Path, **tiers: dict[str, Any]) -> list[EnginePlan]:
    return planned_engines(loaded(folder, **tiers), recorded=None)


def roles(found: list[EnginePlan]) -> dict[str, list[str]]:
    return {role: [plan.name for plan in members] for role, members in host_plans(found).items()}


def test_profiled_engines_share_a_process_apart_from_executed_ones(tmp_path: Path) -> None:
    executed = {"kind": "vllm", "model": MODEL, "hardware": "cpu"}
    found = plans(tmp_path, a=engine(), b=engine(), c=engine(isolate=True), d=executed)
    assert roles(found) == {"engines profiled": ["a", "b"], "engine c": ["c"], "engines cpu": ["d"]}


def test_a_profile_may_be_scheduled_elsewhere(tmp_path: Path) -> None:
    (plan,) = plans(tmp_path, a=engine(hardware=REMOTE))
    assert roles([plan]) == {"engines tcp://127.0.0.1:5555": ["a"]}
    assert plan.hardware == "made-up CPU float32"


def test_engines_take_turns_on_what_their_profile_stands_for(tmp_path: Path) -> None:
    made_up_profile.write(tmp_path / "q.jsonl")
    found = plans(tmp_path, a=engine(), b=engine("q.jsonl"))
    assert {plan.hardware for plan in found} == {"made-up CPU float32"}


def test_the_host_is_told_what_to_stand_for(tmp_path: Path) -> None:
    (plan,) = plans(tmp_path, a=engine(args={"kv_cache_memory_bytes": 2**20}))
    spec = engine_spec(plan, tls=False)
    assert spec.executor is not None
    assert spec.executor.kv_cache_bytes == 2**20
    assert spec.executor.defaults["max_num_seqs"] == 8


@pytest.mark.parametrize(
    ("settings", "key", "text"),
    [
        (
            engine("absent.jsonl"),
            "profile:",
            "tiers.a.engine.executor.profile: '{folder}/absent.jsonl' cannot be read: No",
        ),
        (
            engine(hardware="cpu"),
            "hardware:",
            "tiers.a.engine.hardware: 'cpu' beside an executor, whose profile says on",
        ),
        (engine("gh201"), "profile:", "tiers.a.engine.executor.profile: "),
        (engine("."), "profile:", "tiers.a.engine.executor.profile: "),
    ],
)
def test_a_fault_of_the_scenario_is_told_at_its_line(
    tmp_path: Path, settings: dict[str, Any], key: str, text: str
) -> None:
    with pytest.raises(ScenarioError) as caught:
        check_names(loaded(tmp_path, a=settings))
    assert f"s.yaml:{line_of(tmp_path, key)}: {text.format(folder=tmp_path)}" in str(caught.value)


def test_a_fault_of_the_file_is_told_at_its_line_once_for_all_engines(tmp_path: Path) -> None:
    content = made_up_profile.lines()
    content[2]["durations_ns"] = [0, 1, 2, 3, 4]
    made_up_profile.write(tmp_path / "p.jsonl", content)
    with pytest.raises(ScenarioError) as caught:
        check_names(loaded(tmp_path, a=engine(), b=engine()))
    assert str(caught.value) == f"{tmp_path / 'p.jsonl'}:3: durations_ns[0]: 0; 1 to 3600000000000 ns"


def test_what_is_asked_for_and_was_not_recorded_is_told_at_the_header(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError) as caught:
        check_names(loaded(tmp_path, a=engine(args={"max_num_seqs": 4, "async_scheduling": True})))
    assert sorted(str(problem).split(";")[0] for problem in caught.value.problems) == [
        f"{tmp_path / 'p.jsonl'}:1: async_scheduling: recorded with False, asked for True",
        f"{tmp_path / 'p.jsonl'}:1: max_num_seqs: recorded with 8, asked for 4",
    ]


def test_a_replay_needs_no_profile(tmp_path: Path) -> None:
    found = loaded(tmp_path, a=engine("absent.jsonl"))
    check_names(found, replay=True)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "manifest.json").write_text('{"objectives": {"tiers": {"a": {"hardware": "then"}}}}')
    (plan,) = planned_engines(found, recorded=tmp_path / "run")
    assert plan.hardware == "then"


def test_the_resolved_scenario_names_the_same_file(tmp_path: Path) -> None:
    assert str(tmp_path / "p.jsonl") in loaded(tmp_path, a=engine()).resolved_yaml()
