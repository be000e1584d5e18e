"""Runs of vLLM on a recorded profile: the same every time, the same on replay, the same draws on another path."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from cosim.results.compare import compare
from tests import made_up_profile
from tests.lockstep import chat, scenario
from tests.made_up_profile import VISION_MODEL
from tests.run_process import environment_without

pytestmark = pytest.mark.vllm

MODEL = {"kind": "synthetic", "architecture": "qwen2_5_vl", "hidden_size": 128, "layers": 2}
PICTURES = {
    "name": "cam",
    "kind": "frames",
    "tier": "edge",
    "period": "400ms",
    "image": {"width": 160, "height": 120},
    "output_tokens": 3,
}


def write(folder: Path, delay: str, **clients: Any) -> Path:
    """One user who asks again when answered, so that each batch is of one request, and a camera at another tier."""
    executor = {"kind": "profiled", "profile": "p.jsonl"}
    engine = {"kind": "vllm", "model": MODEL, "executor": executor, "time_scale": 2}
    data = scenario(
        duration="1500ms",
        tiers={"edge": {"path": "edge", "engine": engine}, "cloud": {"path": "cloud", "engine": engine}},
        clients=[
            chat(
                "user",
                tier="cloud",
                arrivals={"kind": "closed", "think_time": "10ms"},
                prompt_tokens=30,
                output_tokens=12,
            ),
            {**PICTURES, **clients},
            chat("long", prompt_tokens=5000, arrivals={"kind": "constant", "rate": "2/s"}),
        ],
        validity={"min_requests": 1, "max_error_share": "100%"},
    )
    data["network"]["paths"]["cloud"]["delay"] = delay
    file = folder / f"{delay}.yaml"
    file.write_text(yaml.safe_dump(data))
    return file


def cosim(*arguments: str | Path, **settings: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cosim", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, **settings)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of one scenario and one whose path is longer."""
    folder = tmp_path_factory.mktemp("profiled")
    made_up_profile.write(folder / "p.jsonl", made_up_profile.lines(VISION_MODEL))
    near = write(folder, "20ms")
    for name, file in [("a", near), ("b", near), ("far", write(folder, "90ms"))]:
        # A prompt that is refused for its length is longer than what was measured.
        allowed = name == "b"
        options = ("--set", "validity.allow_extrapolated=[edge]") * allowed
        done = cosim("run", file, "-o", folder / name, *options)
        assert done.returncode == (0 if allowed else 4), done.stdout + done.stderr
    return folder


def lines(directory: Path, kind: str | None = None) -> list[dict[str, Any]]:
    read = [json.loads(line) for line in (directory / "steps.jsonl").read_text().splitlines()]
    return [line for line in read if kind is None or line["kind"] == kind]


def test_a_profiled_run_is_the_same_every_time(folder: Path) -> None:
    for name in ("requests.jsonl", "steps.jsonl"):
        assert (folder / "a" / name).read_bytes() == (folder / "b" / name).read_bytes()


def test_what_leaves_the_measured_range_is_invalid_unless_allowed_by_name(folder: Path) -> None:
    refused, allowed = (json.loads((folder / name / "summary.json").read_text()) for name in ("a", "b"))
    (reason,) = refused["reasons"]
    assert re.match(r"tier edge: \d+ of \d+ front ends lie outside what its profile measured \(source", reason)
    assert reason.endswith("allow it by name: validity.allow_extrapolated: [edge]")
    assert (allowed["verdict"], allowed["reasons"]) == ("VALID", [])
    said = {text.partition(":")[0]: text for text in allowed["qualifiers"]}
    assert "(allowed by validity.allow_extrapolated)" in said["tier edge"]
    assert said["tier cloud"] == (
        "tier cloud: every step drawn by seed from what a profile of made-up CPU float32 measured, none was executed; "
        "front end and egress likewise"
    )


def test_nothing_of_it_was_measured(folder: Path) -> None:
    recorded = [*lines(folder / "a", "step"), *lines(folder / "a", "frontend")]
    assert {line["source"] for line in recorded} <= {"interpolated", "extrapolated"}
    assert {line[key] for line in recorded for key in ("wall_start_ns", "wall_end_ns", "conditions")} == {None}
    assert any(line["signature"]["encoder_tokens"] for line in lines(folder / "a", "step"))


