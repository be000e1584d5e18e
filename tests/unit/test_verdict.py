"""Each reason for INVALID, from evidence and from the files of a run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cosim.results.store import ResultsError
from cosim.results.summary import read_disturbances, summarise, write_summary
from cosim.results.verdict import Cases, Evidence, TierCount, disturbances, judge
from tests.results_factory import MS, manifest, request, step, write_run

NAMES = ("device", "edge", "cloud")


def finished(**changes: Any) -> Evidence:
    values: dict[str, Any] = {
        "status": "finished",
        "issued": 10,
        "ended": 10,
        "tiers": {"edge": TierCount(ended=10)},
        "min_requests": 10,
        "max_error_share": 0.1,
    }
    return Evidence(**(values | changes))


def reason(**changes: Any) -> str:
    verdict = judge(finished(**changes))
    assert verdict.verdict == "INVALID"
    (text,) = verdict.reasons
    return text


def test_nothing_wrong_is_valid() -> None:
    verdict = judge(finished())
    assert (verdict.verdict, verdict.reasons) == ("VALID", [])


@pytest.mark.parametrize(
    ("status", "text"),
    [
        ("interrupted", "was interrupted"),
        ("failed", r"failure\.json"),
        ("running", "was killed"),
        (None, "was killed"),
    ],
)
def test_a_run_that_did_not_finish(status: str | None, text: str) -> None:
    with pytest.raises(AssertionError, match=text):
        raise AssertionError(reason(status=status))


def test_counts_that_do_not_fit() -> None:
    assert reason(issued=12).startswith("2 of 12 requests have not ended")
    assert "recorded twice" in reason(issued=9)
    assert "does not say how many requests were issued" in reason(issued=None)


def test_too_few_requests_in_a_tier() -> None:
    text = reason(tiers={"edge": TierCount(ended=12), "cloud": TierCount(ended=11, cancelled=2)})
    assert text.startswith("tier cloud has 9 counted request(s), validity.min_requests asks for 10; raise `duration`")


def test_too_many_errors_in_a_tier() -> None:
    assert judge(finished(tiers={"edge": TierCount(ended=10, errors=1)})).verdict == "VALID"
    text = reason(tiers={"edge": TierCount(ended=10, errors=2)})
    assert "2 of 10 requests ended as error (20.00%), validity.max_error_share allows 10.00%" in text


def test_broken_invariants_bytes_and_parts() -> None:
    assert reason(broken=["time went back"]).startswith("invariant broken: time went back;")
    cases = Cases()
    for k in range(7):
        cases.add(f"c{k}")
    assert str(cases) == "c0, c1, c2, c3, c4 and 2 more"
    assert "on 7 connection(s): c0, c1" in reason(unbalanced=cases)
    assert "parts of 7 request(s) do not add up to e2el_ns" in reason(parts_off=cases)


def test_durations_of_a_disturbed_run_stay_disturbed_when_they_are_repeated(tmp_path: Path) -> None:
    text = reason(recorded=["cpu: others"])
    assert text.startswith("recorded: ")
    assert "(cpu: others)" in text
    assert disturbances(["tier edge has", "cpu: a", "drift: b", text]) == ["cpu: a", "drift: b", text]
    use = {"cpus": 2, "wall_ns": 10, "busy_ns": 19, "own_ns": 9, "stolen_ns": 0}
    run = write_run(tmp_path / "run", three_tiers(), [step()], machine_use=use)
    reasons = write_summary(run)["reasons"]
    assert read_disturbances(run) == reasons != []
    for damage in (b"", b"[]", b'{"reasons": 5}'):
        (run / "summary.json").write_bytes(damage)
        assert read_disturbances(run) == reasons
    (run / "summary.json").unlink()
    assert read_disturbances(run) == reasons
    again = write_run(tmp_path / "again", three_tiers(), [], recorded_disturbances=reasons)
    assert summarise(again)["reasons"] == judge(finished(recorded=reasons)).reasons


@pytest.mark.parametrize(
    ("recording", "text"),
    [
        ({"other_load": 0.4}, "others used 40% of its CPUs, validity.max_other_load allows 25%"),
        (
            {"cpu_wait_share": 0.2},
            "20.0% of the executed time was spent waiting for a CPU, validity.max_cpu_wait_share allows 10.0%",
        ),
        ({"step_drift": 0.6}, "the time of equal steps changed by +60%, validity.max_step_drift allows 50%"),
        ({"step_drift": -0.35}, "the time of equal steps changed by -35%, validity.max_step_drift allows 50%"),
    ],
)
def test_durations_of_a_profile_of_a_disturbed_machine_are_disturbed(
    tmp_path: Path, recording: dict[str, float | None], text: str
) -> None:
    def reasons(name: str, recording: dict[str, float | None] | None) -> list[str]:
        profile = {"kind": "recorded", "file": "p.jsonl", "recording": recording}
        children = {"engines profiled": {"edge": {"profile": profile}, "cloud": {"profile": profile}, "far": {}}}
        run = write_run(tmp_path / name, three_tiers(), [step()], children=children)
        found = summarise(run)["reasons"]
        assert isinstance(found, list)
        return found

    quiet: dict[str, float | None] = {"other_load": 0.25, "cpu_wait_share": 0.1, "step_drift": -0.33}
    assert reasons("quiet", quiet) == reasons("unknown", dict.fromkeys(quiet)) == reasons("silent", None)
    (found,) = set(reasons("disturbed", quiet | recording)) - set(reasons("again", quiet))
    assert found == (
        f"recorded: the profile p.jsonl was measured on a disturbed machine ({text}); record it again with "
        "`cosim profile` on a quiet one"
    )
    assert disturbances(["tier edge has", found]) == [found]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"machine_use": {"cpus": 2}}, "machine_use: Object missing required field `wall_ns`"),
        ({"machine_use": {"cpus": 0, "wall_ns": 1, "busy_ns": 1, "own_ns": 1, "stolen_ns": 0}}, "machine_use.cpus: "),
        ({"objectives": 5}, "objectives: Expected `object | null`, got `int`"),
        ({"objectives": {"tiers": {"edge": None}}}, "objectives.tiers[...]: "),
        ({"objectives": {"sla": 5}}, "objectives.sla: "),
        ({"recorded_disturbances": 5}, "recorded_disturbances: "),
        ({"invariants": {"broken": 5}}, "invariants.broken: "),
        ({"connections": [{}]}, "connections[0]: Object missing required field `connection`"),
    ],
)
def test_a_damaged_manifest_is_named(tmp_path: Path, changes: dict[str, Any], text: str) -> None:
    run = write_run(tmp_path / "run", three_tiers(), [step()], **changes)
    with pytest.raises(ResultsError) as caught:
        summarise(run)
    assert str(caught.value).startswith(f"{run / 'manifest.json'}: {text}")
    assert str(caught.value).endswith("; restore the file or run the scenario again")


def test_a_wall_time_of_no_clock_is_damage(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", three_tiers(), [step(wall_start_ns=0, wall_end_ns=10**18 * 5)])
    with pytest.raises(ResultsError, match=r"steps.jsonl:1: .*wall_end_ns"):
        summarise(run)


def three_tiers(**changes: Any) -> list[Any]:
    return [request(f"{tier}-{k}", tier=tier, **changes) for tier in NAMES for k in range(4)]


def test_a_whole_run_is_valid(tmp_path: Path) -> None:
    summary = summarise(write_run(tmp_path / "run", three_tiers(), [step()]))
    assert (summary["verdict"], summary["reasons"]) == ("VALID", [])


def test_timeouts_are_misses_and_no_errors(tmp_path: Path) -> None:
    summary = summarise(write_run(tmp_path / "run", three_tiers(status="timeout")))
    assert summary["verdict"] == "VALID"
    assert summary["sla"][0]["sla_hit_rate"] == 0.0


def test_a_tier_whose_clients_never_got_through(tmp_path: Path) -> None:
    requests = [r for r in three_tiers() if r.tier != "cloud"]
    summary = summarise(write_run(tmp_path / "run", requests))
    assert [text[:40] for text in summary["reasons"]] == ["tier cloud has 0 counted request(s), val"]
    assert summary["tiers"]["cloud"]["n"] == 0


def test_a_tier_without_clients_is_not_asked_for(tmp_path: Path) -> None:
    scenario = "clients:\n- {name: cam, tier: edge}\n"
    requests = [r for r in three_tiers() if r.tier == "edge"]
    summary = summarise(write_run(tmp_path / "run", requests, scenario=scenario))
    assert summary["verdict"] == "VALID"
    assert list(summary["tiers"]) == ["edge"]


def test_warmup_does_not_count(tmp_path: Path) -> None:
    requests = [*three_tiers(), *(request(f"w-{k}", warmup=True, status="error") for k in range(9))]
    summary = summarise(write_run(tmp_path / "run", requests))
    assert summary["verdict"] == "VALID"
    assert summary["requests"]["error"] == summary["requests"]["warmup"] == 9


def test_parts_must_add_up_in_lockstep_only(tmp_path: Path) -> None:
    requests = [*three_tiers(), request("odd", parts={"queue": 299 * MS})]
    summary = summarise(write_run(tmp_path / "a", requests))
    assert "parts of 1 request(s) do not add up to e2el_ns: odd (+1000000 ns)" in summary["reasons"][0]
    negative = [*three_tiers(), request("odd", parts={"queue": 301 * MS, "decode": -1 * MS})]
    assert summarise(write_run(tmp_path / "b", negative))["verdict"] == "INVALID"
    assert summarise(write_run(tmp_path / "c", requests, clock="realtime"))["verdict"] == "VALID"


def test_bytes_must_add_up(tmp_path: Path) -> None:
    account = {"connection": 4, "up": False, "sent": 10, "delivered": 8, "lost": 1, "discarded": 0}
    summary = summarise(write_run(tmp_path / "run", three_tiers(), connections=[account]))
    assert "on 1 connection(s): 4 down (+1 bytes)" in summary["reasons"][0]


def test_the_manifests_word_is_taken(tmp_path: Path) -> None:
    broken = {"checked": {}, "broken": ["a token left before its prompt arrived"]}
    summary = summarise(write_run(tmp_path / "run", three_tiers(), invariants=broken, status="interrupted", issued=13))
    assert [text.split(":")[0] for text in summary["reasons"]] == [
        "the run was interrupted",
        "1 of 13 requests have not ended; let the run go on until every request has ended (each has a timeout)",
        "invariant broken",
    ]


def test_extrapolated_steps_of_an_engine_that_the_manifest_does_not_know(tmp_path: Path) -> None:
    lines = [step("odd", 0), step("odd", 1, source="extrapolated")]
    summary = summarise(write_run(tmp_path / "run", three_tiers(), lines))
    assert summary["reasons"][0].startswith("tier odd: 1 of 2 steps lie outside what its profile measured")
    assert summary["step_coverage"]["extrapolated"] == 0.5


def test_a_killed_run_says_so(tmp_path: Path) -> None:
    early = {key: manifest()[key] for key in ("schema_version", "name", "clock", "seed")}
    directory = write_run(tmp_path / "run", three_tiers())
    (directory / "manifest.json").write_text(json.dumps(early | {"status": "running"}))
    summary = summarise(directory)
    assert summary["reasons"] == ["the run never came to its end (the process was killed); run it again"]
    assert summary["requests"]["issued"] is summary["requests"]["unfinished"] is summary["wall_s"] is None
