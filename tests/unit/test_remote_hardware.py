"""`hardware: {kind: remote}` in a scenario: what it may say, what is wrong with it and where, what is planned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from cosim.bridge.keys import make_keys
from cosim.engine_plan import engine_plans, host_plans
from cosim.plan import plan_lines
from cosim.requirements import check_names, check_runnable
from cosim.scenario.errors import ScenarioError
from cosim.scenario.load import Loaded, load
from tests.lockstep import chat, scenario, stub

ADDRESS = "tcp://10.0.0.7:5555"
REMOTE = {"kind": "remote", "address": ADDRESS, "key": "keys"}


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    make_keys(tmp_path / "keys")
    return tmp_path / "keys"


def engine(hardware: object = REMOTE, **overrides: Any) -> dict[str, Any]:
    return {"kind": "vllm", "model": {"kind": "synthetic", "architecture": "qwen3"}, "hardware": hardware, **overrides}


def loaded(folder: Path, *engines: dict[str, Any]) -> Loaded:
    names = [f"tier{index}" for index in range(len(engines))]
    data = scenario(
        tiers={name: {"engine": engine} for name, engine in zip(names, engines, strict=True)},
        clients=[chat(f"of-{name}", tier=name) for name in names],
    )
    file = folder / "s.yaml"
    file.write_text(yaml.safe_dump(data, sort_keys=False))
    return load(file, environment={})


def faults(folder: Path, *engines: dict[str, Any]) -> str:
    with pytest.raises(ScenarioError) as caught:
        check_names(loaded(folder, *engines))
    return str(caught.value)


def line_of(folder: Path, text: str) -> int:
    lines = (folder / "s.yaml").read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def test_the_key_lies_beside_the_scenario_and_the_resolved_copy_runs_from_anywhere(keys: Path, tmp_path: Path) -> None:
    first = loaded(tmp_path, engine())
    check_names(first)
    resolved = tmp_path / "elsewhere" / "resolved.yaml"
    resolved.parent.mkdir()
    resolved.write_text(first.resolved_yaml())
    again = load(resolved, environment={})
    check_names(again)
    assert again.data() == first.data()
    assert again.data()["tiers"]["tier0"]["engine"]["hardware"] == REMOTE | {"key": str(keys), "hardware": "auto"}


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("tcp://localhost:1", True),
        ("tcp://gpu-1.example:65535", True),
        ("tcp://[::1]:5555", True),
        ("tcp://10.0.0.7", False),
        ("tcp://10.0.0.7:0", False),
        ("tcp://10.0.0.7:65536", False),
        ("tcp://:5555", False),
        ("tcp://*:5555", False),
        ("10.0.0.7:5555", False),
        ("ipc:///tmp/x", False),
        ("tcp://a:1\n", False),
        ("tcp://10.0.0.7:5555", True),
        (f"tcp://{'a' * 63}.b:5555", True),
        ("tcp://...:5", False),
        ("tcp://-:5", False),
        ("tcp://_:5", False),
        ("tcp://a..b:5555", False),
        ("tcp://a-.b:5555", False),
        (f"tcp://{'a' * 64}.b:5555", False),
        (f"tcp://{'a.' * 127}b:5555", False),
        ("tcp://300.0.0.1:5555", False),
        ("tcp://10.0.1:5555", False),
        ("tcp://[:]:5555", False),
        ("tcp://a:\u0661", False),
        (5, False),
    ],
)
def test_addresses(keys: Path, tmp_path: Path, address: object, allowed: bool) -> None:
    if allowed:
        check_names(loaded(tmp_path, engine(REMOTE | {"address": address})))
        return
    text = faults(tmp_path, engine(REMOTE | {"address": address}))
    assert f"{tmp_path / 's.yaml'}:{line_of(tmp_path, 'address:')}: tiers.tier0.engine.hardware.address: " in text


@pytest.mark.parametrize(
    ("hardware", "text"),
    [
        ({"kind": "remote", "key": "keys"}, "hardware.address: is missing"),
        ({"kind": "remote", "address": ADDRESS}, "hardware.key: is missing"),
        ({"kind": "remotely", "address": ADDRESS, "key": "keys"}, "hardware.kind: 'remotely' is not allowed"),
        (REMOTE | {"adress": "x"}, "hardware.adress: unknown key; did you mean 'address'?"),
        (REMOTE | {"hardware": "tpu"}, "hardware.hardware: 'tpu'"),
        (REMOTE | {"key": ""}, "hardware.key: ''"),
        ("remote", "hardware: 'remote'"),
        ([], "hardware: [] is not allowed"),
        (None, "hardware: None is not allowed"),
    ],
)
def test_wrong_hardware_is_named_at_its_line(tmp_path: Path, hardware: object, text: str) -> None:
    found = faults(tmp_path, engine(hardware))
    assert f"tiers.tier0.engine.{text}" in found
    assert found.startswith(f"{tmp_path / 's.yaml'}:")


def test_only_vllm_runs_elsewhere(tmp_path: Path) -> None:
    assert "tiers.tier0.engine.hardware" in faults(tmp_path, stub(hardware=REMOTE))


def test_a_key_that_cannot_be_used_is_named_at_its_line(keys: Path, tmp_path: Path) -> None:
    (keys / "client.key_secret").chmod(0o644)
    text = faults(tmp_path, engine())
    assert f"s.yaml:{line_of(tmp_path, 'key:')}: tiers.tier0.engine.hardware.key: " in text
    assert "chmod 600" in text
    (keys / "client.key_secret").unlink()
    assert "holds 0 secret keys of clients" in faults(tmp_path, engine())
    assert "nowhere: No such file" in faults(tmp_path, engine(REMOTE | {"key": "nowhere"}))
    assert "xx: File name too long" in faults(tmp_path, engine(REMOTE | {"key": "x" * 5000}))


def test_a_replay_needs_neither_key_nor_vllm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cosim.requirements.find_spec", lambda name: None)
    check_runnable(loaded(tmp_path, engine()), replay=True)


def test_engines_elsewhere_need_no_vllm_here_and_their_arguments_are_not_judged_here(
    keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_names(loaded(tmp_path, engine(args={"of_another_version": 1})))
    monkeypatch.setattr("cosim.requirements.find_spec", lambda name: None)
    check_runnable(loaded(tmp_path, engine()), replay=False)


def test_one_host_is_asked_with_one_key(keys: Path, tmp_path: Path) -> None:
    make_keys(tmp_path / "other")
    text = faults(tmp_path, engine(), engine(REMOTE | {"key": "other"}))
    assert f"tiers.tier1.engine.hardware.key: another key for {ADDRESS}" in text


def test_engines_with_one_address_share_a_process_there(keys: Path, tmp_path: Path) -> None:
    scenario = loaded(
        tmp_path,
        engine(),
        engine(),
        engine(REMOTE | {"hardware": "gpu:1"}),
        engine(REMOTE | {"address": "tcp://10.0.0.8:1"}),
        engine(isolate=True),
        engine("cpu"),
    )
    hosts = {role: [plan.name for plan in plans] for role, plans in host_plans(engine_plans(scenario.scenario)).items()}
    assert hosts == {
        f"engines {ADDRESS}": ["tier0", "tier1"],
        f"engines {ADDRESS} gpu:1": ["tier2"],
        "engines tcp://10.0.0.8:1": ["tier3"],
        "engine tier4": ["tier4"],
        "engines cpu": ["tier5"],
    }
    lines = list(plan_lines(scenario))
    assert f"  engines {ADDRESS}: a process on the engine host there with tier0, tier1" in lines
    assert "  engines cpu: a process with tier5" in lines


def test_a_folder_of_this_machine_is_no_model_of_another(keys: Path, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    models = [loaded(tmp_path, engine(hardware, model="model")).data() for hardware in (REMOTE, "cpu")]
    here_and_there = [data["tiers"]["tier0"]["engine"]["model"] for data in models]
    assert here_and_there == ["model", str(tmp_path / "model")]
