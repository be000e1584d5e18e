"""Requests of a trace: columns, times, the part that a run takes, who asks them, and what their prompts are."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from cosim.clients.base import Question
from cosim.clients.build import build_clients
from cosim.clients.trace import prompt_text
from cosim.clients.trace_requests import TraceReader, TraceRequest
from cosim.clients.trace_store import StoredTrace, read_stored, store_traces
from cosim.scenario.clients import ClientGroup
from cosim.scenario.errors import ScenarioError
from cosim.scenario.traces import Trace
from cosim.words import WORDS

MS = 1_000_000
S = 1_000_000_000

# The first lines of the public files.
AZURE = """TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:15:46.6805900,374,44
2023-11-16 18:15:50.9951690,396,109
"""
AZURE_2024 = """TIMESTAMP,ContextTokens,GeneratedTokens
2024-05-10 00:00:00.009930+00:00,2162,5
2024-05-10 00:00:01+00:00,2399,6
"""
BURSTGPT = """Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type
5,ChatGPT,472,18,490,Conversation log
45,ChatGPT,1087,230,1317,Conversation log
"""
MOONCAKE = """{"timestamp": 0, "input_length": 600, "output_length": 52, "hash_ids": [0, 1]}
{"timestamp": 3000, "input_length": 1024, "output_length": 3, "hash_ids": [0, 2]}
"""


def trace(file: Path, **values: Any) -> Trace:
    data = {"name": "t", "kind": "trace", "tier": "edge", "file": str(file), **values}
    parsed: ClientGroup = TypeAdapter(ClientGroup).validate_python(data)
    assert isinstance(parsed, Trace)
    return parsed


def written(folder: Path, text: str, name: str = "trace") -> Path:
    file = folder / name
    file.write_text(text)
    return file


def read(file: Path, *, end_ns: int = 10**18, **values: Any) -> list[TraceRequest]:
    return list(TraceReader(trace(file, **values), end_ns).requests())


def due(requests: Sequence[TraceRequest]) -> list[tuple[int, int, int]]:
    return [(request.due_ns, request.prompt_tokens, request.output_tokens) for request in requests]


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        (AZURE, "azure", [(0, 374, 44), (4_314_579_000, 396, 109)]),
        (AZURE_2024, "azure", [(0, 2162, 5), (990_070_000, 2399, 6)]),
        (BURSTGPT, "burstgpt", [(0, 472, 18), (40 * S, 1087, 230)]),
        (MOONCAKE, "mooncake", [(0, 600, 52), (3 * S, 1024, 3)]),
    ],
)
def test_public_traces_are_known_by_their_columns(text: str, name: str, expected: Any, tmp_path: Path) -> None:
    file = written(tmp_path, text)
    for wanted in ("auto", name):
        reader = TraceReader(trace(file, format=wanted), 100 * S)
        assert due(list(reader.requests())) == expected
        assert reader.use.format == name


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "\ufeff" + text,
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\n" + text.replace("\n", "\n\n"),
        lambda text: text.removesuffix("\n"),
        lambda text: text.replace(",", " , "),
    ],
)
def test_line_ends_blank_lines_and_byte_order_marks_do_not_matter(change: Any, tmp_path: Path) -> None:
    file = tmp_path / "t"
    file.write_bytes(change(AZURE).encode())
    assert due(read(file)) == [(0, 374, 44), (4_314_579_000, 396, 109)]


def test_a_gzipped_trace_is_read_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "t.csv.gz"
    file.write_bytes(gzip.compress(AZURE.encode()))
    assert due(read(file)) == [(0, 374, 44), (4_314_579_000, 396, 109)]


OWN = {"arrival": "at", "unit": "us", "prompt_tokens": "in", "output_tokens": "out", "session": "who", "turn": "n"}


def test_columns_of_ones_own(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"at": 1e6, "in": 5, "out": 1, "who": "x", "n": 0},
        {"at": 2500000, "in": 9.0, "out": 2, "who": 7, "n": 1},
    ]
    table = [list(OWN_KEYS), *([row[key] for key in OWN_KEYS] for row in rows)]
    as_csv = written(tmp_path, "\n".join(",".join(map(str, row)) for row in table), "own.csv")
    as_json = written(tmp_path, "\n".join(map(json.dumps, rows)), "own.jsonl")
    for file in (as_csv, as_json):
        found = read(file, columns=OWN)
        assert due(found) == [(0, 5, 1), (1500 * MS, 9, 2)]
        assert [(request.session, request.turn) for request in found] == [("x", 0), ("7", 1)]


OWN_KEYS = ("at", "in", "out", "who", "n")


@given(
    rows=st.lists(
        st.tuples(st.integers(0, 10**12), st.integers(1, 10**6), st.integers(1, 10**6), st.text(max_size=20)),
        min_size=1,
        max_size=30,
    ),
    unit=st.sampled_from(["s", "ms", "us", "ns", "datetime"]),
    as_csv=st.booleans(),
)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_written_is_read(rows: Any, unit: str, as_csv: bool, tmp_path: Path) -> None:
    """To the ns, whatever the unit, through both kinds of file, and through the run's own copy."""
    rows = sorted(rows, key=lambda row: row[0])
    table = [(time_text(row[0], unit), *row[1:]) for row in rows]
    file = tmp_path / "t"
    with file.open("w", newline="", encoding="utf-8") as out:
        if as_csv:
            csv.writer(out).writerows([OWN_KEYS[:4], *table])
        else:
            out.writelines(json.dumps(dict(zip(OWN_KEYS, row, strict=False))) + "\n" for row in table)
    found = read(file, columns={**OWN, "unit": unit, "turn": None}, count=3)
    assert due(found) == [(t_ns - rows[0][0], prompt, output) for t_ns, prompt, output, _ in rows]
    assert [request.session for request in found] == [who.strip() or None for *_, who in rows]
    stored = StoredTrace(tmp_path / "traces" / "t.jsonl", clients=3)
    stored.write(found)
    assert list(read_stored(tmp_path, "t", clients=3)) == found
    assert [stored.request(1, number) for number in range(len(found))][: len(found)] == [
        *(mine := [request for request in found if request.client == 1]),
        *[None] * (len(found) - len(mine)),
    ]


