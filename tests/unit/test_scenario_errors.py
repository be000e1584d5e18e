"""What is wrong with a scenario: every fault at once, each at its file and line, with what is allowed."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cosim.scenario.errors import Problem, ScenarioError, shown
from cosim.scenario.load import Loaded, load
from tests.lockstep import chat, scenario

TEXT = """\
schema_version: 1
duration: 1s
network:
  kind: pipe
  access: {kind: link, uplink: {delay: 8ms}}
  paths:
    edge: {delay: 1ms}
    cloud: {delay: 30ms, rate: 1Gbit/s}
tiers:
  edge:
    path: edge
    engine: {kind: stub}
clients:
  - name: cam
    kind: frames
    tier: edge
    period: 500ms
  - {name: user, kind: chat, tier: edge, arrivals: {kind: poisson, rate: 2/s}}
sla: {premium: {e2el: 500ms}}
timeline:
  - at: 1s
    set: {network.paths.cloud.delay: 60ms}
"""


def faults(tmp_path: Path, *edits: tuple[str, str]) -> list[str]:
    """The problems of the text above with parts replaced, without the folder."""
    text = TEXT
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    file = tmp_path / "s.yaml"
    file.write_text(text)
    with pytest.raises(ScenarioError) as caught:
        load(file, environment={})
    return str(caught.value).replace(str(file), "s.yaml").splitlines()


def test_tiers_that_may_extrapolate_have_to_be_there(tmp_path: Path) -> None:
    edit = "sla: {premium", "validity:\n  allow_extrapolated:\n    - edge\n    - egde\nsla: {premium"
    assert faults(tmp_path, edit) == ["s.yaml:22: validity.allow_extrapolated.1: no tier 'egde'; allowed: edge"]


def test_the_text_is_valid_and_what_has_no_effect_is_warned_about(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(TEXT + "  - {at: 2s, set: {}}\n")
    idle = ["tiers.local={engine: {kind: stub}}", "timeline.0.at=999ms", "tiers.edge.balancing=least-loaded"]
    assert load(file, settings=idle, environment={}).warnings == (
        "network.paths.cloud: no tier uses this path (tiers use: edge)",
        "tiers.edge.balancing: has nothing to choose from, since replicas is 1",
        "tiers.local: no client asks this tier",
        "timeline.1: comes after the last request is issued, at 1 s",
    )


def test_a_problem_as_text() -> None:
    assert str(Problem("s.yaml", 3, "a.b", "is wrong", "this")) == "s.yaml:3: a.b: is wrong; this"
    assert str(Problem("--set a=1", None, "a", "is wrong")) == "--set a=1: a: is wrong"
    assert str(Problem("s.yaml", 1, "", "is empty")) == "s.yaml:1: is empty"
    assert str(ScenarioError([Problem("f", 1, "", "x"), Problem("f", 2, "", "y")])) == "f:1: x\nf:2: y"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("duration: 1s", "durations: 1s", "s.yaml:1: duration: is missing; required here"),
        (
            "duration: 1s",
            "durations: 1s",
            "s.yaml:2: durations: unknown key; did you mean 'duration'? allowed: clients,",
        ),
        ("duration: 1s", "duration: 10", "s.yaml:2: duration: 10 has no unit: '10ms' or '10s'?; a duration such as"),
        ("duration: 1s", "duration: {s: 1}", "s.yaml:2: duration: {'s': 1} is not a duration"),
        ("schema_version: 1", "schema_version: 2", "s.yaml:1: schema_version: 2 is not allowed; input should be 1"),
        ("kind: pipe", "kind: pipes", "s.yaml:4: network.kind: unknown kind 'pipes'; one of ns3, pipe"),
        ("kind: pipe", "mtu: 3", "s.yaml:3: network: has no kind; one of ns3, pipe"),
        ("kind: pipe", "kind: [pipe]", "s.yaml:4: network.kind: unknown kind"),
        (
            "kind: pipe",
            "kind: pipe\n  ue_mtu: 100",
            "s.yaml:5: network.ue_mtu: 100 is not allowed; input should be gre",
        ),
        (
            "kind: pipe",
            "kind: pipe\n  ue_mtu: true",
            "s.yaml:5: network.ue_mtu: True is not allowed; input should be a",
        ),
        (
            "edge: {delay: 1ms}",
            "edge: {gateway: {http: 3}}",
            "s.yaml:7: network.paths.edge.gateway.http: 3 is not allowed; input should be 2",
        ),
        (
            "edge: {delay: 1ms}",
            "edge: {gateway: {}}",
            "s.yaml:7: network.paths.edge.gateway.http: is missing",
        ),
        (
            "access: {kind: link, uplink: {delay: 8ms}}\n  paths:\n    edge: {delay: 1ms}",
            "transport: {tls: false}\n  paths:\n    edge: {gateway: {http: 2}}",
            "s.yaml:7: network.paths.edge.gateway: HTTP/2 is chosen in the TLS handshake (ALPN), and transport.tls is",
        ),
        ("kind: pipe", "kind: pipe\n  core: {gateway: {http: 2}}", "s.yaml:5: network.core.gateway: unknown key"),
        ("kind: pipe", 'kind: pipe\n  ue_mtu: "1400"', "s.yaml:5: network.ue_mtu: '1400' is not allowed; input should"),
        ("{delay: 8ms}", "{dealy: 8ms}", "s.yaml:5: network.access.uplink.dealy: unknown key; did you mean 'delay'?"),
        ("{delay: 8ms}", "3", "s.yaml:5: network.access.uplink: 3 is not a section; `key: value` lines"),
        ("{delay: 1ms}", "", "s.yaml:7: network.paths.edge: None is not a section"),
        ("{delay: 1ms}", "{queue: 100B}", "s.yaml:7: network.paths.edge.queue: 100 bytes hold no packet; at least ue_"),
        ("cloud: {delay", "a/b: {delay", "s.yaml:8: network.paths.a/b: 'a/b' is not a valid name here; a text that"),
        ("cloud: {delay", '"": {delay', "s.yaml:8: network.paths.: '' is not a valid name here"),
        ("cloud: {delay", '"x\\ny": {delay', "s.yaml:8: network.paths.x\\ny: 'x\\ny' is not a valid name here"),
        ("cloud: {delay", "été: {delay", "s.yaml:8: network.paths.été: 'été' is not a valid name here"),
        (
            "path: edge",
            "path: edge\n    per_client: true\n    replicas: 2",
            "s.yaml:13: tiers.edge.replicas: given beside per_client; one of the two",
        ),
        ("path: edge", "replicas: 0", "s.yaml:11: tiers.edge.replicas: 0 is not allowed; input should be greater"),
        ("path: edge", "balancing: x", "s.yaml:11: tiers.edge.balancing: 'x' is not allowed; input should be 'round-r"),
        ("path: edge", "path: egde", "s.yaml:11: tiers.edge.path: no path 'egde'; allowed: edge, cloud"),
        (
            "{kind: stub}",
            "{kind: stub, decod: 1ms}",
            "s.yaml:12: tiers.edge.engine.decod: unknown key; did you mean 'dec",
        ),
        ("{kind: stub}", "stub", "s.yaml:12: tiers.edge.engine: 'stub' is not a section"),
        ("{kind: stub}", "{kind: vllm, model: 3}", "s.yaml:12: tiers.edge.engine.model: 3 is not a section"),
        ("{kind: stub}", "{kind: vllm}", "s.yaml:12: tiers.edge.engine.model: is missing"),
        ("{kind: stub}", "{kind: stub, hardware: tpu}", "s.yaml:12: tiers.edge.engine.hardware: 'tpu' is not a valid"),
        ("tier: edge\n", "tier: egde\n", "s.yaml:16: clients.0.tier: no tier 'egde'; allowed: edge"),
        ("    period: 500ms\n", "", "s.yaml:14: clients.0.period: is missing; required here"),
        ("period: 500ms", "period: 0s", "s.yaml:17: clients.0.period: '0s' must be greater than zero"),
        (
            "period: 500ms",
            "period: 1s\n    image: {width: 640}\n    folder: x",
            "s.yaml:19: clients.0.folder: given bes",
        ),
        ("name: user", "name: cam", "s.yaml:18: clients.1.name: 'cam' names two groups; a name of its own"),
        ("kind: poisson, rate", "kind: poison, rate", "s.yaml:18: clients.1.arrivals.kind: unknown kind 'poison'; one"),
        ("kind: poisson, rate", "kind: closed, rate", "s.yaml:18: clients.1.arrivals.rate: unknown key; allowed: kind"),
        (
            "kind: chat, tier: edge, arrivals: {kind: poisson, rate: 2/s}",
            "kind: dialogue, tier: edge, turns: 3,\n     moves: [{turn: 2, tier: clod}]",
            "s.yaml:19: clients.1.moves.0.tier: no tier 'clod'; allowed: edge",
        ),
        (
            "kind: chat, tier: edge, arrivals: {kind: poisson, rate: 2/s}",
            "kind: dialogue, tier: edge, turns: {kind: normal, mean: 3}",
            "s.yaml:18: clients.1.turns.kind: unknown kind 'normal'; one of geometric, uniform",
        ),
        (
            "{kind: poisson, rate: 2/s}",
            "{kind: gamma, rate: 2/s}",
            "s.yaml:18: clients.1.arrivals.burstiness: is missing",
        ),
        (
            "{kind: poisson, rate: 2/s}",
            "{kind: gamma, rate: 2/s, burstiness: 0}",
            "s.yaml:18: clients.1.arrivals.burstiness: 0 is not allowed; input should be greater than or equal to 0.01",
        ),
        (
            "tier: edge, arrivals",
            "tier: edge, join: 5s, leave: 5s, arrivals",
            "s.yaml:18: clients.1.leave: before the last client joins, at 5 s; a later time",
        ),
        ("{e2el: 500ms}", "500ms", "s.yaml:19: sla.premium: '500ms' is not a section"),
        ("cloud.delay: 60ms", "cloud.delay: 60", "s.yaml:22: network.paths.cloud.delay: 60 has no unit"),
        (
            "cloud.delay: 60ms",
            "cloud.dealy: 60ms",
            "s.yaml:22: timeline.0.set: 'network.paths.cloud.dealy' cannot chan",
        ),
        ("paths.cloud.delay: 60ms", "paths.nobody.delay: 60ms", "s.yaml:22: timeline.0.set: 'network.paths.nobody.del"),
        ("paths.cloud.delay: 60ms", "ue_mtu: 900", "s.yaml:22: timeline.0.set: 'network.ue_mtu' cannot change in a"),
        ("network.paths.cloud.delay: 60ms", "seed: 2", "s.yaml:22: timeline.0.set: 'seed' cannot change in a run; net"),
        ("network.paths.cloud.delay: 60ms", "1: 2", "s.yaml:22: timeline.0.set: '1' cannot change in a run"),
        ("network.paths.cloud.delay: 60ms", "~: 2", "s.yaml:22: timeline.0.set: '~' cannot change in a run"),
        ("network.paths.cloud.delay: 60ms", '"": 2', "s.yaml:22: timeline.0.set: '' cannot change in a run"),
        ("{network.paths.cloud.delay: 60ms}", "[1]", "s.yaml:22: timeline.0.set: [1] is not a section"),
        ("cloud.delay: 60ms", "cloud.delay_up: [1]", "s.yaml:22: network.paths.cloud.delay_up: [1] is not a duration"),
        ("cloud.delay: 60ms", "cloud.queue: 10B", "s.yaml:22: network.paths.cloud.queue: 10 bytes hold no packet"),
    ],
)
def test_names_the_key_the_line_and_what_is_allowed(tmp_path: Path, old: str, new: str, told: str) -> None:
    found = "\n".join(faults(tmp_path, (old, new)))
    assert told in found


def test_tells_every_fault_in_the_order_of_the_file(tmp_path: Path) -> None:
    edits = [
        ("duration: 1s", "duration: 1"),
        ("delay: 8ms", "delay: 8"),
        ("{kind: stub}", "{kind: stubb}"),
        ("    period: 500ms\n", ""),
        ("e2el: 500ms", "e2e: 500ms"),
    ]
    assert [fault.split(": ")[:2] for fault in faults(tmp_path, *edits)] == [
        ["s.yaml:2", "duration"],
        ["s.yaml:5", "network.access.uplink.delay"],
        ["s.yaml:12", "tiers.edge.engine.kind"],
        ["s.yaml:14", "clients.0.period"],
        ["s.yaml:18", "sla.premium.e2e"],
        ["s.yaml:18", "sla.premium.e2el"],
    ]


def test_tells_every_reference_that_leads_nowhere(tmp_path: Path) -> None:
    found = faults(tmp_path, ("path: edge", "path: a"), ("tier: edge", "tier: b"), ("name: user", "name: cam"))
    assert [fault.split(";")[0] for fault in found] == [
        "s.yaml:11: tiers.edge.path: no path 'a'",
        "s.yaml:16: clients.0.tier: no tier 'b'",
        "s.yaml:18: clients.1.name: 'cam' names two groups",
        "s.yaml:18: clients.1.tier: no tier 'b'",
    ]


def test_tells_every_fault_of_the_timeline(tmp_path: Path) -> None:
    knobs = "{seed: 2, network.core.delay: 3, network.core.rate: fast, network.core.jitter: 1ms}"
    found = faults(tmp_path, ("{network.paths.cloud.delay: 60ms}", knobs))
    assert [fault.split(";")[0] for fault in found] == [
        "s.yaml:22: timeline.0.set: 'seed' cannot change in a run",
        "s.yaml:22: network.core.delay: 3 has no unit: '3ms' or '3s'?",
        "s.yaml:22: network.core.rate: 'fast' is not a rate",
    ]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    for folder in ("nobody", "x" * 300, "a/b" * 2000):
        found = faults(tmp_path, ("period: 500ms", f"period: 1s\n    folder: {folder}"))
        told = shown(f"no folder {folder!r}")
        assert found == [f"s.yaml:18: clients.0.folder: {told}; a folder with JPEG images"]
    found = faults(tmp_path, ("{kind: stub}", "{kind: replay, run: nobody}"))
    assert found == ["s.yaml:12: tiers.edge.engine.run: no folder 'nobody'; the directory of a run"]


def test_a_folder_that_is_a_loop_of_links(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    found = faults(tmp_path, ("period: 500ms", "period: 1s\n    folder: loop"))
    assert found == ["s.yaml:18: clients.0.folder: no folder 'loop'; a folder with JPEG images"]


# One of everything, so that the fuzz reaches every section.
RICH = scenario(
    name="rich",
    warmup="10ms",
    tiers={
        "edge": {"path": "edge", "engine": {"kind": "stub", "decode": "1ms", "time_scale": 2}},
        "cloud": {
            "path": "cloud",
            "per_client": True,
            "engine": {
                "kind": "vllm",
                "model": {"kind": "synthetic", "architecture": "qwen2_5_vl", "hidden_size": 256},
                "args": {"max_num_seqs": 8, "nested": {"a": [1, None, "x"]}},
            },
        },
        "hub": {"engine": {"kind": "vllm", "model": "Qwen/Qwen3-0.6B", "hardware": "gpu:1"}},
    },
    clients=[
        chat("user", cancel_after="1s"),
        chat("closed", arrivals={"kind": "closed", "think": "constant"}),
        {"name": "talk", "kind": "dialogue", "tier": "edge", "turns": {"kind": "uniform", "min": 2, "max": 3}}
        | {"moves": [{"turn": 2, "tier": "cloud"}], "join": "1ms", "leave": "90ms"},
        chat(
            "bursts",
            arrivals={"kind": "gamma", "rate": "3/s", "burstiness": 2, "rate_changes": [{"at": "1s", "rate": "1/s"}]},
        ),
        {"name": "cam", "kind": "frames", "tier": "cloud", "period": "50ms", "image": {"width": 64, "detail": 0.1}},
    ],
    placement={"kind": "fixed", "options": {}},
    validity={"min_requests": 3, "max_error_share": "1%"},
    timeline=[{"at": "10ms", "set": {"network.core.rate": "1Gbit/s", "network.access.uplink.loss": "1%"}}],
)


def nodes(data: Any, keys: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield keys
    for key in data if isinstance(data, dict) else range(len(data)) if isinstance(data, list) else ():
        yield from nodes(data[key], (*keys, key))


ODD = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**20, max_value=10**30)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["", "1s", "-1s", "1e400s", "50%", "edge", "cloud", "stub", "pipe", "ns3", "replay", "vllm"])
    | st.dates()
    | st.binary(max_size=3)
    | st.recursive(
        st.integers(), lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner)
    )
    | st.dictionaries(st.integers() | st.booleans() | st.none() | st.floats(), st.integers(), max_size=2)
)


def tried(file: Path) -> tuple[Loaded | None, list[Problem]]:
    try:
        return load(file, environment={}), []
    except ScenarioError as error:
        return None, error.problems


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(where=st.sampled_from(sorted(nodes(RICH), key=repr)), value=ODD, action=st.sampled_from(["put", "drop", "add"]))
def test_an_odd_value_anywhere_is_taken_or_refused_at_a_line_of_the_file(
    where: tuple[Any, ...], value: Any, action: str
) -> None:
    data = copy.deepcopy(RICH)
    node: Any = {"root": data}
    for key in ("root", *where)[:-1]:
        node = node[key]
    last = ("root", *where)[-1]
    if action == "drop":
        del node[last]
    elif action == "add" and isinstance(node[last], dict):
        node[last]["odd"] = value
    else:
        node[last] = value
    if not where:
        data = node.get("root")
    text = yaml.safe_dump(data)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "s.yaml"
        file.write_text(text, encoding="utf-8")
        loaded, problems = tried(file)
        if loaded is None:
            assert problems
            for problem in problems:
                assert problem.what
                assert problem.origin == str(file)
                assert problem.line in range(1, len(text.splitlines()) + 1)
            return
        resolved = Path(folder) / "resolved.yaml"
        resolved.write_text(loaded.resolved_yaml(), encoding="utf-8")
        again = load(resolved, environment={})
    assert again.scenario == loaded.scenario
    assert again.timeline == loaded.timeline
    assert again.hash() == loaded.hash()
    assert again.resolved_yaml() == loaded.resolved_yaml()
