"""What is wrong with a trace: each fault at its line and column, with what is allowed; a run starts nothing."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cosim.clients.trace_lines import LONGEST_LINE_BYTES
from cosim.clients.trace_requests import TraceFileError, TraceReader, TraceRequest
from cosim.clients.trace_store import check_stored, read_stored
from cosim.scenario.errors import Problem, ScenarioError
from cosim.scenario.load import load
from tests.lockstep import scenario
from tests.unit.test_traces import AZURE, BURSTGPT, MOONCAKE, S, read, trace

CSV = "Timestamp,Request tokens,Response tokens\n"


def faults(folder: Path, content: str | bytes, **values: Any) -> list[str]:
    """The problems of a trace with this content, without the folder."""
    file = folder / "t"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ScenarioError) as caught:
        read(file, **values)
    return str(caught.value).replace(f"{folder}/", "").splitlines()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "t:1: is empty; CSV with a header, or JSON Lines"),
        (" \n\n", "t:1: is empty"),
        (CSV, "t: has no request for this run; another `start`, a longer duration, or another trace"),
        (CSV + "1,2,3,4\n", "t:2: has 4 cells where the header has 3; a cell for each column"),
        (CSV + "1,2\n", "t:2: has 2 cells where the header has 3"),
        (CSV + '"1,2,3\n', "t:3: is not CSV: unexpected end of data; RFC 4180"),
        (CSV + "1,2,3\n\n0.5,2,3\n", "t:4: Timestamp: goes back in time, by 0.5 s; a trace sorted by time"),
        (CSV + "-1,2,3\n", "t:2: Timestamp: '-1' lies before the trace's own zero; a time in s, zero or more"),
        (CSV + "nan,2,3\n", "t:2: Timestamp: 'nan' is no finite number; a time in s"),
        (CSV + "inf,2,3\n", "t:2: Timestamp: 'inf' is no finite number"),
        (CSV + "1e30,2,3\n", "t:2: Timestamp: '1e30' s is no time; at most 9223372036 s"),
        (CSV + f"1e{'9' * 20},2,3\n", "t:2: Timestamp: '1e99999999999999999999' "),
        (CSV + "noon,2,3\n", "t:2: Timestamp: 'noon' is no number; a time in s"),
        (CSV + ",2,3\n", "t:2: Timestamp: is empty; a time in s"),
        (CSV + f"{'1' * 41},2,3\n", "t:2: Timestamp: '11111"),
        (CSV + "1,0,3\n", "t:2: Request tokens: 0 tokens; 1 or more, or on_no_tokens: drop"),
        (CSV + "1,2,0\n", "t:2: Response tokens: 0 tokens; 1 or more"),
        (CSV + "1,-2,3\n", "t:2: Request tokens: '-2' is no number of tokens; 1 to 1000000"),
        (CSV + "1,2,3.5\n", "t:2: Response tokens: '3.5' is no number of tokens"),
        (CSV + "1,1e9,3\n", "t:2: Request tokens: '1e9' is no number of tokens; 1 to 1000000"),
        (CSV + "1,NaN,3\n", "t:2: Request tokens: 'NaN' is no finite number; a whole number of tokens"),
        (CSV + "1,,3\n", "t:2: Request tokens: is empty; a whole number of tokens"),
        (CSV + "1,\x1b[2J,3\n", "t:2: Request tokens: '\\x1b[2J' is no number"),
        (CSV.replace("Timestamp", "Timestamp,Timestamp"), "t:1: Timestamp: names two columns; each name once"),
        (
            CSV.replace("Request", "request"),
            "t:1: Request tokens: no such column (burstgpt has it), but 'request tokens'; columns here: Timestamp,",
        ),
        (AZURE.replace("ContextTokens", "Context"), "t:1: ContextTokens: no such column (azure has it), but 'Context'"),
        ("a,b\n1,2\n", "t:1: the columns a, b are those of no known trace; give `columns`, or have those of azure: "),
        ("1,2,3\n", "t:1: the columns 1, 2, 3 are those of no known trace"),
        (AZURE.replace("-16 18", "-31 18"), "t:2: TIMESTAMP: '2023-11-31 18:15:46.6805900' is no time; a time such as"),
        (AZURE.replace("2023-11-16 18:15:50", "18:15"), "t:3: TIMESTAMP: '18:15.9951690' is no time"),
        (AZURE.replace("2023", "1969"), "t:2: TIMESTAMP: '1969-11-16 18:15:46.6805900' lies before 1970"),
        (MOONCAKE.replace('"input_length": 1024, ', ""), "t:2: input_length: is missing; the same keys in every"),
        (MOONCAKE.replace("3000", "null"), "t:2: timestamp: is empty"),
        (MOONCAKE.replace("3000", "true"), "t:2: timestamp: True is no number; a time in ms"),
        (MOONCAKE.replace("3000", '{"a": 1}'), "t:2: timestamp: {'a': 1} is no number"),
        (MOONCAKE.replace("3000", "NaN"), "t:2: is not JSON: "),
        (MOONCAKE.replace("[0, 2]", "[0]"), "t:2: hash_ids: has 1 ids, but 1024 tokens fill 2 blocks of 512; a list"),
        (MOONCAKE.replace("[0, 2]", "[0, 2.5]"), "t:2: hash_ids: [0, 2.5] is no list of ids"),
        (MOONCAKE.replace("[0, 2]", "[0, true]"), "t:2: hash_ids: [0, True] is no list of ids"),
        (MOONCAKE.replace("[0, 2]", '"0, 2"'), "t:2: hash_ids: '0, 2' is no list; a list with an id for each 512"),
        (MOONCAKE + "[1]\n", "t:3: is no JSON object; a JSON object in each line"),
        (MOONCAKE + "x\n", "t:3: is not JSON: "),
        ("{\n", "t:1: is not JSON: "),
        (MOONCAKE + "{" + '"a":[' * 100_000, "t:3: is not JSON: "),
        (CSV.encode() + b"1,2,3\n\xff,2,3\n", "t:3: is not UTF-8 text; CSV or JSON Lines in UTF-8"),
        (AZURE.encode("utf-16"), "t:1: is not UTF-8 text"),
        (gzip.compress(AZURE.encode())[:-9], "t:4: cannot be unpacked: "),
        (b"\x1f\x8bnothing", "t:1: cannot be unpacked: "),
        (gzip.compress(AZURE.encode())[:40] + b"x" * 40, "t:1: cannot be unpacked: "),
        (CSV + "1,2," + " " * LONGEST_LINE_BYTES, f"t:2: is too long; at most {LONGEST_LINE_BYTES} bytes in a line"),
    ],
)
def test_bad_content_is_named_at_its_line(content: str | bytes, told: str, tmp_path: Path) -> None:
    assert faults(tmp_path, content)[0].startswith(told)


def test_every_fault_is_told_up_to_fifty(tmp_path: Path) -> None:
    two = faults(tmp_path, CSV + "1,0,3\n2,2,3\n1,2,3\n")
    assert [line.partition(";")[0] for line in two] == [
        "t:2: Request tokens: 0 tokens",
        "t:4: Timestamp: goes back in time, by 1 s",
    ]
    many = faults(tmp_path, CSV + "1,0,3\n" * 1000)
    assert len(many) == 51
    assert many[-1] == "t: and 1 more"


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"start": "1h"}, "t: has no request for this run; another `start`"),
        ({"start": "20s", "end_ns": S}, "t: has no request for this run"),
        (
            {"max_prompt_tokens": 400},
            "t:2: Request tokens: a prompt of 472 tokens is longer than max_prompt_tokens, 400; so are 2 of 2 requests;"
            " on_too_long: clip or drop, or a larger max_prompt_tokens",
        ),
        ({"max_prompt_tokens": 1000}, "t:3: Request tokens: a prompt of 1087 tokens is longer than max_prompt_tokens,"),
        ({"max_prompt_tokens": 10, "on_too_long": "drop"}, "t: has no request for this run: all 2 were dropped;"),
        ({"format": "azure"}, "t:1: TIMESTAMP: no such column (azure has it), but 'Timestamp'; columns here: Timest"),
        (
            {"columns": {"arrival": "when", "unit": "s", "prompt_tokens": "in", "output_tokens": "out"}},
            "t:1: when: no such column (`columns` has it); columns here: Timestamp, Model, Request tokens, Response",
        ),
        ({"spread": "session"}, "t:1: has no sessions, by which the scenario wants requests spread; spread: round-r"),
    ],
)
def test_what_a_scenario_wants_of_it_and_it_has_not(values: Any, told: str, tmp_path: Path) -> None:
    assert faults(tmp_path, BURSTGPT, **values)[0].startswith(told)


@pytest.mark.parametrize("cell", ["x", "1.5", "-1", "true"])
def test_a_turn_is_a_number(cell: str, tmp_path: Path) -> None:
    columns = {"arrival": "t", "unit": "s", "prompt_tokens": "i", "output_tokens": "o", "turn": "n"}
    assert faults(tmp_path, f"t,i,o,n\n0,1,1,{cell}\n", columns=columns)[0].startswith(f"t:2: n: '{cell}' is no number")


def test_a_session_is_a_name(tmp_path: Path) -> None:
    columns = {"arrival": "t", "unit": "s", "prompt_tokens": "i", "output_tokens": "o", "session": "who"}
    text = '{"t": 0, "i": 1, "o": 1, "who": WHO}\n'
    told = faults(tmp_path, text.replace("WHO", "[1]"), columns=columns)
    assert told[0].startswith("t:1: who: [1] is no name of a session; a text or a number")
    told = faults(tmp_path, text.replace("WHO", f'"{"x" * 201}"'), columns=columns)
    assert told[0].startswith("t:1: who: is too long for a session's name")


@given(content=st.binary(max_size=300), head=st.sampled_from([b"", CSV.encode(), MOONCAKE.encode(), b"\x1f\x8b"]))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
def test_any_bytes_are_requests_or_problems(content: bytes, head: bytes, tmp_path: Path) -> None:
    file = tmp_path / "t"
    file.write_bytes(head + content)
    problems: list[Problem] = []
    found: list[TraceRequest] = []
    try:
        found = read(file)
    except ScenarioError as error:
        problems = error.problems
    assert bool(found) != bool(problems)
    assert all(problem.origin == str(file) for problem in problems)


@pytest.mark.parametrize("make", [lambda file: None, Path.mkdir, os.mkfifo], ids=["none", "folder", "pipe"])
def test_what_is_no_file_cannot_be_read(make: Any, tmp_path: Path) -> None:
    make(tmp_path / "t")
    with pytest.raises(TraceFileError, match="t' cannot be read: "):
        list(TraceReader(trace(tmp_path / "t"), S).requests())


def cosim(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cosim", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=dict(os.environ))


def scenario_file(folder: Path, **values: Any) -> Path:
    group = {"name": "t", "kind": "trace", "tier": "edge", "file": "trace.csv", **values}
    file = folder / "s.yaml"
    file.write_text(yaml.safe_dump(scenario(clients=[group]), default_flow_style=None))
    return file


@pytest.mark.parametrize("command", ["run", "validate", "plan"])
def test_a_bad_trace_is_exit_code_2_and_starts_nothing(command: str, tmp_path: Path) -> None:
    file = scenario_file(tmp_path)
    (tmp_path / "trace.csv").write_text(CSV + "0.1,0,3\n")
    out = ("-o", tmp_path / "out") if command == "run" else ()
    done = cosim(command, file, *out)
    assert done.returncode == 2
    assert f"{tmp_path}/trace.csv:2: Request tokens: 0 tokens; 1 or more, or on_no_tokens: drop\n" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
    (tmp_path / "trace.csv").unlink()
    missing = cosim(command, file, *out)
    assert missing.returncode == 2
    assert "clients.0.file: " in missing.stderr
    assert "trace.csv' cannot be read: No such file or directory; a CSV or JSON Lines file" in missing.stderr


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (
            {"format": "azure", "columns": {"arrival": "a", "unit": "s", "prompt_tokens": "p", "output_tokens": "o"}},
            "clients.0.columns: given beside format; one of the two",
        ),
        (
            {"columns": {"arrival": "a", "unit": "s", "prompt_tokens": "p", "output_tokens": "o"}, "spread": "session"},
            "clients.0.spread: needs sessions; columns.session, or round-robin",
        ),
        (
            {"columns": {"arrival": "a", "prompt_tokens": "p", "output_tokens": "o"}},
            "clients.0.columns.unit: is missing",
        ),
        ({"join_every": "1s"}, "clients.0.join_every: has no effect: the trace says when a request is due; join"),
        ({"prompt_tokens": 3}, "clients.0.prompt_tokens: unknown key"),
        ({"format": "azur"}, "clients.0.format: 'azur' is not allowed; input should be 'auto', 'azure', 'burstgpt'"),
        ({"speedup": 0.0}, "clients.0.speedup: 0.0 is not allowed; input should be greater than 0"),
        ({"limit": 0}, "clients.0.limit: 0 is not allowed; input should be greater than or equal to 1"),
    ],
)
def test_a_group_that_says_two_things_is_named(values: Any, told: str, tmp_path: Path) -> None:
    with pytest.raises(ScenarioError) as caught:
        load(scenario_file(tmp_path, **values), environment={})
    assert told in str(caught.value)


def test_a_recorded_runs_copy_that_is_missing_or_damaged_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"traces/t.jsonl: is missing; the directory of a run as it was written"):
        check_stored(tmp_path, ["t"])
    file = tmp_path / "traces" / "t.jsonl"
    file.parent.mkdir()
    good = '{"line":2,"due_ns":0,"client":0,"prompt_tokens":1,"output_tokens":1}\n'
    for bad in ("x\n", '{"line": 3}\n', good.replace('"client":0', '"client":1'), "\xff", '{"x": ' + "[" * 100_000):
        file.write_bytes(good.encode() + bad.encode("latin-1"))
        with pytest.raises(ScenarioError, match=r"t.jsonl:2: is damaged: "):
            list(read_stored(tmp_path, "t", clients=1))
