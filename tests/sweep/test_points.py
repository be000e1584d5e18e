"""From the `sweep` section to points: combinations, names, and what is refused where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cosim.scenario.errors import ScenarioError
from cosim.scenario.load import load
from cosim.sweep.points import placed_points
from cosim.sweep.slugs import LONGEST_SLUG, labels, slug
from cosim.sweep.tasks import resolve, resolved_points, tasks_of
from cosim.sweep.work import load_task
from tests.lockstep import chat
from tests.sweep.rig import loaded, swept, write

DELAY, TOKENS = "network.paths.edge.delay", "clients.0.output_tokens"


def slugs(folder: Path, sweep: dict[str, Any]) -> list[str]:
    return [placed.point.slug for placed in placed_points(loaded(folder, sweep))]


def test_a_grid_has_every_combination_and_the_last_key_varies_fastest(tmp_path: Path) -> None:
    assert slugs(tmp_path, {"kind": "grid", "parameters": {DELAY: ["1ms", "2ms"], TOKENS: [2, 3]}}) == [
        "delay=1ms,output_tokens=2",
        "delay=1ms,output_tokens=3",
        "delay=2ms,output_tokens=2",
        "delay=2ms,output_tokens=3",
    ]


def test_a_zip_takes_the_values_side_by_side(tmp_path: Path) -> None:
    sweep = {"kind": "zip", "parameters": {DELAY: ["1ms", "2ms"], TOKENS: [2, 3]}}
    assert slugs(tmp_path, sweep) == ["delay=1ms,output_tokens=2", "delay=2ms,output_tokens=3"]


def test_a_list_names_its_points_and_leaves_other_keys_as_they_are(tmp_path: Path) -> None:
    points = placed_points(loaded(tmp_path, {"kind": "list", "points": [{DELAY: "1ms"}, {TOKENS: 3}, {}]}))
    assert [placed.point.slug for placed in points] == ["delay=1ms", "output_tokens=3", "base"]
    assert [placed.point.values for placed in points] == [
        {DELAY: "1ms", TOKENS: 2},
        {DELAY: "0ns", TOKENS: 3},
        {DELAY: "0ns", TOKENS: 2},
    ]


def test_a_random_sweep_draws_by_seed_within_its_ranges(tmp_path: Path) -> None:
    parameters = {DELAY: {"low": "1ms", "high": "80.5ms", "scale": "log"}, TOKENS: {"low": 2, "high": 9}}
    sweep = {"kind": "random", "samples": 20, "parameters": parameters}
    drawn = [placed.point.values for placed in placed_points(loaded(tmp_path, sweep))]
    assert len({str(values) for values in drawn}) == 20
    assert all(1 <= float(values[DELAY].removesuffix("ms")) <= 80.5 for values in drawn)
    assert {values[TOKENS] for values in drawn} <= set(range(2, 10))
    assert drawn == [placed.point.values for placed in placed_points(loaded(tmp_path, sweep))]
    another = placed_points(loaded(tmp_path, {**sweep, "seed": 2}))
    assert drawn != [placed.point.values for placed in another]


def test_another_key_leaves_the_draws_of_the_first(tmp_path: Path) -> None:
    def delays(**more: Any) -> list[str]:
        parameters = {DELAY: {"low": "1ms", "high": "80ms"}, **more}
        points = placed_points(loaded(tmp_path, {"kind": "random", "samples": 5, "parameters": parameters}))
        return [placed.point.values[DELAY] for placed in points]

    assert delays() == delays(**{TOKENS: [2, 3]})


def test_runs_of_one_number_have_one_seed_and_load_as_what_was_checked(tmp_path: Path) -> None:
    base = loaded(tmp_path, seed=7)
    tasks = [
        task
        for placed, resolved in resolved_points(base, placed_points(base), runnable=True)
        for task in tasks_of(base, placed, resolved)
    ]
    assert [task.seed for task in tasks] == [7, 8] * 4
    assert tasks[3].directory == "points/delay=1ms,output_tokens=3/run=1"
    assert [task.index for task in tasks] == list(range(8))
    for task in tasks:
        run = load_task(task)
        assert run.hash() == task.scenario_hash
        assert run.scenario.seed == task.seed
        assert "sweep" not in run.data()
    assert len({task.scenario_hash for task in tasks}) == 8


def test_a_points_scenario_is_that_of_the_same_settings(tmp_path: Path) -> None:
    base = loaded(tmp_path, {"kind": "list", "points": [{"clients.0.tier": "edge", DELAY: "5ms"}]})
    [placed] = placed_points(base)
    with_flags = load(tmp_path / "s.yaml", settings=[f"{DELAY}=5ms", "clients.0.tier=edge"], environment={})
    assert resolve(base, placed).data() == with_flags.base().data()


def fault(folder: Path, sweep: dict[str, Any], **overrides: Any) -> str:
    def check() -> None:
        base = loaded(folder, sweep, **overrides)
        list(resolved_points(base, placed_points(base), runnable=False))

    with pytest.raises(ScenarioError) as caught:
        check()
    return str(caught.value).replace(f"{folder}/", "")


def grid(**parameters: Any) -> dict[str, Any]:
    return {"kind": "grid", "parameters": {key.replace("__", "."): values for key, values in parameters.items()}}


@pytest.mark.parametrize(
    ("sweep", "told"),
    [
        (
            grid(network__paths__egde__delay=["1ms"]),
            "sweep.parameters.network.paths.egde.delay: no such key in this scenario; did you mean "
            "network.paths.edge.delay",
        ),
        (grid(network__paths__edge__dealy=["1ms"]), "[0]: unknown key; did you mean 'delay'? allowed: "),
        (grid(clients__1__tier=["edge"]), "sweep.parameters.clients.1.tier: no such key in this scenario; did you"),
        (grid(seed=[1, 2]), "sweep.parameters.seed: cannot be swept; the runs of each point differ by seed already"),
        (grid(sweep__repeats=[1, 2]), "sweep.parameters.sweep.repeats: cannot be swept"),
        (grid(**{"a b": [1]}), "sweep.parameters.a b: is no dotted path; such as network.paths.cloud.delay"),
        (
            grid(network__paths__edge=[{"delay": "1ms"}], network__paths__edge__delay=["1ms"]),
            "sweep.parameters.network.paths.edge.delay: lies inside network.paths.edge, which is swept too",
        ),
        (
            grid(network__paths__edge__delay=["1ms", "2ms", 60]),
            "s.yaml:48: sweep.parameters.network.paths.edge.delay[2]: 60",
        ),
        (
            {"kind": "list", "points": [{DELAY: "1ms"}, {DELAY: "-1ms"}]},
            "s.yaml:46: sweep.points[1].network.paths.edge.delay: '-1ms' must be zero or more",
        ),
        (grid(clients__0__tier=["edge", "clod"]), "sweep.parameters.clients.0.tier[1]: no tier 'clod'; allowed: edge"),
        (grid(network__paths__edge__delay=[]), "sweep.parameters.network.paths.edge.delay: [] is not allowed"),
        ({"kind": "grid", "parameters": {}}, "sweep.parameters: {} is not allowed"),
        ({"kind": "list", "points": []}, "sweep.points: [] is not allowed"),
        ({"kind": "gird", "parameters": {}}, "sweep.kind: unknown kind 'gird'; one of grid, zip, list, random"),
        (
            grid(network__paths__edge__delay=["1ms", "2ms", "1ms"]),
            "s.yaml:48: sweep.parameters.network.paths.edge.delay[2]: point 2 has the same name as point 0: delay=1ms",
        ),
        (
            {"kind": "list", "points": [{DELAY: "1ms"}, {DELAY: "1 ms"}, {DELAY: "1/ms"}]},
            "point 2 has the same name as point 1: delay=1-ms",
        ),
        (
            {"kind": "zip", "parameters": {DELAY: ["1ms", "2ms"], TOKENS: [2]}},
            f"sweep.parameters.{TOKENS}: has 1 values; 2, as many as {DELAY}",
        ),
        (
            {"kind": "random", "samples": 2, "parameters": {DELAY: {"low": "1ms", "high": "2s"}}},
            "high: '2s' has another unit than low; the unit of '1ms'",
        ),
        (
            {"kind": "random", "samples": 2, "parameters": {DELAY: {"low": "3ms", "high": "2ms"}}},
            "high: '2ms' is not above low; more than '3ms'",
        ),
        (
            {"kind": "random", "samples": 2, "parameters": {DELAY: {"low": "0ms", "high": "2ms", "scale": "log"}}},
            "low: '0ms' has no logarithm; more than 0, or scale: linear",
        ),
        ({"kind": "random", "samples": 3, "parameters": {TOKENS: [2, 3]}}, "sweep.samples: only 2 different points"),
    ],
)
def test_what_cannot_be_swept_is_told_at_its_place(tmp_path: Path, sweep: dict[str, Any], told: str) -> None:
    assert told in fault(tmp_path, sweep)


def test_a_fault_of_many_points_is_told_once(tmp_path: Path) -> None:
    told = fault(tmp_path, grid(network__paths__edge__delay=[5], clients__0__output_tokens=[2, 3, 4]))
    assert len(told.splitlines()) == 1


def test_a_fault_between_a_value_and_the_file_names_the_point(tmp_path: Path) -> None:
    network = {**swept()["network"], "paths": {"edge": {}, "cloud": {}}}
    tiers = {"edge": {"path": "edge", "engine": {"kind": "stub"}}}
    told = fault(tmp_path, {"kind": "list", "points": [{"network.paths": {"cloud": {}}}]}, network=network, tiers=tiers)
    assert "tiers.edge.path: no path 'edge' (at the point paths=cloud); allowed: cloud" in told


def test_a_free_key_may_be_swept(tmp_path: Path) -> None:
    """What is no section of cosim's, such as the arguments of vLLM, has keys that only others know."""
    tier = {"path": "edge", "engine": {"kind": "vllm", "model": "nobody/model"}}
    sweep = grid(tiers__edge__engine__args__max_num_seqs=[8, 16])
    base = loaded(tmp_path, sweep, tiers={"edge": tier})
    assert [placed.point.slug for placed in placed_points(base)] == ["max_num_seqs=8", "max_num_seqs=16"]


