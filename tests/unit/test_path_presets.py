"""WAN presets: where their figures come from, what lies under what, and what a run says of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from scipy.stats import gamma

from cosim.path_basis import path_basis
from cosim.path_table import preset_lines
from cosim.plan import plan_lines
from cosim.results.terminal import path_words
from cosim.scenario.errors import ScenarioError
from cosim.scenario.link_values import FqCodel, GammaJitter
from cosim.scenario.links import Path as PathSection
from cosim.scenario.path_presets import presets
from tests.links import again, cloud_of, faults, loaded
from tests.lockstep import said

MS = 1_000_000
# facts of the inter-region matrix: RTT p50 from ap-southeast-1, ms
MATRIX_MS = {
    "singapore": 3.9,
    "mumbai": 64.9,
    "hong-kong": 36.5,
    "tokyo": 70.2,
    "seoul": 75.4,
    "osaka": 76.5,
    "sydney": 95.0,
    "bahrain": 98.6,
    "frankfurt": 159.9,
    "london": 166.5,
    "oregon": 161.4,
    "n-california": 171.2,
    "ohio": 204.7,
    "n-virginia": 217.6,
    "sao-paulo": 328.6,
}


def of(name: str, **own: Any) -> PathSection:
    return PathSection.model_validate({"preset": name, **own})


@pytest.mark.parametrize("name", MATRIX_MS)
def test_a_region_has_half_of_the_measured_round_trip_each_way(name: str) -> None:
    preset = presets()[f"singapore-{name}"]
    assert of(preset.name).delay == round(MATRIX_MS[name] / 2 * MS)
    delay = preset.figures["delay"]
    assert (delay.kind, delay.percentile, delay.date) == ("measured", "p50", "2024-10 (inferred)")
    assert f"RTT {MATRIX_MS[name]} ms" in delay.why


@pytest.mark.parametrize("name", list(presets()))
def test_every_figure_says_what_it_rests_on(name: str) -> None:
    preset = presets()[name]
    assert {"delay", "jitter", "loss"} <= preset.figures.keys()
    for key, figure in preset.figures.items():
        assert figure.kind in ("measured", "assumption")
        assert figure.why
        assert figure.kind == "assumption" or (figure.source and figure.date and figure.percentile), key


@pytest.mark.parametrize("name", list(presets()))
def test_the_tail_is_what_the_assumption_says(name: str) -> None:
    """The sum of two gamma draws of one scale is a gamma of twice the shape."""
    path = of(name)
    jitter = path.jitter
    assert isinstance(jitter, GammaJitter)
    assert isinstance(path.delay, int)
    rtt_ms = 2 * path.delay / MS
    tail_ms = {"leo-satellite": 0.8 * 30, "geo-satellite": 50, "home-broadband": 0.3 * 78}.get(name, 0.3 * rtt_ms)
    both = gamma(2 * jitter.shape, scale=jitter.mean / jitter.shape / MS)
    assert both.ppf(0.99) - both.ppf(0.5) == pytest.approx(tail_ms, rel=0.05)
    assert both.ppf(0.5) < 0.011 * tail_ms


def test_geo_is_the_time_of_flight() -> None:
    assert of("geo-satellite").delay == pytest.approx(2 * 35_786 / 299_792.458 * 1e9, rel=1e-4)


def test_keys_of_the_path_win(tmp_path: Path) -> None:
    own = {"preset": "leo-satellite", "rate": "50Mbit/s", "jitter": {"mean": "3ms"}, "loss_up": "2%"}
    path = cloud_of(loaded(tmp_path, own))
    assert (path.delay, path.rate, path.rate_up, path.rate_down) == (15 * MS, 50_000_000, None, None)
    assert path.jitter == GammaJitter.model_validate({"kind": "gamma", "mean": "3ms", "shape": 0.1, "hold": "100ms"})
    assert (path.loss, path.loss_up) == (0.001, 0.02)
    assert of("leo-satellite", rate_up="1Mbit/s").rate_down == 100_000_000
    assert of("leo-satellite", jitter="1ms").jitter == MS
    assert of("home-broadband", rate_up=None).direction(up=True).rate is None


def test_what_a_section_keeps_of_the_preset_stays_an_assumption(tmp_path: Path) -> None:
    network = loaded(tmp_path, {"preset": "leo-satellite", "jitter": {"mean": "3ms"}}).scenario.network
    (row,) = [row for row in path_basis(network)["paths.cloud"]["figures"] if row["key"] == "jitter"]
    assert (row["kind"], row["value"]) == ("assumption", "3 ms (gamma, shape 0.1, held 100 ms)")
    assert row["why"].endswith("; of the scenario: mean")
    whole = {"kind": "gamma", "mean": "3ms", "shape": 2, "hold": "1s"}
    network = loaded(tmp_path, {"preset": "leo-satellite", "jitter": whole}).scenario.network
    (row,) = [row for row in path_basis(network)["paths.cloud"]["figures"] if row["key"] == "jitter"]
    assert row["kind"] == "scenario"


def test_a_resolved_path_is_whole_and_the_same(tmp_path: Path) -> None:
    for name in presets():
        first = loaded(tmp_path, {"preset": name, "outages": [{"at": "100ms", "duration": "20ms"}]})
        second = again(tmp_path, first)
        assert second.scenario == first.scenario
        assert second.hash() == first.hash()
        assert said(second) == said(first)
        data = first.data()["network"]["paths"]["cloud"]
        assert data["preset"] == name
        assert data["delay"] != "0ns"


def test_a_preset_is_set_by_a_flag(tmp_path: Path) -> None:
    flag = "network.paths.cloud.preset=singapore-tokyo"
    assert cloud_of(loaded(tmp_path, {}, flags=[flag])).delay == 35_100_000
    assert cloud_of(loaded(tmp_path, {"preset": "metro"}, flags=[flag])).delay == 35_100_000
    shape = cloud_of(loaded(tmp_path, {"preset": "metro"}, flags=["network.paths.cloud.jitter.shape=2"])).jitter
    assert shape == GammaJitter.model_validate({"kind": "gamma", "mean": "11us", "shape": 2, "hold": "100ms"})


def test_a_preset_that_changes_nothing_is_warned_about(tmp_path: Path) -> None:
    resolved = again(tmp_path, loaded(tmp_path, {"preset": "metro"})).data()["network"]["paths"]["cloud"]
    found = loaded(tmp_path, resolved, flags=["network.paths.cloud.preset=leo-satellite"])
    assert cloud_of(found).delay == 415_000
    warning = "network.paths.cloud.preset: changes nothing, since every value of it is given beside it"
    assert said(found) == [warning]


def test_an_unknown_preset_is_refused_with_the_nearest(tmp_path: Path) -> None:
    n = len(presets())
    assert faults(tmp_path, {"preset": "singapore-mumbay", "jitter": {"mean": "1ms"}}) == [
        "preset: singapore-mumbay | network.paths.cloud.preset: no preset 'singapore-mumbay'; did you mean "
        f"singapore-mumbai or singapore-bahrain or singapore-tokyo? `cosim paths` lists all {n}"
    ]
    (fault,) = faults(tmp_path, {}, flags=["network.paths.cloud.preset=mumbai"])
    assert fault.startswith("--set network.paths.cloud.preset=mumbai | ")
    assert "did you mean singapore-mumbai? `cosim paths`" in fault
    assert faults(tmp_path, {"preset": "zzz"})[0].endswith(f"no preset 'zzz'; `cosim paths` lists all {n}")
    assert "input should be a valid string" in faults(tmp_path, {"preset": 3})[0]
    entry = {"at": "1s", "set": {"network.paths.cloud.preset": "metro"}}
    assert "'network.paths.cloud.preset' cannot change in a run" in faults(tmp_path, {}, timeline=[entry])[0]


def test_what_a_path_rests_on(tmp_path: Path) -> None:
    own = {"preset": "singapore-mumbai", "loss": "1%", "rate_up": "20Mbit/s", "discipline_up": "fq-codel"}
    found = again(tmp_path, loaded(tmp_path, own))
    basis = path_basis(found.scenario.network)
    assert list(basis) == ["paths.cloud"]
    figures = {row["key"]: row for row in basis["paths.cloud"]["figures"]}
    assert {key: (row["kind"], row["value"]) for key, row in figures.items()} == {
        "rate": ("assumption", "none"),
        "rate_up": ("scenario", "20 Mbit/s"),
        "delay": ("measured", "32.45 ms"),
        "jitter": ("assumption", "0.89 ms (gamma, shape 0.1, held 100 ms)"),
        "loss": ("scenario", "1.000%"),
        "discipline_up": ("scenario", "fq-codel, target 5 ms"),
    }
    assert isinstance(cloud_of(found).discipline_up, FqCodel)
    assert figures["delay"]["percentile"] == "p50"
    assert "AWS inter-region matrix" in figures["delay"]["source"]
    assert figures["jitter"]["percentile"] == "p99/p50 = 1.3"
    assert figures["loss"]["source"] is None
    assert path_words({"paths": basis}) == (
        "presets and traces: paths.cloud singapore-mumbai (measured: delay; assumption: rate, jitter; scenario: "
        "rate_up, loss, discipline_up)"
    )
    plan = "\n".join(plan_lines(found))
    assert "paths.cloud rests on preset singapore-mumbai\n" in plan
    assert "    delay 32.45 ms: measured, p50, AWS inter-region matrix" in plan
    assert "    jitter 0.89 ms (gamma, shape 0.1, held 100 ms): assumption, p99/p50 = 1.3, blog on home lines" in plan


def test_a_path_of_defaults_rests_on_nothing(tmp_path: Path) -> None:
    network = loaded(tmp_path, {}).scenario.network
    assert path_basis(network) == {}
    assert path_words({"paths": {}}) == ""


def test_the_list_of_presets() -> None:
    lines = list(preset_lines())
    rows = {line.split()[0]: line for line in lines[1 : 1 + len(presets())]}
    assert list(rows) == list(presets())
    assert " 32.45 ms " in rows["singapore-mumbai"]
    assert " measured " in rows["singapore-mumbai"]
    assert " p50 2024-10 (inferred) " in rows["singapore-mumbai"]
    assert " assumption " in rows["leo-satellite"]
    assert "10 / 100 Mbit/s" in rows["leo-satellite"]
    whole = "\n".join(preset_lines("geo-satellite"))
    assert "assumption, RTT 477.48 ms: 4 x 35,786 km" in whole
    with pytest.raises(ScenarioError, match="no preset 'geo'; did you mean geo-satellite"):
        list(preset_lines("geo"))
