"""A scenario loaded, written back with every default, and its timeline as states of the network."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cosim.scenario.engines import ConfigModel, VllmEngine
from cosim.scenario.links import LinkDirection
from cosim.scenario.load import Loaded, load
from cosim.scenario.network import LinkAccess, Network
from tests.lockstep import MS, chat, said, scenario, stub

ROOT = Path(__file__).parents[2]
CONTRACT_FILES = (ROOT / "shared" / "CONTRACT.md", ROOT.parent / "shared" / "CONTRACT.md")


def uplink_of(network: Network) -> LinkDirection:
    assert isinstance(network.access, LinkAccess)
    return network.access.uplink


def both_ways(network: Network) -> list[LinkDirection]:
    return [network.paths["cloud"].direction(up=up) for up in (True, False)]


def loaded(folder: Path, data: Any, name: str = "s.yaml") -> Loaded:
    file = folder / name
    file.write_text(data if isinstance(data, str) else yaml.safe_dump(data), encoding="utf-8")
    return load(file, environment={})


def again(folder: Path, first: Loaded) -> Loaded:
    return loaded(folder, first.resolved_yaml(), "resolved.yaml")


def test_the_resolved_copy_is_the_same_scenario(tmp_path: Path) -> None:
    first = loaded(tmp_path, scenario(timeline=[{"at": "1s", "set": {"network.core.delay": "2ms"}}]))
    second = again(tmp_path, first)
    assert second.scenario == first.scenario
    assert second.timeline == first.timeline
    assert second.hash() == first.hash()
    assert second.resolved_yaml() == first.resolved_yaml()


def test_the_resolved_copy_has_every_default_with_its_unit(tmp_path: Path) -> None:
    data = yaml.safe_load(loaded(tmp_path, scenario()).resolved_yaml())
    assert data["clock"] == {"kind": "lockstep"}
    assert data["limits"] == {"silence": "1min", "start": "10min"}
    assert data["validity"] == {
        "min_requests": 30,
        "max_error_share": "1%",
        "max_cpu_wait_share": "10%",
        "max_other_load": "25%",
        "max_step_drift": "50%",
        "allow_extrapolated": [],
    }
    assert data["network"]["access"]["uplink"] == {
        "rate": None,
        "delay": "8ms",
        "jitter": "0ns",
        "loss": "0%",
        "queue": None,
        "discipline": "fifo",
    }
    assert data["clients"][0]["arrivals"] == {"kind": "constant", "rate": "10/s", "rate_changes": []}


def test_the_hash_is_of_what_is_meant_not_of_how_it_is_written(tmp_path: Path) -> None:
    data = scenario()
    first = loaded(tmp_path, data)
    other = loaded(tmp_path, yaml.safe_dump(data, default_flow_style=True, sort_keys=True).replace("20ms", "0.02s"))
    assert other.hash() == first.hash()
    assert loaded(tmp_path, {**data, "seed": 2}).hash() != first.hash()


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    delay_ns=st.integers(0, 10**12),
    rate=st.integers(1, 10**12),
    loss=st.floats(0, 1),
    queue=st.integers(1400, 2**40),
    frequency=st.floats(1e-9, 1e6),
    time_scale=st.floats(1e-6, 1e4),
    drift_ppm=st.floats(0, 1e5),
    at_ns=st.integers(0, 10**15),
)
@example(delay_ns=1, rate=1, loss=5e-324, queue=1401, frequency=1e-9, time_scale=0.1, drift_ppm=1e-300, at_ns=1)
def test_every_quantity_reads_back_as_the_same_number(
    tmp_path: Path,
    delay_ns: int,
    rate: int,
    loss: float,
    queue: int,
    frequency: float,
    time_scale: float,
    drift_ppm: float,
    at_ns: int,
) -> None:
    camera = {"name": "cam", "kind": "frames", "tier": "edge", "period": f"{delay_ns + 1}ns", "drift_ppm": drift_ppm}
    data = scenario(
        clients=[chat("u", arrivals={"kind": "poisson", "rate": f"{frequency!r}/s"}), camera],
        tiers={"edge": {"path": "edge", "engine": stub(time_scale=time_scale)}},
        timeline=[{"at": f"{at_ns}ns", "set": {"network.core.delay": f"{delay_ns}ns"}}],
    )
    link = {"delay": f"{delay_ns}ns", "rate": f"{rate}bit/s", "loss": repr(loss), "queue": f"{queue}B"}
    data["network"]["paths"]["edge"] = link
    first = loaded(tmp_path, data)
    path = first.scenario.network.paths["edge"]
    assert (path.delay, path.rate, path.loss, path.queue) == (delay_ns, rate, loss, queue)
    second = again(tmp_path, first)
    assert second.scenario == first.scenario
    assert second.timeline == first.timeline
    assert second.resolved_yaml() == first.resolved_yaml()


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30))
@example("${HOME}")
@example("$${HOME:x}")
@example("2026-11-21")
@example("010")
@example("1:30")
@example("no")
@example("=")
@example("1e3")
@example("\x85")
@example("\x85 \u2028\ufeff\x7f\t ")
def test_every_text_reads_back_as_itself(tmp_path: Path, text: str) -> None:
    flags = [f"placement.options.x={yaml.safe_dump(text, default_style=chr(34), width=10**6)}"]
    file = tmp_path / "s.yaml"
    file.write_text(yaml.safe_dump(scenario()))
    first = load(file, settings=flags, environment={})
    assert first.scenario.placement.options == {"x": text}
    assert again(tmp_path, first).scenario == first.scenario


def test_the_timeline_as_states_of_the_network(tmp_path: Path) -> None:
    """Entries add up in order of time, whatever their order in the file."""
    data = scenario(
        timeline=[
            {"at": "3s", "set": {"network.paths.cloud.delay": "60ms"}},
            {"at": "1s", "set": {"network.core.rate": "1Gbit/s", "network.access.uplink.delay": "9ms"}},
            {"at": "3s", "set": {"network.core.rate": None, "network.paths.cloud.delay_down": "1ms"}},
        ]
    )
    states = loaded(tmp_path, data).timeline
    assert [
        (
            state.at_ns // MS,
            state.network.core.rate,
            *(
                direction.delay // MS
                for direction in (uplink_of(state.network), *both_ways(state.network))
                if isinstance(direction.delay, int)
            ),
        )
        for state in states
    ] == [(1000, 10**9, 9, 20, 20), (3000, 10**9, 9, 60, 60), (3000, None, 9, 60, 1)]


def test_file_names_are_found_beside_the_scenario_and_kept_whole(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "weights").mkdir()
    camera = {"name": "cam", "kind": "frames", "tier": "edge", "period": "1s", "folder": "pictures"}
    tiers = {
        "edge": {"path": "edge", "engine": {"kind": "vllm", "model": "weights"}},
        "hub": {"engine": {"kind": "vllm", "model": "nobody/weights"}},
        "old": {"engine": {"kind": "replay", "run": "."}},
    }
    found = loaded(tmp_path, scenario(clients=[camera], tiers=tiers))
    data = found.data()
    assert data["clients"][0]["folder"] == str(tmp_path / "pictures")
    assert data["tiers"]["edge"]["engine"]["model"] == str(tmp_path / "weights")
    assert data["tiers"]["hub"]["engine"]["model"] == "nobody/weights"
    assert data["tiers"]["old"]["engine"]["run"] == str(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    assert again(tmp_path / "elsewhere", found).scenario == found.scenario


def test_file_names_of_flags_and_variables_are_relative_to_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there").mkdir()
    monkeypatch.chdir(tmp_path)
    engine = {"kind": "vllm", "model": {"kind": "config", "config": "m/config.json"}}
    data = scenario(tiers={"edge": {"path": "edge", "engine": engine}}, clients=[chat("user")])
    file = tmp_path / "there" / "s.yaml"
    file.write_text(yaml.safe_dump(data))
    flag = "tiers.edge.engine.executor={kind: profiled, profile: p.jsonl}"
    variable = {"COSIM__TIERS__EDGE__ENGINE__MODEL__CONFIG": "other/config.json"}
    for environment, config in (({}, "there/m/config.json"), (variable, "other/config.json")):
        settings_ = load(file, settings=[flag], environment=environment).scenario.tiers["edge"].engine
        assert isinstance(settings_, VllmEngine)
        assert isinstance(settings_.model, ConfigModel)
        assert settings_.executor is not None
        assert settings_.executor.profile == str(tmp_path / "p.jsonl")
        assert settings_.model.config == str(tmp_path / config)


OUTAGE = {"outages": [{"at": "100ms", "duration": "50ms"}]}


@pytest.mark.parametrize("link", [{"loss": "1%"}, {"queue_down": "2kB", "rate": "1Gbit/s"}, OUTAGE])
@pytest.mark.parametrize("place", ["core", "path"])
def test_a_pipe_says_what_it_ignores(tmp_path: Path, link: dict[str, Any], place: str) -> None:
    data = scenario()
    if place == "core":
        data["network"]["core"] = link
    else:
        data["network"]["paths"]["edge"] = link
    assert [warning.split(":")[0] for warning in said(loaded(tmp_path, data))] == ["network.kind"]
    data["network"]["kind"] = "ns3"
    assert said(loaded(tmp_path, data)) == []


def test_the_example_of_the_contract_is_valid(tmp_path: Path) -> None:
    """Its `model: {...}` stand for the model that is given in full."""
    file = next((file for file in CONTRACT_FILES if file.is_file()), None)
    if file is not None:
        text = re.findall(r"```yaml\n(.*?)```", file.read_text(encoding="utf-8"), re.DOTALL)[0]
        assert yaml.safe_load(text) == yaml.safe_load(CONTRACT)
    model = "{kind: synthetic, architecture: qwen2_5_vl, hidden_size: 512, layers: 6}"
    found = loaded(tmp_path, CONTRACT.replace("model: {...}", f"model: {model}"))
    assert list(found.scenario.tiers) == ["device", "edge", "cloud"]
    assert found.scenario.network.paths["cloud"].delay == 32_500_000
    engine = found.scenario.tiers["cloud"].engine
    assert isinstance(engine, VllmEngine)
    assert engine.served_name == "synthetic-qwen2_5_vl-512x6"


@pytest.mark.parametrize("file", sorted((ROOT / "experiments").glob("*.yaml")), ids=lambda file: file.stem)
def test_the_experiments_are_valid(file: Path, tmp_path: Path) -> None:
    found = load(file, environment={})
    assert found.warnings == ()
    assert again(tmp_path, found).scenario == found.scenario


CONTRACT = """\
schema_version: 1
name: device-edge-cloud
seed: 1
clock: {kind: lockstep}
duration: "60s"                      # clients issue this long, after warmup; the run ends when every request has ended
warmup: "2s"                         # requests issued before are served but not counted
network:
  kind: ns3                          # or pipe
  ue_mtu: 1400
  access: {kind: link, uplink: {rate: "60Mbit/s", delay: "8ms"}, downlink: {rate: "300Mbit/s", delay: "4ms"}}
  core: {delay: "1ms"}
  paths: {edge: {delay: "0.2ms", rate: "10Gbit/s"}, cloud: {delay: "32.5ms", rate: "1Gbit/s"}}
  transport: {congestion_control: cubic, slow_start_after_idle: true, tls: true, keepalive: "5s"}
  pcap: false
tiers:
  device: {engine: {kind: vllm, model: {kind: synthetic, architecture: qwen2_5_vl, hidden_size: 512, layers: 6},
    hardware: cpu, args: {max_num_seqs: 8}}, per_client: true}
  edge:   {path: edge,  engine: {kind: vllm, model: {...}, hardware: cpu, sharing: isolated}}
  cloud:  {path: cloud, engine: {kind: vllm, model: {...}, hardware: cpu, time_scale: 0.5}}
clients:
  - {name: cam-edge, kind: frames, count: 1, tier: edge, period: "500ms", image: {width: 640, height: 480, quality: 80},
     prompt_tokens: 24, output_tokens: 16, timeout: "10s", on_overrun: overlap}
placement: {kind: fixed}
sla: {premium: {e2el: "500ms"}, medium: {e2el: "1s"}}
validity: {min_requests: 30, max_error_share: "1%"}
timeline: [{at: "30s", set: {network.paths.cloud.delay: "60ms"}}]
"""