def test_a_file_name_in_the_sweep_is_relative_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    camera = {"name": "cam", "kind": "frames", "tier": "edge", "period": "1s"}
    base = loaded(tmp_path, grid(clients__1__folder=["pictures"]), clients=[chat("user"), camera])
    assert resolve(base, placed_points(base)[0]).data()["clients"][1]["folder"] == str(tmp_path / "pictures")


def test_a_key_is_named_by_its_shortest_end_that_no_other_has() -> None:
    assert labels(
        ["network.paths.cloud.delay", "network.paths.edge.delay", "clients.0.tier", "clients.1.tier", "a.0"]
    ) == {
        "network.paths.cloud.delay": "cloud.delay",
        "network.paths.edge.delay": "edge.delay",
        "clients.0.tier": "clients.0.tier",
        "clients.1.tier": "clients.1.tier",
        "a.0": "a.0",
    }


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("65ms", "65ms"),
        ("0.5%", "0.5%"),
        ("100Mbit/s", "100Mbit-s"),
        (-5, "-5"),
        (True, "true"),
        (None, "null"),
        ({"preset": "leo"}, "preset-leo"),
        ([], "empty"),
        ("../..", "..-.."),
        ("a\nb,c=d", "a-b-c-d"),
        ("東京", "--130016b259"),
    ],
)
def test_a_value_in_a_name_is_safe_in_a_file_system(value: Any, told: str) -> None:
    assert slug({"a.key": value}, {"a.key": "key"}) == f"key={told}"


def test_long_names_are_cut_and_stay_different() -> None:
    values = [{f"k{index}": "x" * 30 for index in range(8)} | {"k7": end} for end in ("a", "b")]
    names = [slug(point, {key: key for key in point}) for point in values]
    assert all(len(name) == LONGEST_SLUG for name in names)
    assert names[0] != names[1]
    assert slug({"k": "y" * 100}, {"k": "k"}) != slug({"k": "y" * 101}, {"k": "k"})


def test_the_file_itself_is_one_scenario_too(tmp_path: Path) -> None:
    """`cosim run` on it runs what stands beside the sweep, whose copy has none."""
    data = swept()
    base = load(write(tmp_path / "s.yaml", data), environment={})
    assert "sweep" in base.resolved_yaml()
    del data["sweep"]
    assert base.base().hash() == load(write(tmp_path / "t.yaml", data), environment={}).hash()
