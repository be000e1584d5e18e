"""What is said of durations that were not executed: beside the verdict, in a table's cell, in sentences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cosim.bridge.engine_messages import Signature
from cosim.inference.base import StepSource
from cosim.results.qualifiers import cell, headline
from cosim.results.records import EgressRecord, FrontendRecord, StepRecord
from cosim.results.summary import summarise
from cosim.results.terminal import plain_lines
from tests.results_factory import MS, manifest, request, step, write_run

SLICE = "gh200-96gb/3g.48gb fp16"
NAMES = ("device", "edge", "cloud")
Line = StepRecord | FrontendRecord | EgressRecord


def charged(engine: str, source: StepSource, n: int = 4, *, index: int = 0, **changes: Any) -> list[Line]:
    """A front end, then steps with their egress, of a source."""
    recorded: StepSource | None = changes.pop("recorded_source", None)
    frontend = FrontendRecord(engine, f"r-{index}", 0, MS, source, None, None, 300, 256, 1, recorded_source=recorded)
    lines: list[Line] = [frontend]
    for k in range(index, index + n):
        times = {"wall_start_ns": None, "wall_end_ns": None, "conditions": None}
        lines.append(step(engine, k, source=source, recorded_source=recorded, **(times | changes)))
        lines.append(EgressRecord(engine, k, {"r-0": 1000}, source, recorded))
    return lines


def run(folder: Path, lines: list[Line], *, kind: str = "vllm", **validity: Any) -> dict[str, Any]:
    """The summary of a run of three tiers whose engines have the hardware of a slice."""
    objectives = manifest()["objectives"]
    tiers = {name: tier | {"kind": kind, "hardware": SLICE} for name, tier in objectives["tiers"].items()}
    objectives |= {"tiers": tiers, "validity": objectives["validity"] | validity}
    requests = [request(f"{tier}-{k}", tier=tier) for tier in NAMES for k in range(4)]
    return summarise(write_run(folder / "run", requests, lines, objectives=objectives))


def said(summary: dict[str, Any]) -> tuple[str, list[str], list[str]]:
    """The headline, each tier's cell, the qualifiers."""
    tiers = summary["tiers"]
    return headline(tiers), [cell(tier) for tier in tiers.values()], summary["qualifiers"]


def test_an_egress_counts_for_each_request_that_got_a_chunk(tmp_path: Path) -> None:
    lines = [*charged("edge", "executed"), EgressRecord("edge", 4, {"r-0": 1, "r-1": 2, "r-2": 3}, "executed")]
    assert run(tmp_path, lines)["tiers"]["edge"]["basis"]["egress"] == {"executed": 4 + 3}


def test_an_executed_run_has_no_qualifier(tmp_path: Path) -> None:
    lines = [*charged("device.0", "executed"), *charged("edge", "executed"), *charged("cloud", "executed")]
    summary = run(tmp_path, lines)
    assert said(summary) == ("", ["executed"] * 3, [])
    assert plain_lines(summary)[0] == "VALID  made-up"


def test_a_roofline_is_told_at_a_glance(tmp_path: Path) -> None:
    lines = [*charged("device.0", "predicted"), *charged("edge", "predicted"), *charged("cloud", "predicted")]
    summary = run(tmp_path, lines)
    sentence = (
        f"tiers device, edge, cloud: every step predicted by a roofline of {SLICE}, none was measured; front end and "
        "egress likewise"
    )
    assert said(summary) == ("predicted", ["predicted"] * 3, [sentence])
    assert (summary["verdict"], summary["reasons"]) == ("VALID", [])
    text = plain_lines(summary)
    assert text[0] == "VALID, predicted  made-up"
    assert " ".join(line.strip() for line in text[1:3]) == sentence
    assert "steps: predicted 100%" in text[3]
    assert max(len(line) for line in text) <= 100
    assert [row.split()[-1] for row in text if "isolated" in row] == ["predicted"] * 3


def test_tiers_of_different_sources_are_named(tmp_path: Path) -> None:
    lines = [*charged("device.0", "executed"), *charged("edge", "interpolated"), *charged("cloud", "predicted")]
    line, cells, sentences = said(run(tmp_path, lines))
    assert line == "profiled: edge; predicted: cloud"
    assert cells == ["executed", "profiled 100%", "predicted"]
    assert sentences == [
        f"tier edge: every step drawn by seed from what a profile of {SLICE} measured, none was executed; front end "
        "and egress likewise",
        f"tier cloud: every step predicted by a roofline of {SLICE}, none was measured; front end and egress likewise",
    ]


def test_many_tiers_keep_the_line_short(tmp_path: Path) -> None:
    basis = {"steps": {"interpolated": 5, "predicted": 5}}
    tiers = {f"tier-with-a-long-name-{k}": {"basis": basis} for k in range(4)}
    assert headline(tiers) == "in part profiled, predicted"


def test_no_step_is_not_called_executed() -> None:
    assert headline({"a": {"basis": {"steps": {}}}}) == "no step"
    assert headline({"a": {"basis": {"steps": {}}}, "b": {"basis": {"steps": {"executed": 1}}}}) == ""


def test_each_stage_counts_by_itself(tmp_path: Path) -> None:
    steps = [line for line in charged("edge", "predicted") if isinstance(line, StepRecord)]
    beside = [line for line in charged("edge", "executed") if not isinstance(line, StepRecord)]
    summary = run(tmp_path, [*steps, *beside])
    assert summary["tiers"]["edge"]["basis"] == {
        "steps": {"predicted": 4},
        "frontends": {"executed": 1},
        "egress": {"executed": 4},
    }
    assert summary["qualifiers"] == [
        f"tier edge: every step predicted by a roofline of {SLICE}, none was measured; front end executed; egress "
        "executed"
    ]
    assert [cell(tier) for tier in summary["tiers"].values()] == ["-", "predicted", "-"]


