"""summary.json: its keys, its numbers, and that a rebuild gives the same bytes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cosim.results.parts import PARTS, contract_part, in_order, part_of
from cosim.results.store import ResultsError
from cosim.results.summary import summarise, write_summary
from tests.results_factory import MS, S, ended, made_up_run, request, step, write_run


def test_a_rebuild_gives_the_same_bytes(tmp_path: Path) -> None:
    run = made_up_run(tmp_path / "run", seconds=10)
    written = write_summary(run)
    first = (run / "summary.json").read_bytes()
    (run / "summary.json").unlink()
    write_summary(run)
    assert (run / "summary.json").read_bytes() == first
    assert json.loads(first) == written
    assert not list(run.glob("*.tmp"))


def test_the_keys_of_the_contract(tmp_path: Path) -> None:
    summary = summarise(made_up_run(tmp_path / "run", seconds=10))
    keys = (
        "schema_version verdict reasons qualifiers clock seed virtual_s wall_s wall_parts_s requests sla tiers "
        "step_coverage bytes"
    )
    assert set(keys.split(" ")) <= set(summary)
    assert summary["schema_version"] == 1
    assert list(summary["wall_parts_s"]) == ["engine", "network", "conductor", "startup"]
    assert {"issued", "ok", "error", "timeout", "cancelled", "rejected", "unfinished"} <= set(summary["requests"])
    assert list(summary["tiers"]) == ["device", "edge", "cloud"]
    for tier in summary["tiers"].values():
        assert {"n", "mean_ttft_ms", "p99_e2el_ms", "request_throughput", "parts_ms", "sharing"} <= set(tier)
    assert summary["step_coverage"] == {
        "executed": 1.0,
        "replayed": 0.0,
        "interpolated": 0.0,
        "extrapolated": 0.0,
        "predicted": 0.0,
    }


def test_numbers_by_hand(tmp_path: Path) -> None:
    requests = [
        request("a"),
        request("b", parts={"up_access": 100 * MS, "decode": 400 * MS}, e2el_ns=500 * MS, e2el_scheduled_ns=500 * MS),
        request("c", status="timeout", parts={"queue": 300 * MS}),
        request("d", warmup=True),
    ]
    steps = [step(index=0), step(index=1, duration_ns=30 * MS, source="replayed")]
    run = write_run(tmp_path / "run", requests, steps, scenario="clients: [{tier: edge}]", virtual_ns=2 * S)
    summary = summarise(run)
    assert summary["requests"] == {
        "issued": 4,
        "ok": 3,
        "error": 0,
        "timeout": 1,
        "cancelled": 0,
        "rejected": 0,
        "unfinished": 0,
        "warmup": 1,
    }
    edge = summary["tiers"]["edge"]
    assert (edge["n"], edge["completed"], edge["timeout"]) == (3, 2, 1)
    assert edge["mean_e2el_ms"] == 400.0
    assert edge["parts_ms"] == {
        "up_access": 75.0,
        "queue": 5.0,
        "prefill": 60.0,
        "decode": 250.0,
        "down_access": 10.0,
    }
    assert [(row["class"], row["hits"], row["n"]) for row in summary["sla"]] == [("premium", 2, 3), ("medium", 2, 3)]
    assert summary["step_coverage"]["replayed"] == 0.5
    assert summary["engines"]["edge"]["mean_step_ms"] == 20.0
    assert summary["engines"]["edge"]["busy_share"] == 0.02
    assert summary["bytes"] == {
        "connections": 1,
        "up": {"sent": 1000, "delivered": 900, "lost": 0, "discarded": 100},
        "down": {"sent": 300, "delivered": 300, "lost": 0, "discarded": 0},
    }


def test_a_run_without_requests_and_steps_has_no_zeros_for_numbers(tmp_path: Path) -> None:
    summary = summarise(write_run(tmp_path / "run", []))
    assert summary["verdict"] == "INVALID"
    assert set(summary["step_coverage"].values()) == {None}
    assert summary["tiers"]["edge"]["mean_ttft_ms"] is None
    assert summary["tiers"]["edge"]["parts_ms"] == {}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 3 * S), min_size=1, max_size=30))
def test_mean_parts_add_up_to_the_mean_e2el(tmp_path_factory: pytest.TempPathFactory, times: list[int]) -> None:
    requests = [ended(f"r-{k}", k * S, e2el_ns) for k, e2el_ns in enumerate(times)]
    edge = summarise(write_run(tmp_path_factory.mktemp("a") / "run", requests))["tiers"]["edge"]
    # Each of the 15 parts is rounded to 1 ns.
    assert sum(edge["parts_ms"].values()) == pytest.approx(edge["mean_e2el_ms"], abs=16e-6)


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ResultsError, match=r"manifest\.json is missing"):
        summarise(tmp_path)
    run = write_run(tmp_path / "run", [])
    (run / "scenario.resolved.yaml").write_text("[")
    with pytest.raises(ResultsError, match=r"scenario\.resolved\.yaml"):
        summarise(run)


def test_finer_parts_take_the_place_of_what_they_refine() -> None:
    assert part_of("up_access_sr_wait").refines == contract_part("up_access_sr_wait") == "up_access"
    assert part_of("up_core_later").name == contract_part("up_core_later") == "up_core"
    expected = [
        "up_pool",
        "up_access_sr_wait",
        "up_access_air",
        "up_access_x",
        "up_core",
        "decode",
        "down_access_air",
        "z",
    ]
    assert in_order(reversed(expected)) == in_order(sorted(expected)) == expected
    assert in_order(reversed([part.name for part in PARTS])) == [part.name for part in PARTS]
