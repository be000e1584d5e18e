"""`cosim compare` on made-up runs whose differences are known."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cosim.results import statistics
from cosim.results.compare import Comparison, PointComparison, Row, compare
from cosim.results.compare_text import comparison_lines
from cosim.results.records import RequestRecord
from cosim.results.store import ResultsError, write_manifest
from cosim.results.summary import write_summary
from cosim.results.sweep_store import SWEEP, run_directory
from tests.results_factory import MS, S, ended, manifest, step, write_run
from tests.sweep_factory import add_run, write_sweep

POINTS: dict[str, dict[str, Any]] = {"delay=0ms": {"delay": "0ms"}, "delay=20ms": {"delay": "20ms"}}


def load(shift_ms: int, seed: int, n: int = 80, clients: int = 8) -> list[RequestRecord]:
    """Requests whose latency varies by seed and request, all later by a shift."""
    draw = random.Random(seed)
    level_ms = 300 + 40 * seed
    return [
        ended(
            f"c{k % clients}-{k}",
            k * S // 10,
            int((level_ms + shift_ms + draw.randrange(200)) * MS),
            client=f"c{k % clients}",
        )
        for k in range(n)
    ]


def by_delay(values: dict[str, Any], seed: int) -> list[RequestRecord]:
    return load(int(values["delay"].removesuffix("ms")), seed)


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "RESAMPLES", 200)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sweep(tmp_path_factory.mktemp("written") / "sweep", POINTS, by_delay, seeds=[1, 2, 3, 4, 5])


@pytest.fixture
def sweep(written: Path, tmp_path: Path) -> Path:
    """A sweep of which a test may do away with a part."""
    return shutil.copytree(written, tmp_path / "sweep")


def two_points(sweep: Path) -> PointComparison:
    return compare(sweep / "points" / "delay=0ms", sweep / "points" / "delay=20ms").points[0]


def two_runs(
    folder: Path, a: list[RequestRecord], b: list[RequestRecord], seeds: Sequence[int] = (1, 1)
) -> PointComparison:
    for name, requests, seed in zip("ab", (a, b), seeds, strict=True):
        add_run(folder / name, requests, seed, {})
    return compare(folder / "a", folder / "b").points[0]


def row(point: PointComparison, metric: str, statistic: str, tier: str = "edge") -> Row:
    (found,) = (r for r in point.rows if (r.tier, r.metric, r.statistic) == (tier, metric, statistic))
    return found


def test_pairs_of_runs_show_a_shift_that_unpaired_runs_hide(sweep: Path) -> None:
    point = two_points(sweep)
    assert (point.seeds, point.requests_paired, point.only_a, point.only_b) == ([1, 2, 3, 4, 5], 400, 0, 0)
    assert point.not_paired is None
    assert [tuple(difference) for difference in point.differs] == [("delay", "0ms", "20ms")]
    for statistic in ("mean", "median", "p95", "shift"):
        found = row(point, "e2el", statistic)
        assert (found.delta, found.low, found.high) == pytest.approx((20, 20, 20), abs=1e-5)
        assert found.verdict == "B slower by 20.0 ms [20.0, 20.0]"
        assert found.rests_on == "5 pairs of runs"
    mean = row(point, "e2el", "mean")
    assert mean.a is not None
    assert mean.b == pytest.approx(mean.a + 20)
    assert mean.unpaired_delta == pytest.approx(20)
    assert mean.unpaired_low is not None
    assert mean.unpaired_high is not None
    # Seeds differ by 40 ms: s = 63 ms, and t(8) * s * sqrt(2 / 5) = 92 ms.
    assert mean.unpaired_low < -60
    assert mean.unpaired_high > 100
    assert row(point, "e2el", "shift").a is row(point, "e2el", "shift").unpaired_low is None


def test_a_hit_rate_that_falls(sweep: Path) -> None:
    rows = {found.sla_class: found for found in two_points(sweep).rows if found.metric == "sla_hit_rate"}
    premium = rows["premium"]
    assert premium.delta is not None
    assert premium.delta < -0.05
    assert premium.verdict.startswith(f"B lower by {-100 * premium.delta:.1f} points [")
    # Every request of every run meets the other class: the spread of runs says nothing.
    assert rows["medium"].verdict == "no difference seen [-0.488, 0.488] points"
    assert rows["medium"].rests_on == "400 pairs of requests taken as independent"
    assert rows["medium"].unpaired_rests_on == "400 and 400 requests taken as independent"


def test_one_pair_of_runs_resamples_its_clients(tmp_path: Path) -> None:
    late = [msgspec.structs.replace(r, e2el_ns=r.e2el_ns + (k % 8) * MS) for k, r in enumerate(load(20, 1))]
    found = row(two_runs(tmp_path, load(0, 1), late), "e2el", "mean")
    assert found.delta == pytest.approx(23.5)
    assert found.rests_on == found.unpaired_rests_on == "8 clients"
    assert found.low is not None
    assert found.high is not None
    # Clients are 0 to 7 ms later: their mean is 3.5 ms with a standard error of 0.81 ms.
    assert 21.0 < found.low < 22.5 < 24.5 < found.high < 26.0


def test_few_clients_leave_requests_to_resample(tmp_path: Path) -> None:
    found = row(two_runs(tmp_path, load(0, 1, clients=2), load(20, 1, clients=2)), "e2el", "mean")
    assert found.rests_on == "80 requests taken as independent"


def test_a_percentile_of_too_few_requests_is_not_judged(tmp_path: Path) -> None:
    point = two_runs(tmp_path, load(0, 1, n=40), load(20, 1, n=40))
    found = row(point, "e2el", "p95")
    assert found.delta == pytest.approx(20)
    assert found.verdict == "cannot say with n = 40; n = 72 would do"
    assert row(point, "e2el", "median").verdict == "B slower by 20.0 ms [20.0, 20.0]"
    assert row(two_runs(tmp_path / "few", load(0, 1, n=5), load(20, 1, n=5)), "e2el", "mean").verdict == (
        "cannot say with n = 5; n = 6 would do"
    )


def test_failures_are_infinite_and_no_difference_of_two_is_made_up(tmp_path: Path) -> None:
    def timed_out(requests: list[RequestRecord], which: set[int]) -> list[RequestRecord]:
        return [
            ended(r.request_id, r.t_sent_ns, 2 * S, "timeout", client=r.client) if k in which else r
            for k, r in enumerate(requests)
        ]

    a, b = timed_out(load(0, 1), set(range(10))), timed_out(load(20, 1), set(range(5, 15)))
    point = two_runs(tmp_path, a, b)
    mean = row(point, "e2el", "mean")
    assert mean.delta == pytest.approx(20)
    assert mean.unanswered_pairs == 15
    assert row(point, "e2el", "median").a is not None
    p95 = row(point, "e2el", "p95")
    assert (p95.a, p95.b, p95.delta) == (None, None, None)
    assert p95.verdict == "cannot say: not answered, or not there, in one of the two"
    # Five came to fail and five no longer do, five failed twice: the request in the middle is 20 ms later.
    assert row(point, "e2el", "shift").verdict == "B slower by 20.0 ms [20.0, 20.0]"
    assert "(15 unanswered left out)" in "\n".join(comparison_lines(compare(tmp_path / "a", tmp_path / "b")))


def test_nothing_answered_has_hit_rates_and_no_latency(tmp_path: Path) -> None:
    dead = [ended(r.request_id, r.t_sent_ns, 2 * S, "timeout") for r in load(0, 1)]
    point = two_runs(tmp_path, load(0, 1), dead)
    assert row(point, "e2el", "mean").verdict.startswith("cannot say: ")
    assert row(point, "e2el", "shift").delta is None
    (found,) = (r for r in point.rows if r.sla_class == "medium")
    assert found.verdict.startswith("B lower by 100.0 points [")


def test_unequal_numbers_of_requests_are_counted(tmp_path: Path) -> None:
    warm = ended("warm-0", 0, S, warmup=True)
    a, b = [*load(0, 1, n=100), warm], [*load(20, 1, n=80), warm]
    b += [ended("late-0", 9 * S, S, client="late"), ended("late-1", 10 * S, S, "cancelled", client="late")]
    point = two_runs(tmp_path, a, b)
    assert (point.requests_paired, point.only_a, point.only_b) == (80, 20, 1)
    assert row(point, "e2el", "mean").delta == pytest.approx(20)


def test_requests_that_were_due_at_other_times_are_not_the_same(tmp_path: Path) -> None:
    later = [msgspec.structs.replace(r, t_scheduled_ns=r.t_scheduled_ns + k) for k, r in enumerate(load(20, 1))]
    point = two_runs(tmp_path, load(0, 1), later)
    assert point.not_paired == "requests of one name were due at other times, so they are not the same"
    assert row(point, "e2el", "mean").low == row(point, "e2el", "mean").unpaired_low


def test_over_pairs_of_runs_requests_without_partners_count(sweep: Path) -> None:
    for number in range(5):
        requests = run_directory(sweep, "delay=20ms", number) / "requests.jsonl"
        lines = requests.read_text().splitlines(keepends=True)
        requests.write_text("".join(lines[: len(lines) // 2]))
    comparison = compare(sweep / "points" / "delay=0ms", sweep / "points" / "delay=20ms")
    found = row(comparison.points[0], "e2el", "mean")
    assert found.delta == pytest.approx(found.unpaired_delta)
    assert "requests.jsonl holds 40 of 80 requests" in comparison.objections[0]


def test_different_seeds_are_not_paired(tmp_path: Path) -> None:
    point = two_runs(tmp_path, load(0, 1), load(20, 2), seeds=(1, 2))
    assert point.not_paired == "no seed in common, so arrivals and draws differ"
    found = row(point, "e2el", "mean")
    assert (found.delta, found.low) == (found.unpaired_delta, found.unpaired_low)
    assert found.delta == pytest.approx(60, abs=30)
    assert not any(found.statistic == "shift" for found in point.rows)


def test_seeds_of_one_side_alone_count_only_unpaired(sweep: Path) -> None:
    shutil.rmtree(run_directory(sweep, "delay=20ms", 4))
    point = two_points(sweep)
    assert (point.seeds, point.runs_a, point.runs_b) == ([1, 2, 3, 4], 5, 4)
    found = row(point, "e2el", "mean")
    assert (found.rests_on, found.unpaired_rests_on) == ("4 pairs of runs", "5 and 4 runs")
    assert found.delta == pytest.approx(20)
    assert found.unpaired_delta == pytest.approx(0, abs=5)


def test_executed_steps_carry_their_own_noise(tmp_path: Path) -> None:
    for name, shift in (("a", 0), ("b", 20)):
        write_run(tmp_path / name, load(shift, 1), [step()])
        write_summary(tmp_path / name)
    point = compare(tmp_path / "a", tmp_path / "b").points[0]
    assert point.not_paired == "steps were executed, and carry a noise of their own in each run"
    assert row(point, "e2el", "mean").low == row(point, "e2el", "mean").unpaired_low
    assert not any(found.statistic == "shift" for found in point.rows)


def test_tiers_between_which_requests_move_are_compared_together(tmp_path: Path) -> None:
    moved = [msgspec.structs.replace(r, tier="cloud") if k % 2 else r for k, r in enumerate(load(20, 1))]
    point = two_runs(tmp_path, load(0, 1), moved)
    assert list(dict.fromkeys(found.tier for found in point.rows)) == ["edge", "(all)"]
    # A line is long where a verdict is, and no name is cut for it.
    assert any(
        line.startswith("  (all)  e2el p95") for line in comparison_lines(compare(tmp_path / "a", tmp_path / "b"))
    )
    assert row(point, "e2el", "mean", "(all)").delta == pytest.approx(20)
    assert row(point, "e2el", "mean").delta == pytest.approx(20)


def test_a_class_may_have_the_name_of_a_metric(tmp_path: Path) -> None:
    for name in "ab":
        objectives = manifest()["objectives"] | {"sla": {"e2el": 500 * MS}}
        write_run(tmp_path / name, load(0, 1), objectives=objectives)
        write_summary(tmp_path / name)
    rows = compare(tmp_path / "a", tmp_path / "b").points[0].rows
    assert [r.a for r in rows if r.sla_class == "e2el"] == [pytest.approx(0.8, abs=0.1)]


def test_whole_sweeps_are_compared_point_by_point(sweep: Path, tmp_path: Path) -> None:
    points = {"d=20ms": {"delay": "20ms"}, "d=0ms": {"delay": "0ms"}, "d=9ms": {"delay": "9ms"}}
    other = write_sweep(tmp_path / "other", points, by_delay, seeds=[1, 2, 3])
    comparison = compare(sweep, other)
    assert [(Path(p.a).name, Path(p.b).name) for p in comparison.points] == [
        ("delay=0ms", "d=0ms"),
        ("delay=20ms", "d=20ms"),
    ]
    assert (comparison.lacking, comparison.objections) == ([f"{sweep} lacks d=9ms"], [])
    assert row(comparison.points[1], "e2el", "mean").verdict == "no difference seen [0.000, 0.000] ms"


def test_runs_that_may_not_be_used_are_named(sweep: Path) -> None:
    (run_directory(sweep, "delay=0ms", 0) / "summary.json").unlink()
    path = run_directory(sweep, "delay=20ms", 1) / "summary.json"
    summary = json.loads(path.read_text())
    path.write_text(json.dumps(summary | {"verdict": "INVALID", "reasons": ["drift: too much"]}))
    comparison = compare(sweep / "points" / "delay=0ms", sweep / "points" / "delay=20ms")
    assert comparison.objections == [
        f"{run_directory(sweep, 'delay=0ms', 0)} never came to its end and is left out",
        f"{path.parent} is INVALID: drift: too much",
    ]


def test_points_of_which_no_run_ended_are_left_out(sweep: Path, written: Path) -> None:
    for number in range(5):
        (run_directory(sweep, "delay=0ms", number) / "summary.json").unlink()
    comparison = compare(sweep, written)
    assert [Path(point.a).name for point in comparison.points] == ["delay=20ms"]
    assert len(comparison.objections) == 5


@pytest.mark.parametrize(
    ("a", "b", "told"),
    [
        ("sweep", "sweep/points/delay=0ms", "sweep is a sweep, the other is not; give two sweeps, or a point: "),
        ("sweep/points", "sweep/points/delay=0ms", "points is no run, no point of a sweep (SWEEP/points/SLUG) and no"),
        ("sweep/points/delay=0ms", "nowhere", "nowhere is no run"),
        ("sweep/points/delay=0ms", "unended", "unended has no run that came to its end (no summary.json that can be"),
        ("sweep", "other", "have no point in common; give two points: "),
    ],
)
def test_what_cannot_be_compared(sweep: Path, tmp_path: Path, a: str, b: str, told: str) -> None:
    (tmp_path / "unended").mkdir()
    write_manifest(tmp_path / "unended", manifest())
    write_sweep(tmp_path / "other", {"d=1ms": {"delay": "1ms"}}, by_delay, seeds=[])
    with pytest.raises(ResultsError) as raised:
        compare(tmp_path / a, tmp_path / b)
    assert told in str(raised.value)


def test_a_damaged_sweep_file_is_named(sweep: Path) -> None:
    (sweep / SWEEP).write_text("{")
    with pytest.raises(ResultsError, match=r"sweep\.json is damaged"):
        compare(sweep, sweep)


def test_every_key_that_differs_is_named_by_its_path(tmp_path: Path) -> None:
    for name, delay, count in (("a", "5ms", 1), ("b", "9ms", 2)):
        values = {"network": f"{{paths: {{cloud: {{delay: {delay}}}}}}}", "more": f"[{{count: {count}}}]", name: "x"}
        add_run(tmp_path / name, load(0, 1), 1, values)
    found = compare(tmp_path / "a", tmp_path / "b").points[0].differs
    assert [tuple(difference) for difference in found] == [
        ("network.paths.cloud.delay", "5ms", "9ms"),
        ("more.0.count", "1", "2"),
        ("a", "x", None),
        ("b", None, "x"),
    ]


def test_a_comparison_is_json_without_nan(sweep: Path) -> None:
    comparison = compare(sweep, sweep)
    text = json.dumps(msgspec.to_builtins(comparison), allow_nan=False)
    assert msgspec.json.decode(text, type=Comparison) == comparison


def test_the_text_says_what_was_paired_and_how_sure_it_is(sweep: Path) -> None:
    lines = comparison_lines(compare(sweep / "points" / "delay=0ms", sweep / "points" / "delay=20ms"))
    text = "\n".join(lines)
    assert "  delay: 0ms -> 20ms\n  5 pair(s) of runs of equal seeds (of 5 and 5): 400 requests in both" in text
    (line,) = (line for line in lines if "e2el median" in line)
    assert line.split()[:3] == ["edge", "e2el", "median"]
    assert line.endswith("B slower by 20.0 ms [20.0, 20.0]")