def time_text(t_ns: int, unit: str) -> str:
    if unit == "datetime":
        base = datetime(2023, 11, 16, tzinfo=UTC) + timedelta(seconds=t_ns // S)
        return f"{base:%Y-%m-%d %H:%M:%S}.{t_ns % S:09d}"
    digits = {"s": 9, "ms": 6, "us": 3, "ns": 0}[unit]
    whole, part = divmod(t_ns, 10**digits)
    return f"{whole}.{part:0{digits}d}" if digits else str(whole)


def every_second(folder: Path, n: int) -> Path:
    """Request k at k + 7 s, of k + 1 prompt tokens."""
    head = "Timestamp,Request tokens,Response tokens\n"
    return written(folder, head + "".join(f"{k + 7},{k + 1},1\n" for k in range(n)))


def test_a_run_takes_the_part_from_start_that_fits_its_duration(tmp_path: Path) -> None:
    file = every_second(tmp_path, 100)
    assert due(read(file, start="10s", end_ns=3 * S)) == [(0, 11, 1), (S, 12, 1), (2 * S, 13, 1)]
    assert due(read(file, start="10500ms", end_ns=2 * S)) == [(500 * MS, 12, 1), (1500 * MS, 13, 1)]
    assert due(read(file, limit=2)) == [(0, 1, 1), (S, 2, 1)]
    assert due(read(file, start="2s", speedup=2.0, end_ns=S)) == [(0, 3, 1), (500 * MS, 4, 1)]
    assert due(read(file, join="5s", leave="7s")) == [(5 * S, 1, 1), (6 * S, 2, 1)]


def test_no_more_is_read_than_the_run_needs(tmp_path: Path) -> None:
    """What comes after the end may be anything, and what comes before `start` too but for its times."""
    rows = every_second(tmp_path, 5).read_text().splitlines()
    file = written(tmp_path, "\n".join([rows[0], "3,x,-1", *rows[1:], "broken"]))
    assert due(read(file, start="4s", end_ns=3 * S)) == [(0, 1, 1), (S, 2, 1), (2 * S, 3, 1)]
    assert due(read(file, start="4s", limit=5)) == [(k * S, k + 1, 1) for k in range(5)]
    with pytest.raises(ScenarioError, match="trace:8: has 1 cells"):
        read(file, start="4s")


def test_a_large_trace_is_not_held_in_memory(tmp_path: Path) -> None:
    import tracemalloc

    file = tmp_path / "t"
    with file.open("w") as out:
        out.write("Timestamp,Request tokens,Response tokens\n")
        out.writelines(f"{k},9,{'0' * 30}1\n" for k in range(60_000))
    group = trace(file, count=2)
    tracemalloc.start()
    try:
        store_traces([group], 10**18, tmp_path, recorded=None)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert file.stat().st_size > 2_000_000
    assert peak < 1_500_000


def questions(group: Trace, folder: Path, *, seed: int = 1) -> dict[str, list[Question]]:
    traces = store_traces([group], 10**18, folder, recorded=None)
    clients = build_clients([group], seed=seed, end_ns=10**18, models={"edge": "m"}, images=False, traces=traces)
    found: dict[str, list[Question]] = {client.name: [] for client in clients}
    for client in clients:
        while (question := client.next_question(0)) is not None:
            found[client.name].append(question)
    return found


def test_clients_take_turns(tmp_path: Path) -> None:
    asked = questions(trace(every_second(tmp_path, 5), count=2, timeout="3s"), tmp_path)
    assert {name: [question.prompt_tokens for question in mine] for name, mine in asked.items()} == {
        "t-0": [1, 3, 5],
        "t-1": [2, 4],
    }
    last = asked["t-1"][-1]
    assert (last.request_id, last.t_scheduled_ns, last.output_tokens) == ("t-1-000001", 3 * S, 1)
    assert (last.timeout_ns, last.tier, last.session, last.turn) == (3 * S, "edge", None, None)


def test_a_session_has_one_client_and_sessions_take_turns(tmp_path: Path) -> None:
    head = "Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
    rows = [(0, "a"), (1, "b"), (2, "a"), (3, "c"), (4, ""), (5, "b")]
    text = head + "".join(f"{t},{who},1,ChatGPT,{t + 1},1,9,API log\n" for t, who in rows)
    file = written(tmp_path, text)
    assert [(request.client, request.session) for request in read(file, count=2)] == [
        *((0, "a"), (1, "b"), (0, "a"), (0, "c"), (0, None), (1, "b"))
    ]
    turns = [request.client for request in read(file, count=2, spread="round-robin")]
    assert turns == [0, 1, 0, 1, 0, 1]


def words(question: Question) -> list[str]:
    text: str = json.loads(question.body())["messages"][0]["content"]
    return text.split(" ")


def test_a_prompt_has_its_tokens_in_words_and_no_two_are_alike(tmp_path: Path) -> None:
    asked = questions(trace(written(tmp_path, BURSTGPT)), tmp_path)["t-0"]
    first, second = (words(question) for question in asked)
    assert (len(first), len(second)) == (472, 1087)
    assert set(first) <= set(WORDS)
    assert first[:20] != second[:20]
    body = json.loads(asked[0].body())
    assert (body["max_completion_tokens"], body["min_tokens"], body["model"]) == (18, 18, "m")


def test_equal_hash_ids_are_equal_words_whoever_asks(tmp_path: Path) -> None:
    lines = [
        {"timestamp": 0, "input_length": 1500, "output_length": 1, "hash_ids": [0, 1, 2]},
        {"timestamp": 0, "input_length": 1100, "output_length": 1, "hash_ids": [0, 1, 3]},
        {"timestamp": 0, "input_length": 600, "output_length": 1, "hash_ids": [0, 1]},
        {"timestamp": 0, "input_length": 512, "output_length": 1, "hash_ids": ["0b"]},
    ]
    file = written(tmp_path, "\n".join(map(json.dumps, lines)))
    asked = questions(trace(file, count=2), tmp_path)
    prompts = [words(asked[f"t-{k % 2}"][k // 2]) for k in range(4)]
    assert [len(prompt) for prompt in prompts] == [1500, 1100, 600, 512]
    assert prompts[0][:1024] == prompts[1][:1024]
    assert prompts[0][1024:1044] != prompts[1][1024:1044]
    assert prompts[2] == prompts[0][:600]
    assert prompts[3][:20] != prompts[0][:20]
    assert words(questions(trace(file, count=2), tmp_path, seed=2)["t-0"][0])[:20] != prompts[0][:20]


def test_other_blocks_than_mooncakes(tmp_path: Path) -> None:
    file = written(tmp_path, 't,i,o,h\n0,5,1,"[4, 4, 5]"\n')
    columns = {"arrival": "t", "unit": "s", "prompt_tokens": "i", "output_tokens": "o", "hash_ids": "h"}
    group = trace(file, columns=columns, block_tokens=2)
    text = prompt_text(group, next(TraceReader(group, S).requests()), 1).split(" ")
    assert text[:2] == text[2:4]
    assert len(text) == 5


def test_prompts_that_are_too_long_are_clipped_or_dropped_and_counted(tmp_path: Path) -> None:
    file = written(tmp_path, MOONCAKE)
    clip = TraceReader(trace(file, max_prompt_tokens=700, on_too_long="clip"), 10 * S)
    assert [(request.prompt_tokens, request.hash_ids) for request in clip.requests()] == [(600, (0, 1)), (700, (0, 2))]
    assert (clip.use.requests, clip.use.clipped, clip.use.dropped) == (2, 1, 0)
    shorter = read(file, max_prompt_tokens=512, on_too_long="clip")
    assert [(request.prompt_tokens, request.hash_ids) for request in shorter] == [(512, (0,)), (512, (0,))]
    drop = TraceReader(trace(file, max_prompt_tokens=700, on_too_long="drop", count=2), 10 * S)
    assert due(list(drop.requests())) == [(0, 600, 52)]
    assert (drop.use.requests, drop.use.clipped, drop.use.dropped) == (1, 0, 1)


def test_requests_that_failed_are_dropped_if_the_user_says_so(tmp_path: Path) -> None:
    file = written(tmp_path, BURSTGPT.replace(",18,", ",0,"))
    reader = TraceReader(trace(file, on_no_tokens="drop", limit=1), 100 * S)
    assert due(list(reader.requests())) == [(40 * S, 1087, 230)]
    assert (reader.use.dropped, reader.use.first_line, reader.use.last_line) == (1, 3, 3)
