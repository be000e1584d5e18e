"""What a user says turn by turn: the whole conversation, answers as they were read."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from cosim.clients.base import Answer, Client, Question
from cosim.clients.build import build_clients
from cosim.scenario.clients import ClientGroup
from cosim.words import WORDS

S = 1_000_000_000
OK = Answer("ok", 2, "an answer")


def group(**values: Any) -> ClientGroup:
    parsed: ClientGroup = TypeAdapter(ClientGroup).validate_python(
        {"name": "u", "kind": "dialogue", "tier": "edge", "turns": 3, "prompt_tokens": 4, "output_tokens": 2, **values}
    )
    return parsed


def users(*, seed: int = 1, end_ns: int = 10_000 * S, **values: Any) -> list[Client]:
    models = {"edge": "small", "cloud": "large"}
    return build_clients([group(**values)], seed=seed, end_ns=end_ns, models=models, images=False)


def told(client: Client, *answers: Answer) -> list[Question]:
    """The questions of a client whose questions are answered so, each after a second; one more than answers."""
    question = client.next_question(0)
    assert question is not None
    found = [question]
    for answer in answers:
        assert question.answered is not None
        question.answered(answer)
        question = client.next_question(question.t_scheduled_ns + S)
        if question is None:
            break
        found.append(question)
    return found


def messages(question: Question) -> list[tuple[str, str]]:
    return [(message["role"], message["content"]) for message in json.loads(question.body())["messages"]]


def test_a_turn_has_all_that_was_said_before_it() -> None:
    first, second, third, anew = told(users(system_tokens=3)[0], OK, Answer("ok", 3, "ein längeres Wort"), OK)
    system, question = messages(first)
    assert (system[0], question[0]) == ("system", "user")
    assert [len(text.split()) for _, text in (system, question)] == [3, 4]
    assert messages(second)[:-1] == [system, question, ("assistant", "an answer")]
    assert messages(third)[:-1] == [*messages(second), ("assistant", "ein längeres Wort")]
    assert messages(anew)[0] == system
    assert len(messages(anew)) == 2
    assert len({text for asked in (first, second, third, anew) for role, text in messages(asked)[-1:]}) == 4
    assert [(asked.prompt_tokens, asked.session, asked.turn) for asked in (first, second, third, anew)] == [
        (7, "u-0-session1", 1),
        (13, "u-0-session1", 2),
        (20, "u-0-session1", 3),
        (7, "u-0-session2", 1),
    ]
    assert "längeres".encode() in third.body()


def test_a_body_is_the_same_whenever_it_is_made() -> None:
    early, late = (told(user, OK, OK, OK, OK) for user in (users()[0], users()[0]))
    ahead = users()[0]
    at_once = []
    question: Question | None = ahead.next_question(0)
    for _ in range(5):
        assert question is not None
        assert question.answered is not None
        at_once.append(question.body())
        question.answered(OK)
        question = ahead.next_question(question.t_scheduled_ns + S)
    assert at_once == [asked.body() for asked in early] == [asked.body() for asked in reversed(late)][::-1]


def test_words_stand_for_an_answer_without_text() -> None:
    second = told(users()[0], Answer("ok", 7, ""))[1]
    role, text = messages(second)[1]
    assert role == "assistant"
    assert len(text.split(" ")) == 7
    assert set(text.split(" ")) <= set(WORDS)


@pytest.mark.parametrize("status", ["error", "timeout", "rejected"])
def test_a_failed_turn_ends_its_session(status: str) -> None:
    anew = told(users()[0], OK, Answer(status, 1, "half"))[-1]
    assert (anew.session, anew.turn, len(messages(anew))) == ("u-0-session2", 1, 1)


def test_a_turn_that_was_stopped_goes_on_with_what_was_read() -> None:
    second, third = told(users()[0], Answer("cancelled", 1, "an"), Answer("cancelled", 0, ""))[1:]
    assert messages(second)[1] == ("assistant", "an")
    assert messages(third)[3] == ("assistant", "")
    assert (second.prompt_tokens, third.prompt_tokens) == (4 + 1 + 4, 4 + 1 + 4 + 0 + 4)


def test_text_of_one_session_is_no_other_s_but_for_the_system_prompt() -> None:
    crowd = users(count=3, system_tokens=50)
    found = [asked for user in crowd for asked in told(user, *[OK] * 5)]
    assert len({messages(asked)[0] for asked in found}) == 1
    assert len({messages(asked)[-1] for asked in found}) == len(found)
    other = told(users(seed=2, system_tokens=50)[0])[0]
    assert messages(other)[0] != messages(found[0])[0]


@pytest.mark.parametrize(
    ("turns", "mean", "least", "most"),
    [
        (3, 3, 3, 3),
        ({"kind": "geometric", "mean": 4}, 4, 1, 60),
        ({"kind": "geometric", "mean": 1}, 1, 1, 1),
        ({"kind": "uniform", "min": 2, "max": 8}, 5, 2, 8),
    ],
)
def test_sessions_have_as_many_turns_as_was_said(turns: Any, mean: float, least: int, most: int) -> None:
    found = told(users(turns=turns, sessions=1000, think_time="1ms", end_ns=10**17)[0], *[OK] * 20_000)
    lengths = np.unique([asked.session for asked in found], return_counts=True)[1]
    assert len(lengths) == 1000
    assert lengths.min() >= least
    assert lengths.max() <= most
    assert lengths.mean() == pytest.approx(mean, rel=0.08)
    if turns != 3 and mean != 1:
        assert set(lengths) > set(range(least, 6))


def test_think_times_and_pauses() -> None:
    """The first question comes within a think time of joining, at another moment for each user."""
    crowd = users(think_time="3s", pause="20s", think="constant", join="5s", count=20)
    found = [told(user, *[OK] * 6) for user in crowd]
    begins = {asked[0].t_scheduled_ns for asked in found}
    assert len(begins) == 20
    assert all(5 * S <= t_ns < 8 * S for t_ns in begins)
    for asked in found:
        gaps = [(later.t_scheduled_ns - before.t_scheduled_ns) / S - 1 for before, later in pairwise(asked)]
        assert gaps == [3, 3, 20, 3, 3, 20]


def test_nothing_is_asked_after_the_last_session_or_the_end() -> None:
    assert len(told(users(sessions=2)[0], *[OK] * 20)) == 6
    late = users(end_ns=100 * S)[0]
    assert max(asked.t_scheduled_ns for asked in told(late, *[OK] * 1000)) < 100 * S


def test_moves_name_the_tier_and_its_model() -> None:
    moves = [{"turn": 2, "tier": "cloud"}, {"turn": 4, "tier": "edge"}]
    asked = told(users(turns=5, moves=moves)[0], *[OK] * 5)
    assert [(one.tier, json.loads(one.body())["model"]) for one in asked] == [
        ("edge", "small"),
        ("cloud", "large"),
        ("cloud", "large"),
        ("edge", "small"),
        ("edge", "small"),
        ("edge", "small"),
    ]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"turns": 0}, "greater than or equal to 1"),
        ({"turns": "3"}, "valid integer"),
        ({"turns": {"kind": "uniform", "min": 5, "max": 4}}, "4 is less than min"),
        ({"turns": {"kind": "geometric", "mean": 0.5}}, "greater than or equal to 1"),
        ({"moves": [{"turn": 1, "tier": "cloud"}]}, "greater than or equal to 2"),
        ({"moves": [{"turn": 3, "tier": "cloud"}, {"turn": 3, "tier": "edge"}]}, "is not after the move before it"),
    ],
)
def test_what_is_no_dialogue_is_refused(values: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        group(**values)
