"""Conversations of a file: which are asked, by whom, in what order, and what a damaged file is told."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import TypeAdapter, ValidationError

from cosim.clients.base import Answer, Client, Question
from cosim.clients.build import build_clients
from cosim.clients.conversation_store import store_conversations
from cosim.requirements import check_names
from cosim.scenario.clients import ClientGroup
from cosim.scenario.errors import ScenarioError
from cosim.scenario.load import load
from cosim.scenario.sharegpt import ShareGpt, conversations, tokens_of
from tests.lockstep import scenario
from tests.sharegpt import FILE

S = 1_000_000_000
CLOSED = {"kind": "closed", "think_time": "1s"}


def words(n_tokens: int) -> str:
    return "four" * n_tokens


def said(*n_tokens: int, roles: tuple[str, ...] = ("human", "gpt")) -> dict[str, Any]:
    messages = [{"from": roles[k % len(roles)], "value": words(n)} for k, n in enumerate(n_tokens)]
    return {"id": "x", "conversations": messages}


def group(file: Path, **values: Any) -> ShareGpt:
    arrivals = CLOSED if values.get("multi_turn") else {"kind": "poisson", "rate": "1/s"}
    parsed: ClientGroup = TypeAdapter(ClientGroup).validate_python(
        {"name": "u", "kind": "sharegpt", "tier": "edge", "file": str(file), "arrivals": arrivals, **values}
    )
    assert isinstance(parsed, ShareGpt)
    return parsed


def chosen(tmp_path: Path, *entries: Any, **values: Any) -> list[list[tuple[int, int]]]:
    """Tokens of prompts and answers in each conversation that is asked."""
    file = tmp_path / "c.json"
    file.write_text(json.dumps([*entries, said(4, 4)]))
    found = conversations(group(file, **values))
    assert [(turn.prompt_tokens, turn.output_tokens) for turn in found.pop().turns] == [
        (4, values.get("output_tokens", 4))
    ]
    return [[(turn.prompt_tokens, turn.output_tokens) for turn in one.turns] for one in found]


def vllm_s_rule() -> Callable[..., bool]:
    """The function out of vLLM's source; importing its module would take ten seconds."""
    found = find_spec("vllm")
    if found is None or not found.submodule_search_locations:
        pytest.skip("vLLM is not installed")
    source = Path(found.submodule_search_locations[0], "benchmarks/datasets/datasets.py").read_text()
    tree = ast.parse(source)
    tree.body = [node for node in tree.body if getattr(node, "name", "") == "is_valid_sequence"]
    names: dict[str, Any] = {}
    exec(compile(tree, "datasets.py", "exec"), names)
    rule: Callable[..., bool] = names["is_valid_sequence"]
    return rule