def test_times_of_a_stub_are_constant(tmp_path: Path) -> None:
    line, cells, sentences = said(run(tmp_path, charged("edge", "predicted"), kind="stub"))
    assert (line, cells[1], sentences) == (
        "constant",
        "constant",
        ["tier edge: constant times of the scenario, no model was run"],
    )


def test_a_replay_says_what_it_repeats(tmp_path: Path) -> None:
    summary = run(tmp_path, charged("edge", "replayed", recorded_source="predicted"))
    assert summary["step_coverage"]["replayed"] == summary["tiers"]["edge"]["step_coverage"]["replayed"] == 1
    assert said(summary) == (
        "predicted",
        ["-", "predicted", "-"],
        [
            f"tier edge: repeats a recording: every step predicted by a roofline of {SLICE}, none was measured; front "
            "end and egress likewise"
        ],
    )


def test_an_engine_of_kind_replay_has_no_hardware_of_its_own(tmp_path: Path) -> None:
    (sentence,) = run(tmp_path, charged("edge", "replayed", recorded_source="predicted"), kind="replay")["qualifiers"]
    assert "every step predicted by a roofline, none was measured" in sentence


def test_a_replay_of_an_executed_run_needs_no_qualifier(tmp_path: Path) -> None:
    summary = run(tmp_path, charged("edge", "replayed", recorded_source="executed"))
    assert said(summary) == ("", ["-", "replayed", "-"], [])


def test_a_recording_that_does_not_say(tmp_path: Path) -> None:
    line, cells, sentences = said(run(tmp_path, charged("edge", "replayed")))
    assert (line, cells[1]) == ("replayed", "replayed")
    assert "repeated from a recording that does not say how it came by them" in sentences[0]


def outside(context_tokens: int, decode_sequences: int) -> dict[str, Any]:
    return {"signature": Signature(0, decode_sequences, context_tokens, 0, 0)}


def leaving(recorded: StepSource | None = None) -> list[Line]:
    """19 steps inside what was measured, then one that is not."""
    inside: StepSource = "replayed" if recorded else "interpolated"
    left: StepSource = "replayed" if recorded else "extrapolated"
    return [
        *charged("edge", inside, 19, recorded_source=recorded and "interpolated", **outside(900, 8)),
        *charged("edge", left, 1, index=19, recorded_source=recorded, **outside(700, 12))[1:],
    ]


def test_what_leaves_the_measured_range_is_a_reason_with_its_shape(tmp_path: Path) -> None:
    summary = run(tmp_path, leaving())
    assert summary["reasons"] == [
        "tier edge: 1 of 20 steps, 1 of 20 chunks of egress lie outside what its profile measured (source "
        "`extrapolated`; decode_sequences up to 12, inside up to 8); profile an engine with larger limits "
        "(max_num_seqs, max_num_batched_tokens, max_model_len), execute it, or allow it by name: "
        "validity.allow_extrapolated: [edge]"
    ]
    assert headline(summary["tiers"]) == "profiled: edge 95 %; extrapolated: edge 5 %"
    assert cell(summary["tiers"]["edge"]) == "profiled 95%"
    assert plain_lines(summary)[0] == "INVALID, profiled: edge 95 %; extrapolated: edge 5 %  made-up"


def test_a_shape_that_exceeds_none_by_itself_is_told_whole(tmp_path: Path) -> None:
    lines = [
        *charged("edge", "interpolated", 4, **outside(900, 8)),
        *charged("edge", "extrapolated", 1, index=4, **outside(800, 8)),
    ]
    (reason,) = run(tmp_path, lines)["reasons"]
    assert "1 of 2 front ends" in reason
    assert "(source `extrapolated`; decode_sequences up to 8; context_tokens up to 800)" in reason


def test_it_is_valid_when_allowed_by_name(tmp_path: Path) -> None:
    summary = run(tmp_path, leaving(), allow_extrapolated=["edge"])
    assert (summary["verdict"], summary["reasons"]) == ("VALID", [])
    (sentence,) = summary["qualifiers"]
    assert sentence.startswith(f"tier edge: 95.0 % of the steps drawn by seed from what a profile of {SLICE} measured,")
    assert f" 5.0 % of the steps extrapolated past what a profile of {SLICE} measured, none was executed " in sentence
    assert "(allowed by validity.allow_extrapolated)" in sentence
    other = run(tmp_path / "other", leaving(), allow_extrapolated=["cloud"])
    assert other["verdict"] == "INVALID"
    assert "allowed" not in other["qualifiers"][0]


def test_a_replay_of_what_left_the_range_is_no_better(tmp_path: Path) -> None:
    summary = run(tmp_path, leaving("extrapolated"))
    assert summary["verdict"] == "INVALID"
    assert summary["reasons"][0].startswith("tier edge: 1 of 20 steps, 1 of 20 chunks of egress lie outside")


def test_what_was_not_executed_is_not_judged_as_measured(tmp_path: Path) -> None:
    busy = {"cpus": 2, "wall_ns": 10, "busy_ns": 20, "own_ns": 1, "stolen_ns": 0}
    objectives = manifest()["objectives"]
    requests = [request(f"{tier}-{k}", tier=tier) for tier in NAMES for k in range(4)]
    for source, verdict in (("predicted", "VALID"), ("executed", "INVALID")):
        lines = charged("edge", source, wall_start_ns=1, wall_end_ns=MS)  # type: ignore[arg-type]
        summary = summarise(write_run(tmp_path / source, requests, lines, machine_use=busy, objectives=objectives))
        assert summary["verdict"] == verdict
        assert (summary["engines"]["edge"]["hygiene"] is None) == (source == "predicted")