def test_a_step_takes_what_was_measured_at_its_shape_times_the_scale(folder: Path) -> None:
    decodes = [line for line in lines(folder / "a", "step") if line["signature"]["decode_sequences"]]
    lowest, highest = min(made_up_profile.SPREAD), max(made_up_profile.SPREAD)
    for line in decodes:
        n, context = line["signature"]["decode_sequences"], line["signature"]["decode_context_tokens"]
        expected_ns = 2 * made_up_profile.step_ns(made_up_profile.decode_only(n, context // n))
        if not line["signature"]["prefill_tokens"]:
            assert 0.95 * lowest * expected_ns <= line["duration_ns"] <= 1.05 * highest * expected_ns
    assert len({line["duration_ns"] for line in decodes}) > len(made_up_profile.SPREAD)


def test_a_refusal_is_charged_too(folder: Path) -> None:
    refused = [line for line in lines(folder / "a", "frontend") if line["refused"] is not None]
    assert refused
    assert all("maximum context length" in line["refused"] for line in refused)
    # 5000 tokens were asked for, 4096 were measured.
    assert {line["source"] for line in refused} == {"extrapolated"}
    assert min(line["duration_ns"] for line in refused) > 2 * 1_000_000


def test_chunks_are_charged_by_their_place_in_the_answer(folder: Path) -> None:
    possible = {
        position: {2 * sample for sample in made_up_profile.spread(median_ns)}
        for position, median_ns in (("first", 200_000), ("next", 80_000), ("last", 120_000))
    }
    steps = {(line["engine"], line["index"]): line["tokens"] for line in lines(folder / "a", "step")}
    begun = set()
    for line in lines(folder / "a", "egress"):
        for request_id, duration_ns in line["durations_ns"].items():
            last = steps[line["engine"], line["index"]][request_id][2] is not None
            position = "last" if last else "next" if request_id in begun else "first"
            begun.add(request_id)
            assert duration_ns in possible[position]


def test_another_path_delay_changes_no_draw_of_a_request(folder: Path) -> None:
    def by_request(name: str) -> dict[tuple[str, int], int]:
        found: dict[tuple[str, int], int] = {}
        for line in lines(folder / name, "step"):
            for request_id in line["scheduled"]:
                if line["engine"] == "cloud":
                    count = sum(key[0] == request_id for key in found)
                    found[request_id, count] = line["duration_ns"]
        return found

    near, far = by_request("a"), by_request("far")
    common = near.keys() & far.keys()
    assert len(common) > 24
    assert {key: near[key] for key in common} == {key: far[key] for key in common}


def test_runs_on_a_profile_are_compared_in_pairs(folder: Path) -> None:
    comparison = compare(folder / "a", folder / "far")
    (point,) = comparison.points
    assert point.not_paired is None
    assert [text.partition(" is INVALID: tier edge: ")[0] for text in comparison.objections] == [
        str(folder / "a"),
        str(folder / "far"),
    ]
    # A closed loop asks less often over the longer path; what both asked is later by the difference of the RTTs.
    assert point.only_a > point.only_b == 0
    rows = {(row.tier, row.metric): row for row in point.rows if row.statistic == "shift"}
    assert rows["cloud", "e2el"].delta == rows["cloud", "ttft"].delta == 140


def test_the_manifest_says_what_stood_for_the_hardware(folder: Path) -> None:
    manifest = json.loads((folder / "a" / "manifest.json").read_text())
    engines = manifest["children"]["engines profiled"]
    assert set(engines) == {"edge", "cloud"}
    edge = engines["edge"]
    assert (edge["executor"], edge["max_num_seqs"], edge["block_size"]) == ("profiled", 8, 32)
    assert edge["profile"]["file"] == "p.jsonl"
    assert edge["profile"]["steps"]["decode"]["shapes"] == 16
    assert {tier["hardware"] for tier in manifest["objectives"]["tiers"].values()} == {"made-up CPU float32"}


def test_replay_without_vllm_and_without_the_profile_is_byte_identical(folder: Path, tmp_path: Path) -> None:
    (folder / "p.jsonl").rename(folder / "gone.jsonl")
    try:
        environment = environment_without(tmp_path / "refuse", "vllm", "torch")
        done = cosim("replay", folder / "a", "-o", tmp_path / "again", env=environment)
    finally:
        (folder / "gone.jsonl").rename(folder / "p.jsonl")
    assert done.returncode == 4, done.stderr
    repeated = json.loads((tmp_path / "again" / "summary.json").read_text())
    assert repeated["reasons"] == json.loads((folder / "a" / "summary.json").read_text())["reasons"]
    assert all("repeats a recording: every step drawn by seed" in text for text in repeated["qualifiers"])
    assert (folder / "a" / "requests.jsonl").read_bytes() == (tmp_path / "again" / "requests.jsonl").read_bytes()


def test_a_profile_of_another_engine_is_exit_2_and_nothing_is_started(folder: Path, tmp_path: Path) -> None:
    content = made_up_profile.lines(VISION_MODEL)
    content[0]["versions"]["vllm"] = "0.1"
    content[5]["durations_ns"] = [5, 4, 3, 2, 1]
    made_up_profile.write(tmp_path / "p.jsonl", content)
    done = cosim("run", write(tmp_path, "20ms"), "-o", tmp_path / "out")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"{tmp_path / 'p.jsonl'}:6: durations_ns[1]: 4 after 5; in ascending order" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
