"""Values from flags and from the environment, laid over a file's; each fault names the flag or the variable."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cosim.scenario.errors import ScenarioError
from cosim.scenario.load import Loaded, load
from cosim.scenario.override import apply_settings
from cosim.scenario.source import Source
from tests.lockstep import said, scenario


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "s.yaml"
    path.write_text(yaml.safe_dump(scenario(), sort_keys=False))
    return path


def fault(file: Path, flags: Iterable[str] = (), **environment: str) -> str:
    with pytest.raises(ScenarioError) as caught:
        load(file, settings=flags, environment=environment)
    return str(caught.value)


def delay_ns(loaded: Loaded) -> int:
    delay = loaded.scenario.network.paths["cloud"].delay
    assert isinstance(delay, int)
    return delay


def test_flag_before_environment_before_file_before_default(tmp_path: Path) -> None:
    """Each layer is laid over the one before it."""
    data = scenario()
    del data["network"]["paths"]["cloud"]["delay"]
    file = tmp_path / "s.yaml"
    file.write_text(yaml.safe_dump(data))
    assert delay_ns(load(file, environment={})) == 0
    file.write_text(yaml.safe_dump(scenario()))
    assert delay_ns(load(file, environment={})) == 20_000_000
    environment = {"COSIM__NETWORK__PATHS__CLOUD__DELAY": "30ms"}
    assert delay_ns(load(file, environment=environment)) == 30_000_000
    flags = ["network.paths.cloud.delay=40ms"]
    assert delay_ns(load(file, environment=environment, settings=flags)) == 40_000_000
    assert delay_ns(load(file, environment=environment, settings=[*flags, "network.paths.cloud.delay=50ms"])) == 5e7


@pytest.mark.parametrize(
    ("setting", "keys", "value"),
    [
        ("seed=7", ("seed",), 7),
        (" seed = 7", ("seed",), 7),
        ("name=a=b", ("name",), "a=b"),
        ("name=", ("name",), None),
        ("clients.0.count=3", ("clients", 0, "count"), 3),
        ("sla.new.e2el=1s", ("sla", "new", "e2el"), "1s"),
        ("sla={a: {e2el: 1s}}", ("sla", "a", "e2el"), "1s"),
        ("network.paths.5.delay=1ms", ("network", "paths", "5", "delay"), "1ms"),
        ("network.paths.007.delay=1ms", ("network", "paths", "007", "delay"), "1ms"),
        ("placement.options.x=${HOME}", ("placement", "options", "x"), "${HOME}"),
        ("sweep.repeats=3", ("sweep", "repeats"), 3),
        ("sweep.parameters.clients.0.count=[1]", ("sweep", "parameters", "clients.0.count"), [1]),
        ("sweep.parameters={a.b: [1]}", ("sweep", "parameters", "a.b"), [1]),
    ],
)
def test_a_setting_puts_a_value_at_a_path(setting: str, keys: tuple[Any, ...], value: object) -> None:
    source = Source("s.yaml", scenario())
    apply_settings(source, [setting])
    found: Any = source.data
    for key in keys:
        found = found[key]
    assert found == value
    assert source.place(keys) == (f"--set {setting}", None)


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("seed", "--set seed: is not a setting; --set network.paths.cloud.delay=60ms"),
        ("=1", "--set =1: is not a setting"),
        ("a..b=1", "--set a..b=1: is not a setting"),
        ("a b=1", "--set a b=1: is not a setting"),
        (".".join("x" * 99) + "=1", f"--set {'.'.join('x' * 99)}=1: has too many keys; at most 32"),
        ("seed=[1", "--set seed=[1: seed: is not YAML: "),
        ("seed=!!int x", "--set seed=!!int x: seed: 'x' is no int; a YAML value such as"),
        ("seed=&a [*a]", "--set seed=&a [*a]: seed: aliases that contain themselves"),
        ("seed=" + "[" * 5000, "--set seed="),
        ("seed=x", "--set seed=x: seed: 'x' is not allowed; input should be a valid integer"),
        ("sede=1", "--set sede=1: sede: unknown key; did you mean 'seed'?"),
        ("seed.x=1", "--set seed.x=1: seed: {'x': 1} is not allowed; input should be a valid integer"),
        (
            "clients.1.count=1",
            "--set clients.1.count=1: clients.1: items of a list go by number; allowed: 0",
        ),
        ("clients.x=1", "--set clients.x=1: clients.x: items of a list go by number; allowed: 0"),
        ("clients.-1=1", "--set clients.-1=1: clients.-1: items of a list go by number"),
        ("clients." + "9" * 5000 + "=1", "--set clients.9"),
        ("clients.0.count=0", "--set clients.0.count=0: clients.0.count: 0 is not allowed; input should be greater"),
        ("network.paths.cloud.delay=60", "--set network.paths.cloud.delay=60: network.paths.cloud.delay: 60 has no u"),
        ("clients.0.tier=cloud", "--set clients.0.tier=cloud: clients.0.tier: no tier 'cloud'; allowed: edge"),
        ("tiers.7.path=edge", "--set tiers.7.path=edge: tiers.7.engine: is missing; required here"),
        ("network=", "--set network=: network: None is not a section"),
    ],
)
def test_a_fault_names_the_flag(file: Path, setting: str, told: str) -> None:
    assert fault(file, [setting]).startswith(told)


def test_a_fault_names_the_variable(file: Path) -> None:
    assert fault(file, COSIM__SEED="x").startswith("environment COSIM__SEED: seed: 'x' is not allowed; input should")
    assert fault(file, COSIM__SEED="[").startswith("environment COSIM__SEED: seed: is not YAML: ")
    assert fault(file, COSIM__CLIENTS__3__COUNT="1").startswith(
        "environment COSIM__CLIENTS__3__COUNT: clients.3: items"
    )
    assert fault(file, COSIM__NETWORK__FOO="1").startswith("environment COSIM__NETWORK__FOO: network.foo: unknown key")
    assert fault(file, COSIM__SEED="\udcff").startswith("environment COSIM__SEED: seed: has a character that YAML")


def test_a_variable_takes_the_spelling_of_the_file(tmp_path: Path) -> None:
    data = scenario()
    data["network"]["paths"]["Far-Away"] = {}
    file = tmp_path / "s.yaml"
    file.write_text(yaml.safe_dump(data))
    environment = {"COSIM__NETWORK__PATHS__FAR-AWAY__DELAY": "7ms", "COSIM__CLIENTS__0__PROMPT_TOKENS": "5"}
    loaded = load(file, environment=environment)
    assert loaded.scenario.network.paths["Far-Away"].delay == 7_000_000
    assert loaded.data()["clients"][0]["prompt_tokens"] == 5
    assert said(loaded) == []


def test_an_unknown_variable_is_named_in_a_warning(file: Path) -> None:
    unknown = ["COSIM_SEED", "COSIM_", "COSIM__", "COSIM__SEDE", "COSIM__SEED____X", "COSIM__SEED__"]
    loaded = load(file, environment={**dict.fromkeys(unknown, "1"), "HOME": "/", "COSIMSEED": "1", "COSIM__SEED": "9"})
    assert said(loaded) == [
        f"environment variable {name} means nothing to cosim; a key is set by COSIM__KEY__KEY"
        for name in sorted(unknown)
    ]
    assert loaded.scenario.seed == 9


def test_what_the_file_says_below_a_replaced_key_has_no_line_any_more(file: Path) -> None:
    found = fault(file, ["network.paths={edge: {dely: 1ms}}"])
    assert found.startswith("--set network.paths={edge: {dely: 1ms}}: network.paths.edge.dely: unknown key")


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.lists(st.sampled_from(["network", "paths", "edge", "clients", "0", "x", "tiers", "seed"]), min_size=1),
    value=st.text(st.characters(codec="utf-8"), max_size=10) | st.sampled_from(["{a: 1}", "[]", "1s", "~", "!!set {}"]),
)
@example(path=["clients"], value="[{}]")
def test_any_setting_is_taken_or_refused(file: Path, path: list[str], value: str) -> None:
    variable = {f"COSIM__{'__'.join(path).upper()}": value}
    with contextlib.suppress(ScenarioError):
        load(file, settings=[f"{'.'.join(path)}={value}"], environment={})
    with contextlib.suppress(ScenarioError):
        load(file, environment=variable)