@pytest.mark.parametrize(
    ("entry", "kept"),
    [
        (said(5, 6), True),
        (said(4), False),
        (said(), False),
        ({"id": "no conversation"}, False),
        (said(3, 50), False),
        (said(50, 3), False),
        (said(1024, 1024), True),
        (said(1025, 4), False),
        (said(1000, 1049), False),
        (said(5, 6, roles=("gpt", "human")), True),
    ],
)
def test_single_turns_are_chosen_as_vllm_bench_does(tmp_path: Path, entry: dict[str, Any], kept: bool) -> None:
    tokens = tuple(len(message["value"]) // 4 for message in entry.get("conversations", []))
    assert chosen(tmp_path, entry) == ([[tokens]] if kept else [])
    if len(tokens) == 2:
        assert vllm_s_rule()(*tokens) is kept


def test_an_answer_s_length_that_is_given_holds_for_all(tmp_path: Path) -> None:
    assert chosen(tmp_path, said(50, 3), said(3, 50), output_tokens=9) == [[(50, 9)]]


def test_only_the_first_turn_is_asked_unless_all_are(tmp_path: Path) -> None:
    entry = said(5, 6, 1, 2, 7)
    assert chosen(tmp_path, entry) == [[(5, 6)]]
    assert chosen(tmp_path, entry, multi_turn=True) == [[(5, 6), (1, 2)]]


def test_a_conversation_is_cut_before_it_is_too_long(tmp_path: Path) -> None:
    entry = said(1000, 900, 100, 48, 5, 5)
    assert chosen(tmp_path, entry, multi_turn=True) == [[(1000, 900), (100, 48)]]
    assert chosen(tmp_path, entry, multi_turn=True, max_total_tokens=2047) == [[(1000, 900)]]
    assert len(chosen(tmp_path, entry, multi_turn=True, max_total_tokens=5000)[0]) == 3


def test_who_speaks_out_of_turn_ends_a_conversation(tmp_path: Path) -> None:
    twice = said(4, 5, 6, 7, 8, roles=("human", "gpt", "human", "human"))
    late = said(9, 4, 5, 6, roles=("gpt", "human", "gpt", "gpt"))
    assert chosen(tmp_path, twice, late, multi_turn=True) == [[(4, 5)], [(4, 5)]]
    system = said(10, 4, 5, roles=("system", "user", "assistant"))
    file = tmp_path / "s.json"
    file.write_text(json.dumps([system]))
    (found,) = conversations(group(file, multi_turn=True))
    assert found.system == words(10)
    assert chosen(tmp_path, system, multi_turn=True, max_total_tokens=18) == []


def test_tokens_are_counted_by_bytes() -> None:
    assert [tokens_of(text) for text in ("", "abc", "abcd", "abcde", "漢字")] == [1, 1, 1, 2, 2]


def clients(file: Path, **values: Any) -> list[Client]:
    people = group(file, **values)
    known = {people.name: conversations(people)}
    return build_clients([people], seed=1, end_ns=10_000 * S, models={"edge": "m"}, images=False, conversations=known)


def asked(client: Client, most: int = 1000) -> list[Question]:
    found: list[Question] = []
    now_ns = 0
    while len(found) < most and (question := client.next_question(now_ns)) is not None:
        found.append(question)
        now_ns = question.t_scheduled_ns
        if question.answered is not None:
            question.answered(Answer("ok", question.output_tokens, "an answer"))
    return found


def test_conversations_are_dealt_in_an_order_drawn_by_seed_and_begin_again() -> None:
    entries = json.loads(FILE.read_text())
    prompts = {entry["conversations"][0]["value"] for entry in entries}
    first, second = (asked(client, most=12) for client in clients(FILE, count=2))
    said_by = [[json.loads(one.body())["messages"][0]["content"] for one in questions] for questions in (first, second)]
    assert {*said_by[0], *said_by[1]} == prompts
    assert said_by[0][:6] == said_by[0][6:]
    assert not {*said_by[0]} & {*said_by[1]}
    assert said_by[0][:6] != [entry["conversations"][0]["value"] for entry in entries[::2]]
    assert {one.session for one in first} == {None}
    assert len({one.request_id for one in (*first, *second)}) == 24


def test_the_text_of_the_file_is_sent_and_this_engine_s_answers_between() -> None:
    entry = next(one for one in json.loads(FILE.read_text()) if len(one["conversations"]) == 9)
    system, *messages = [message["value"] for message in entry["conversations"]]
    sessions: dict[str | None, list[Question]] = {}
    for one in asked(clients(FILE, multi_turn=True)[0], most=30):
        sessions.setdefault(one.session, []).append(one)
    head = {"role": "system", "content": system}
    session = next(one for one in sessions.values() if json.loads(one[0].body())["messages"][0] == head)
    sent = [message["content"] for message in json.loads(session[-1].body())["messages"]]
    assert sent == [system, *[text for prompt in messages[:6:2] for text in (prompt, "an answer")], messages[6]]
    assert session[0].prompt_tokens == tokens_of(system) + tokens_of(messages[0])
    assert [one.output_tokens for one in session] == [tokens_of(text) for text in messages[1::2]]


def test_sessions_limit_what_a_client_asks() -> None:
    assert len(asked(clients(FILE, sessions=5)[0])) == 5
    found = asked(clients(FILE, sessions=2, multi_turn=True)[0])
    assert [one.session for one in found] == sorted(one.session or "" for one in found)
    assert {one.session for one in found} == {"u-0-session1", "u-0-session2"}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('[\n{"conversations": [\n', "c.json:2: clients.0.file: Input data was truncated; [{"),
        ('[\n{"conversations": []},\n x]', "c.json:3: clients.0.file: JSON is malformed: invalid character (byte 26)"),
        ("", "c.json:1: clients.0.file: Input data was truncated"),
        ('\n\n{"a": 1}', "c.json:1: clients.0.file: Expected `array`, got `object`"),
        (
            '[\n{"conversations": []},\n{"conversations":\n [{"from": "human"}]}]',
            "c.json:3: clients.0.file: Object missing required field `value` - at `$[1].conversations[0]`",
        ),
        ('[{"conversations": 3}]', "c.json:1: clients.0.file: Expected `array | null`, got `int` - at `$[0]"),
        ("[]", "s.yaml:3: clients.0.file: none of the 0 conversations in"),
        (json.dumps([said(1, 1)]), "s.yaml:3: clients.0.file: none of the 1 conversations in"),
        (b"\xff\xfe", "c.json:1: clients.0.file: JSON is malformed: invalid character (byte 0)"),
        (b'[\n{"conversations": [{"value": "\xff"}]}]', "c.json:2: clients.0.file: is no UTF-8; [{"),
        ('[{"a": ' + "[" * 100_000, "c.json:1: clients.0.file: maximum recursion depth exceeded"),
        ("[" * 100_000, "c.json:1: clients.0.file: Expected `object`, got `array` - at `$[0]`"),
    ],
)
def test_a_damaged_file_is_told_its_line(tmp_path: Path, content: str | bytes, told: str) -> None:
    (tmp_path / "c.json").write_bytes(content.encode() if isinstance(content, str) else content)
    assert told in refusal(tmp_path)


