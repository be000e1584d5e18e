"""runs.csv and summary.csv of a sweep: what is in them, and what is counted and not hidden."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from cosim.results.records import RequestRecord
from cosim.results.statistics import mean_interval, share_interval, wilson
from cosim.results.sweep_store import SWEEP, read_sweep, run_directory
from cosim.results.sweep_tables import FIGURES, as_written, point_rows, sweep_rows, write_tables
from tests.results_factory import S, ended
from tests.sweep_factory import write_sweep

POINTS: dict[str, dict[str, Any]] = {"delay=10ms": {"delay": "10ms", "n": 1}, "delay=30ms": {"delay": "30ms", "n": 1}}


def requests(values: dict[str, Any], seed: int) -> list[RequestRecord]:
    """Ten requests of tier edge that take 400 ms and more, by delay and seed; the last one times out."""
    delay_ms = int(values["delay"].removesuffix("ms"))
    first = [ended(f"r-{k}", k * S, (400 + 10 * k + 3 * seed + delay_ms) * 1_000_000) for k in range(9)]
    return [*first, ended("r-9", 9 * S, 2 * S, "timeout")]


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    return write_sweep(tmp_path / "sweep", POINTS, requests)


def table(directory: Path, name: str) -> list[dict[str, str]]:
    write_tables(directory)
    with open(directory / name, newline="") as file:
        return list(csv.DictReader(file))


def test_a_row_for_each_run_tier_and_class(sweep: Path) -> None:
    rows = table(sweep, "runs.csv")
    keys = [(row["point"], row["run"], row["tier"], row["class"]) for row in rows]
    assert keys == [(slug, str(k), "edge", name) for slug in POINTS for k in range(3) for name in ("premium", "medium")]
    row = next(row for row in rows if (row["tier"], row["class"], row["seed"]) == ("edge", "premium", "2"))
    summary = json.loads((run_directory(sweep, "delay=10ms", 1) / "summary.json").read_text())
    tier = summary["tiers"]["edge"]
    # 416 + 10 k <= 500: k = 0 to 8, and the timeout is a miss.
    assert (row["n"], row["hits"], row["ok"], row["timeout"], row["error"]) == ("10", "9", "9", "1", "0")
    assert (row["delay"], row["status"], row["verdict"], row["steps"]) == ("10ms", "done", "VALID", "constant")
    assert float(row["wilson_low"]) == pytest.approx(wilson(9, 10).low, abs=1e-6)
    assert float(row["p95_e2el_ms"]) == tier["p95_e2el_ms"] < 500
    assert float(row["mean_up_access_ms"]) == tier["parts_ms"]["up_access"]
    # One of ten has failed: it is what nine in ten are below, and not what 95 in 100 are.
    assert (float(row["median_e2el_of_all_ms"]), row["p95_e2el_of_all_ms"]) == (456.0, "")


def test_a_row_for_each_point_with_intervals_across_seeds(sweep: Path) -> None:
    rows = [row for row in table(sweep, "summary.csv") if (row["tier"], row["class"]) == ("edge", "premium")]
    assert [(row["point"], row["runs"], row["failed"], row["paired"]) for row in rows] == [
        ("delay=10ms", "3", "0", "yes"),
        ("delay=30ms", "3", "0", "yes"),
    ]
    first, second = rows
    found = [float(first[f"mean_e2el_ms{end}"]) for end in ("", "_low", "_high")]
    assert found == pytest.approx([456, *mean_interval([453, 456, 459])])
    # 430 + 3 seed + 10 k <= 500
    counts = [sum(430 + 3 * seed + 10 * k <= 500 for k in range(9)) for seed in (1, 2, 3)]
    assert (second["n"], second["hits"]) == ("30", str(sum(counts)))
    rate = [float(second[f"sla_hit_rate{end}"]) for end in ("", "_low", "_high")]
    assert rate == pytest.approx([sum(counts) / 30, *share_interval(counts, [10] * 3)], abs=1e-6)
    assert first["p95_e2el_of_all_ms"] == ""


def test_what_did_not_come_to_its_end_is_counted(sweep: Path) -> None:
    for number, name in enumerate(("summary.json", "summary.json", "requests.jsonl")):
        (run_directory(sweep, "delay=30ms", number) / name).unlink()
    (run_directory(sweep, "delay=30ms", 1) / "failure.json").write_text("{}")
    (run_directory(sweep, "delay=30ms", 2) / "summary.json").write_text('{"verdict": "VALID"}')
    shutil.rmtree(run_directory(sweep, "delay=10ms", 0))
    runs = table(sweep, "runs.csv")
    ends = [(row["point"], row["run"], row["status"], row["verdict"]) for row in runs if not row["tier"]]
    assert ends == [
        ("delay=10ms", "0", "missing", ""),
        ("delay=30ms", "0", "missing", ""),
        ("delay=30ms", "1", "failed", ""),
        ("delay=30ms", "2", "missing", ""),
    ]
    points = {(row["point"], row["tier"], row["class"]): row for row in table(sweep, "summary.csv")}
    row = points["delay=10ms", "edge", "premium"]
    assert (row["runs"], row["failed"], row["missing"], row["n"]) == ("2", "0", "1", "20")
    row = points["delay=30ms", "", ""]
    assert (row["runs"], row["failed"], row["missing"], row["n"], row["sla_hit_rate"]) == ("0", "1", "2", "", "")


def test_a_mean_is_not_taken_over_the_runs_that_happen_to_have_a_figure(tmp_path: Path) -> None:
    def none_answered(values: dict[str, Any], seed: int) -> list[RequestRecord]:
        found = requests(values, seed)
        return found if seed != 2 else [ended(f"r-{k}", k * S, 2 * S, "timeout") for k in range(10)]

    rows = point_rows(sweep_rows(write_sweep(tmp_path / "sweep", POINTS, none_answered)))
    row = next(row for row in rows if (row.tier, row.sla_class) == ("edge", "medium"))
    assert row.figures["mean_e2el_ms"].mean is None
    assert row.hit_rate.mean == pytest.approx(0.6)


def test_invalid_runs_are_marked(sweep: Path) -> None:
    path = run_directory(sweep, "delay=10ms", 2) / "summary.json"
    path.write_text(path.read_text().replace('"VALID"', '"INVALID"'))
    rows = point_rows(sweep_rows(sweep))
    assert {row.point.slug: (row.runs, row.invalid) for row in rows} == {"delay=10ms": (3, 1), "delay=30ms": (3, 0)}


def test_scenarios_without_classes_have_a_row_for_each_tier(sweep: Path) -> None:
    for path in sweep.glob("points/*/*/summary.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"sla": []}))
    rows = table(sweep, "runs.csv")
    assert [(row["run"], row["tier"], row["class"], row["n"], row["ok"]) for row in rows[:2]] == [
        ("0", "edge", "", "", "9"),
        ("1", "edge", "", "", "9"),
    ]


def test_requests_rejected_before_a_tier_was_chosen_have_their_rows(tmp_path: Path) -> None:
    def rejected(values: dict[str, Any], seed: int) -> list[RequestRecord]:
        return [*requests(values, seed), ended("r-x", 9 * S, S, "rejected", tier=None)]

    rows = table(write_sweep(tmp_path / "sweep", POINTS, rejected, seeds=[1]), "runs.csv")
    last = rows[3]
    assert (last["run"], last["tier"], last["class"], last["status"]) == ("0", "", "medium", "done")
    assert (last["n"], last["hits"], last["ok"]) == ("1", "0", "")


def test_the_same_runs_give_the_same_bytes(sweep: Path, tmp_path: Path) -> None:
    write_tables(sweep)
    shutil.copytree(sweep, tmp_path / "elsewhere")
    for name in ("runs.csv", "summary.csv"):
        before = (sweep / name).read_bytes()
        (tmp_path / "elsewhere" / name).unlink()
        write_tables(tmp_path / "elsewhere")
        assert (tmp_path / "elsewhere" / name).read_bytes() == before
        assert b"wall" not in before
        assert b"2026" not in before


def test_points_are_in_the_order_of_their_index(sweep: Path) -> None:
    content = json.loads((sweep / SWEEP).read_text())
    content["points"].reverse()
    (sweep / SWEEP).write_text(json.dumps(content))
    assert [point.index for point in read_sweep(sweep).points] == [1, 0]
    assert [row.point.index for row in point_rows(sweep_rows(sweep))] == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("value", "text"),
    [("20ms", "20ms"), (3, "3"), (0.1, "0.1"), (True, "true"), (None, "null"), ({"preset": "é"}, '{"preset": "é"}')],
)
def test_values_are_written_as_they_were(value: object, text: str) -> None:
    assert as_written(value) == text


def test_every_figure_is_in_both_tables(sweep: Path) -> None:
    assert set(FIGURES) <= table(sweep, "runs.csv")[0].keys()
    assert set(FIGURES) <= table(sweep, "summary.csv")[0].keys()
    assert {"mean_ttft_ms", "median_tpot_ms", "p95_itl_ms", "p99_e2el_ms", "output_throughput"} <= set(FIGURES)
