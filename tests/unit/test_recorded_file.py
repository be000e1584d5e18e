"""Recorded profiles as files: a good one is read whole, a bad one is told by line and field."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cosim.profile.errors import ProfileError
from cosim.profile.recorded_file import read_recorded
from tests import made_up_profile

Lines = list[dict[str, Any]]
Change = Callable[[Lines], object]


def told(path: Path, change: Change) -> list[str]:
    """What is said of a profile that was changed so."""
    content = made_up_profile.lines()
    change(content)
    with pytest.raises(ProfileError) as caught:
        read_recorded(made_up_profile.write(path, content))
    return [str(ProfileError(fault.what, fault.allowed, fault.place)) for fault in caught.value.faults]


def number(content: Lines, kind: str, index: int = 0) -> int:
    """Line number of a line of a kind."""
    return [place for place, line in enumerate(content, 1) if line["kind"] == kind][index]


STEP = number(made_up_profile.lines(), "step", 2)
FRONTEND = number(made_up_profile.lines(), "frontend")
EGRESS = number(made_up_profile.lines(), "egress")


def test_a_good_file_is_read_whole(tmp_path: Path) -> None:
    content = made_up_profile.lines()
    read = read_recorded(made_up_profile.write(tmp_path / "p.jsonl", content))
    assert read.header.label == content[0]["label"]
    assert [line.at for line in read.steps] == [line["at"] for line in content if line["kind"] == "step"]
    assert [line.durations_ns for line in read.egress] == [line["durations_ns"] for line in content[-3:]]
    assert len(read.frontends) == 4
    assert len(read.digest) == 64


def change_header(**values: Any) -> Change:
    return lambda content: content[0].update(values)


def change_line(place: int, **values: Any) -> Change:
    return lambda content: content[place - 1].update(values)


def change_signature(place: int, **values: int) -> Change:
    return lambda content: content[place - 1]["signature"].update(values)


def change_engine(**values: Any) -> Change:
    return lambda content: content[0]["engine"].update(values)


@pytest.mark.parametrize(
    ("change", "line", "text"),
    [
        (change_header(kind="roofline"), 1, "kind: the file is no recorded profile; a recorded profile begins with"),
        (change_header(format_version=2), 1, "format_version: 2 is another version of the format; 1; record it again"),
        (change_header(label=7), 1, "label: Expected `str`, got `int`; the fields of"),
        (change_header(color="red"), 1, "line: Object contains unknown field `color`; the fields of"),
        (lambda content: content[0].pop("dtype"), 1, "line: Object missing required field `dtype`"),
        (change_header(kv_cache_bytes=0), 1, "kv_cache_bytes: Expected `int` >= 1"),
        (change_header(grids=[]), 1, "grids: 0 with the names []; one or more, each named once"),
        (change_header(grids=[{"name": "decode", "axes": {"n": [2, 1]}}]), 1, "grids.decode.axes: {'n': [2, 1]}; one"),
        (change_header(grids=[{"name": "d", "axes": {}}]), 1, "grids.d.axes: {}; one or more axes"),
        (
            change_header(grids=[{"name": "d", "axes": {name: list(range(99)) for name in "abc"}}]),
            1,
            "grids.d.axes: more points than can be measured; at most 100000",
        ),
        (change_engine(cudagraph_mode="SOME"), 1, "engine.cudagraph_mode: 'SOME'; allowed: NONE, PIECEWISE"),
        (
            change_engine(cudagraph_capture_sizes=[4, 2]),
            1,
            "engine.cudagraph_capture_sizes: [4, 2]; in ascending order",
        ),
        (change_line(STEP, durations_ns=[1, 2, 3, 4]), STEP, "durations_ns: 4 samples; at least 5"),
        (change_line(STEP, durations_ns=[-1, 2, 3, 4, 5]), STEP, "durations_ns[0]: -1; 1 to 3600000000000 ns"),
        (change_line(STEP, durations_ns=[0, 2, 3, 4, 5]), STEP, "durations_ns[0]: 0; 1 to 3600000000000 ns"),
        (change_line(STEP, durations_ns=[1, 3, 2, 4, 5]), STEP, "durations_ns[2]: 2 after 3; in ascending order"),
        (change_line(STEP, durations_ns=[1, 2, 3, 4, 10**16]), STEP, f"durations_ns[4]: {10**16}; 1 to"),
        (change_line(STEP, durations_ns=[1.5, 2, 3, 4, 5]), STEP, "durations_ns[0]: Expected `int`, got `float`"),
        (change_line(FRONTEND, durations_ns=[3, 2, 3, 4, 5]), FRONTEND, "durations_ns[1]: 2 after 3"),
        (change_line(EGRESS, durations_ns=[]), EGRESS, "durations_ns: 0 samples; at least 5"),
        (change_signature(STEP, context_tokens=-3), STEP, "signature.context_tokens: -3; 0 to"),
        (change_signature(STEP, prefill_tokens=3), STEP, "signature: 3 prefill tokens of 0 sequences; at least one"),
        (change_signature(STEP, decode_sequences=0), STEP, "signature: an empty batch; a batch with tokens"),
        (
            change_signature(STEP, context_tokens=1),
            STEP,
            "signature.decode_context_tokens: 512; at most context_tokens",
        ),
        (change_line(STEP, graph_mode="partial"), STEP, "graph_mode: Invalid enum value 'partial'"),
        (change_line(STEP, at=[1, 65]), STEP, "at: decode decode_sequences=1, context_per_sequence=65 is no point"),
        (change_line(STEP, grid="other"), STEP, "at: other [1, 512] is no point of the header's grids"),
        (change_line(STEP, at=[1, 64]), STEP, "at: decode decode_sequences=1, context_per_sequence=64 is in line 3"),
        (
            lambda content: content.pop(STEP - 1),
            1,
            "grids: a hole: decode decode_sequences=1, context_per_sequence=512",
        ),
        (
            lambda content: content.insert(STEP - 1, content.pop(STEP)),
            STEP + 1,
            "at: decode decode_sequences=1, context_per_sequence=512 stands after a later point; lines in the order",
        ),
        (lambda content: content.insert(1, content.pop()), 3, "kind: stands after a later kind of line; step, then"),
        (lambda content: content.append(content[0]), len(made_up_profile.lines()) + 1, "kind: a second header; one"),
        (lambda content: content.pop(), EGRESS, "egress: lines for first, next; first, next, last, one each"),
        (
            lambda content: content.insert(FRONTEND - 1, content.pop(FRONTEND)),
            FRONTEND + 1,
            "frontend: does not come after the line before; by images, encoder_tokens, prompt_tokens",
        ),
        (
            lambda content: [content.pop(FRONTEND - 1) for _ in range(4)],
            1,
            "frontend: no line of this kind; at least one",
        ),
    ],
)
def test_a_fault_is_told_at_its_line_and_field(tmp_path: Path, change: Change, line: int, text: str) -> None:
    path = tmp_path / "p.jsonl"
    assert any(fault.startswith(f"{path}:{line}: {text}") for fault in told(path, change)), told(path, change)


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    def change(content: Lines) -> None:
        change_line(STEP, durations_ns=[3, 2, 1])(content)
        content[FRONTEND - 1]["durations_ns"] = [-1, 2, 3, 4, 5]
        content.pop(STEP)

    found = told(tmp_path / "p.jsonl", change)
    assert len(found) == 4
    assert found[0].endswith("durations_ns: 3 samples; at least 5")


def test_of_very_many_faults_the_first_are_told(tmp_path: Path) -> None:
    def change(content: Lines) -> None:
        for line in content[1:]:
            line["durations_ns"] = [0, 0]

    found = told(tmp_path / "p.jsonl", change)
    assert len(found) == 21
    assert "more faults; record it again with `cosim profile`" in found[-1]


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("", 1, "line: is no JSON object"),
        ("[1]\n", 1, "kind: the file is no recorded profile"),
        ("[" * 100_000, 1, "line: is no JSON object"),
        ('{"request_id": "a"}\n', 1, "kind: the file is no recorded profile"),
        ("\x00\xff", 1, "line: is no JSON object"),
        ('{"kind": "\xff"}\n', 1, "line: is no JSON object"),
    ],
)
def test_what_is_no_profile_is_refused(tmp_path: Path, text: str, line: int, what: str) -> None:
    path = tmp_path / "p.jsonl"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ProfileError, match="begins with") as caught:
        read_recorded(path)
    assert str(caught.value).startswith(f"{path}:{line}: {what}")


@pytest.mark.parametrize("cut", [1, 40])
def test_a_file_that_was_cut_short_is_refused(tmp_path: Path, cut: int) -> None:
    path = made_up_profile.write(tmp_path / "p.jsonl")
    path.write_text(path.read_text()[:-cut])
    last = len(made_up_profile.lines())
    with pytest.raises(ProfileError, match="cut short") as caught:
        read_recorded(path)
    assert {fault.place for fault in caught.value.faults} == {f"{path}:{last}"}


def test_an_omitted_point_is_no_hole(tmp_path: Path) -> None:
    content = made_up_profile.lines()
    gone = content.pop(STEP - 1)
    content[0]["grids"][0]["omitted"] = [gone["at"]]
    assert len(read_recorded(made_up_profile.write(tmp_path / "p.jsonl", content)).steps) == len(content) - 8


def test_a_file_that_is_not_there_or_no_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="cannot be read: No such file"):
        read_recorded(tmp_path / "absent.jsonl")
    with pytest.raises(ProfileError, match="is no file"):
        read_recorded(tmp_path)


def test_a_signature_may_lack_what_is_zero(tmp_path: Path) -> None:
    content = made_up_profile.lines()
    del content[STEP - 1]["signature"]["prefill_attention"]
    assert read_recorded(made_up_profile.write(tmp_path / "p.jsonl", content)).steps[2].signature.prefill_attention == 0


def test_a_line_that_is_no_object_is_told(tmp_path: Path) -> None:
    path = made_up_profile.write(tmp_path / "p.jsonl")
    text = path.read_text().splitlines()
    text[STEP - 1] = json.dumps([1, 2])
    path.write_text("\n".join(text) + "\n")
    with pytest.raises(ProfileError, match=rf":{STEP}: line: Expected `object`, got `array`"):
        read_recorded(path)


def test_a_line_that_is_no_text_is_told(tmp_path: Path) -> None:
    path = made_up_profile.write(tmp_path / "p.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    lines[STEP - 1] = lines[STEP - 1].replace(b"eager", b"e\xb6ger")
    path.write_bytes(b"".join(lines))
    with pytest.raises(ProfileError, match=rf":{STEP}: line: is no JSON object"):
        read_recorded(path)