def refusal(tmp_path: Path) -> str:
    file = tmp_path / "s.yaml"
    people = "{kind: sharegpt, name: u, tier: edge, arrivals: {kind: poisson, rate: 1/s},"
    others = {key: value for key, value in scenario().items() if key != "clients"}
    file.write_text(f"clients:\n- {people}\n   file: c.json}}\n{yaml.safe_dump(others)}")
    with pytest.raises(ScenarioError) as caught:
        check_names(load(file, environment={}))
    return str(caught.value)


def test_a_file_that_is_not_there_or_never_ends(tmp_path: Path) -> None:
    assert "s.yaml:3: clients.0.file:" in refusal(tmp_path)
    assert "cannot be read: No such file or directory; [{" in refusal(tmp_path)
    (tmp_path / "c.json").symlink_to("/dev/zero")
    assert "cannot be read: it is no regular file" in refusal(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b'{"system": 0, "turns": []}',
        b'{"system": 0, "turns": [[0, 4]]}',
        b'{"system": -1, "turns": [[4, 4]]}',
        b'{"x": ' + b"[" * 100_000,
        b"\xff",
    ],
)
def test_lengths_that_no_run_kept_are_damage(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a" / "traces").mkdir(parents=True)
    (tmp_path / "a" / "traces" / "u.jsonl").write_bytes(content)
    with pytest.raises(ScenarioError, match=r"u\.jsonl: is damaged: .*; the directory of a run as it was written"):
        store_conversations([group(FILE)], tmp_path, recorded=tmp_path / "a")


def test_a_file_that_has_changed_is_read_again(tmp_path: Path) -> None:
    assert chosen(tmp_path, said(5, 5)) == [[(5, 5)]]
    assert chosen(tmp_path, said(5, 6), said(6, 6)) == [[(5, 6)], [(6, 6)]]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"multi_turn": True, "arrivals": {"kind": "poisson", "rate": "1/s"}}, "multi_turn has no open loop"),
        ({"moves": [{"turn": 2, "tier": "cloud"}]}, "each request stands alone without multi_turn"),
    ],
)
def test_what_cannot_be_is_refused(values: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        group(FILE, **values)
