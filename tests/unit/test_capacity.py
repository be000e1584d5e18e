"""Service capacity: what a curve of hit rates over load says, and which load a search tries next."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t as student

from cosim.results.capacity import Curve, LoadResult, result_of
from cosim.scenario.errors import Problem, ScenarioError
from cosim.scenario.load import load
from cosim.sweep.bracket import Bracket
from cosim.sweep.capacity import Question, question
from cosim.sweep.loads import Load
from tests.lockstep import scenario

TARGET = 0.95


def result(load: float, *hit_rates: float, latency_ms: float | None = 100.0) -> LoadResult:
    n = len(hit_rates)
    hits = tuple(round(1000 * rate) for rate in hit_rates)
    return LoadResult(load, hits, (1000,) * n, (2.0 * load,) * n, (latency_ms,) * n)


def curve(*results: LoadResult, target: float = TARGET) -> Curve:
    made = Curve(target, 1)
    for one in results:
        made.add(one)
    return made


def all_hit(load: float) -> LoadResult:
    return result(load, 1.0, 1.0, 1.0)


def none_hit(load: float) -> LoadResult:
    return result(load, 0.1, 0.1, 0.1)


def searched(bracket: Bracket, knee: float, spread: float = 0.0) -> tuple[Curve, list[float]]:
    """The loads that a search tries where hit rates fall from 1 to 0 at a knee."""
    found, tried = Curve(TARGET, bracket.step), []
    while (load := bracket.next_load(found)) is not None:
        tried.append(load)
        middle = 1 / (1 + math.exp(min(50.0, 4 * (load - knee))))
        found.add(result(load, max(0.0, middle - spread), middle, min(1.0, middle + spread)))
    return found, tried


def test_the_interval_over_seeds_is_students() -> None:
    one = result(4, 0.90, 0.96, 1.0)
    half = student.ppf(0.975, 2) * 0.0503322295684717 / math.sqrt(3)
    assert one.mean == pytest.approx(0.9533333)
    assert one.interval.low == pytest.approx(one.mean - half)
    assert one.interval.high == 1.0
    assert one.low_of_repetition == pytest.approx(one.mean - (1 + math.sqrt(2)) * half)


def test_runs_that_do_not_differ_are_bounded_by_the_number_of_their_requests() -> None:
    assert all_hit(4).interval.low == pytest.approx(0.9987, abs=1e-4)
    assert all_hit(4).low_of_repetition == all_hit(4).interval.low
    few = LoadResult(4, (10, 10, 10), (10, 10, 10), (1.0,) * 3, (1.0,) * 3)
    assert not few.meets(TARGET)


def test_one_seed_has_no_interval_and_meets_nothing() -> None:
    assert result(1, 1.0).interval == (None, None)
    assert not result(1, 1.0).meets(0.5)


def test_the_lower_end_and_not_the_mean_has_to_meet_the_target() -> None:
    assert not result(4, 0.90, 1.0, 1.0).meets(TARGET)
    assert curve(all_hit(3), result(4, 0.90, 1.0, 1.0)).estimate().load == 3


def test_a_repetition_is_expected_within_the_interval_which_is_no_narrower_than_a_step() -> None:
    found = curve(all_hit(3), all_hit(4), none_hit(5)).estimate()
    assert (found.low, found.load, found.high, found.beyond) == (3, 4, 5, False)


def test_a_load_that_a_repetition_may_miss_is_not_the_lower_end() -> None:
    nearly = result(4, 0.979, 0.985, 0.992)
    assert nearly.meets(TARGET)
    assert curve(all_hit(2), nearly, none_hit(5)).estimate().low == 2


def test_a_range_that_bounds_nothing_says_so() -> None:
    beyond = curve(all_hit(1), all_hit(2)).estimate()
    assert (beyond.load, beyond.high, beyond.beyond) == (2, None, True)
    none = curve(none_hit(1)).estimate()
    assert (none.load, none.low, none.high) == (None, None, None)


def test_loads_beyond_the_first_miss_do_not_count_but_are_named() -> None:
    found = curve(all_hit(1), none_hit(2), all_hit(3)).estimate()
    assert (found.load, found.above) == (1, (3,))


def test_the_knee_has_the_largest_throughput_per_latency() -> None:
    rising = [result(load, 1.0, 1.0, latency_ms=100 + 2.0 ** (load - 4)) for load in (1, 4, 8, 12)]
    assert curve(*rising).estimate().knee == 8
    assert curve(result(1, 0.0, 0.0, latency_ms=None)).estimate().knee is None


def test_a_load_of_few_requests_is_undecided_and_ends_no_search() -> None:
    few = LoadResult(1, (5, 4, 5), (5, 5, 5), (1.0,) * 3, (1.0,) * 3)
    found = curve(few, all_hit(2), all_hit(4), none_hit(8))
    assert (found.largest_met(), found.smallest_missed(), found.smallest_clear_miss()) == (4, 8, 8)
    assert Bracket(1, 64, 1).next_load(curve(few)) == 2


def test_a_run_without_answers_hits_nothing() -> None:
    summary = {
        "sla": [{"tier": "edge", "class": "premium", "hits": 0, "n": 0}],
        "tiers": {"edge": {"request_throughput": None, "mean_e2el_ms": None}},
    }
    one = result_of(2, [summary, {"sla": [], "tiers": {}}], "edge", "premium")
    assert one == LoadResult(2, (0, 0), (0, 0), (0.0, 0.0), (None, None))
    assert one.hit_rates == [0.0, 0.0]


def test_it_doubles_then_halves_then_looks_around() -> None:
    found, tried = searched(Bracket(1, 64, 1), knee=11.5)
    assert tried == [1, 2, 4, 8, 16, 12, 10, 11]
    estimate = found.estimate()
    assert (estimate.low, estimate.load, estimate.high) == (9, 10, 11)


def test_it_stays_inside_the_range() -> None:
    assert searched(Bracket(3, 20, 1), knee=40.0)[1] == [3, 6, 12, 20]
    assert searched(Bracket(3, 20, 1), knee=1.0)[1] == [3]


def test_it_goes_on_where_the_range_begins_below_a_step() -> None:
    assert searched(Bracket(1, 12, 4), knee=40.0)[1] == [1, 5, 9, 12]
    assert searched(Bracket(1, 12, 100), knee=40.0)[1] == [1, 12]


@settings(max_examples=60, deadline=None)
@given(st.floats(0.5, 80), st.integers(1, 5), st.integers(6, 70), st.integers(1, 9), st.floats(0, 0.05))
def test_a_search_ends_and_tries_no_load_twice(knee: float, low: int, high: int, step: int, spread: float) -> None:
    found, tried = searched(Bracket(low, high, step), knee, spread)
    assert high in tried or found.smallest_clear_miss() is not None
    assert len(tried) == len(set(tried)) <= 25
    estimate = found.estimate()
    if estimate.load is not None and estimate.low is not None:
        assert estimate.low < estimate.load
    if estimate.load is not None and estimate.high is not None:
        assert estimate.load < estimate.high


def test_loads_are_written_as_the_scenario_has_them() -> None:
    assert (Load(None).written(4.0), Load("/s").written(2.0), Load("/s").written(0.25)) == (4, "2/s", "0.25/s")
    assert Load("ms").written(0.1 + 0.2) == "0.3ms"
    assert Load("/s").parse("2.5", "--from") == Load("/s").parse("2.5/s", "--from") == 2.5


@pytest.mark.parametrize(
    ("unit", "text", "load"),
    [("us", "4ms", 4000), ("Gbit/s", "100Mbit/s", 0.1), ("/s", "120/min", 2), ("/min", "2/s", 120), ("%", "0.5", 50)],
)
def test_a_load_may_be_given_in_another_unit(unit: str, text: str, load: float) -> None:
    assert Load(unit).parse(text, "--to") == load


@pytest.mark.parametrize(
    ("unit", "text"),
    [
        (None, "2.5"),
        (None, "0"),
        ("/s", "2ms"),
        ("ms", "4Mbit/s"),
        ("/s", "x"),
        ("/s", "1.2.3/s"),
        (None, "1e999999999999999999"),
        (None, "1e16"),
        ("/s", "1e-400/s"),
        ("Mbit/s", "9e999999Gbit/s"),
    ],
)
def test_what_is_no_load_is_refused(unit: str | None, text: str) -> None:
    with pytest.raises(ScenarioError, match=f"--to: '{text}' is no load"):
        Load(unit).parse(text, "--to")


def asked(tmp_path: Path, vary: str, most_allowed: float = math.inf, **flags: str) -> Question:
    """A question about a scenario that cannot have values beyond `most_allowed`."""

    def fault(value: Any) -> Problem | None:
        number = float(re.sub("[^0-9.]", "", str(value)))
        return Problem("--set", None, vary, "is too much", f"at most {most_allowed}") if number > most_allowed else None

    data = scenario()
    data["network"]["paths"]["edge"] = {"delay": "32.5ms", "rate": "1Gbit/s"}
    file = tmp_path / "s.yaml"
    file.write_text(yaml.safe_dump(data))
    given = {key: flags.get(key) for key in ("least", "most", "step")}
    return question(
        load(file, environment={}), vary=vary, sla_class="premium", tier=None, target=0.9, runs=2, fault=fault, **given
    )


def test_loads_have_the_unit_of_the_file(tmp_path: Path) -> None:
    found = asked(tmp_path, "network.paths.edge.delay", least="4000us", most="0.1s")
    assert (found.load.unit, found.bracket) == ("ms", Bracket(4.0, 100.0, 4.0))
    found = asked(tmp_path, "network.paths.edge.rate", least="100Mbit/s")
    assert (found.load.unit, found.bracket) == ("Gbit/s", Bracket(0.1, 8.0, 0.1))
    assert asked(tmp_path, "network.transport.keepalive").load.unit == "s"


def test_a_range_that_was_not_asked_is_cut_to_what_the_key_can_be(tmp_path: Path) -> None:
    assert asked(tmp_path, "clients.0.count").bracket == Bracket(1, 64, 1)
    assert asked(tmp_path, "clients.0.count", 40).bracket == Bracket(1, 32, 1)
    assert asked(tmp_path, "network.paths.edge.delay", 100).bracket.high == 65
    assert asked(tmp_path, "clients.0.count", 40, least="39").bracket == Bracket(39, 39, 1)


@pytest.mark.parametrize(("flag", "name"), [("least", "--from"), ("most", "--to")])
def test_a_range_that_was_asked_is_refused_by_flag_where_the_key_cannot_be_it(
    tmp_path: Path, flag: str, name: str
) -> None:
    with pytest.raises(ScenarioError, match=f"{name}: 41: is too much; at most 40"):
        asked(tmp_path, "clients.0.count", 40, **{flag: "41"})
