"""The engine's double, step by step."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from cosim import wire
from cosim.inference.base import Signature, StepResult
from cosim.inference.stub import StubEngine
from cosim.scenario.engines import StubEngine as Settings
from tests.prompts import Prompt

MS = 1_000_000


def engine(*, tls: bool = False, **values: Any) -> StubEngine:
    settings = TypeAdapter(Settings).validate_python({"kind": "stub", "prefill": "10ms", "decode": "5ms", **values})
    return StubEngine("edge", settings, tls=tls)


def ask(stub: StubEngine, *prompts: Prompt) -> None:
    for prompt in prompts:
        stub.render(prompt)
        stub.submit(prompt.request_id)


def text(step: StepResult) -> str:
    """Duration in ms, tokens scheduled for each request, and which of them ended."""
    members = [
        f"{request_id}:{tokens}{'.' if step.tokens[request_id].finish_reason else ''}"
        for request_id, tokens in step.scheduled.items()
    ]
    return f"{step.duration_ns / MS:g} {' '.join(members)}"


def test_continuous_batching_first_come_first_served() -> None:
    stub = engine(max_num_seqs=2)
    ask(stub, Prompt("a", output_tokens=3), Prompt("b", output_tokens=1), Prompt("c", prompt_tokens=7))
    steps = [text(stub.step(0)) for _ in range(2)]
    ask(stub, Prompt("d"))
    steps += [text(stub.step(0)) for _ in range(3)]
    assert steps == [
        "10 a:10 b:10.",
        "10 a:1 c:7",
        "5 a:1. c:1.",
        "10 d:10",
        "5 d:1.",
    ]


def test_a_step_tells_its_shape() -> None:
    stub = engine()
    ask(stub, Prompt("a", prompt_tokens=20, output_tokens=9))
    assert stub.step(0).signature == Signature(20, 0, 0, 0, 0)
    ask(stub, Prompt("b", prompt_tokens=5, output_tokens=9), Prompt("c", prompt_tokens=6, output_tokens=9))
    assert stub.step(0).signature == Signature(11, 1, 21, 0, 0)
    step = stub.step(0)
    assert step.signature == Signature(0, 3, 22 + 6 + 7, 0, 0)
    assert step.gauges == {"num_requests_running": 3, "num_requests_waiting": 0}
    assert (step.source, step.wall_start_ns, step.wall_end_ns) == ("predicted", None, None)


def test_sizes_of_chunks_are_those_of_the_wire() -> None:
    for tls in (False, True):
        stub = engine(tls=tls, chunk_bytes=100)
        ask(stub, Prompt("a", output_tokens=3))
        sizes = [stub.step(0).tokens["a"].n_bytes for _ in range(3)]
        assert sizes == [
            wire.answer_bytes(100, first=True, last=False, tls=tls),
            wire.answer_bytes(100, first=False, last=False, tls=tls),
            wire.answer_bytes(100, first=False, last=True, tls=tls),
        ]


def test_time_scale_multiplies_every_duration() -> None:
    stub = engine(time_scale=0.5, frontend="3ms", egress="1ms")
    rendered = stub.render(Prompt("a"))
    assert (rendered.duration_ns, rendered.prompt_tokens, rendered.images) == (1_500_000, 10, 0)
    stub.submit("a")
    step = stub.step(0)
    assert (step.duration_ns, step.tokens["a"].egress_ns) == (5 * MS, 500_000)
    assert stub.step(0).duration_ns == 2_500_000


def test_an_aborted_request_is_in_no_later_step() -> None:
    stub = engine(max_num_seqs=1)
    ask(stub, Prompt("a", output_tokens=9), Prompt("b", output_tokens=9), Prompt("c", output_tokens=9))
    assert text(stub.step(0)) == "10 a:10"
    stub.abort("b")
    assert text(stub.step(0)) == "5 a:1"
    stub.abort("a")
    stub.abort("a")
    stub.abort("stranger")
    assert text(stub.step(0)) == "10 c:10"
    stub.render(Prompt("d"))
    stub.abort("d")
    with pytest.raises(KeyError):
        stub.submit("d")


@given(
    seats=st.integers(1, 4),
    lengths=st.lists(st.tuples(st.integers(0, 6), st.integers(1, 5)), max_size=12),
)
def test_everyone_gets_every_token_once(seats: int, lengths: list[tuple[int, int]]) -> None:
    """Requests come before steps 0 to 6; each ends with its last token and no seat is given twice."""
    stub = engine(max_num_seqs=seats)
    got: dict[str, int] = {}
    ended: list[str] = []
    for index in range(80):
        ask(stub, *(Prompt(f"r{k}", output_tokens=n) for k, (come, n) in enumerate(lengths) if come == index))
        step = stub.step(0)
        assert len(step.scheduled) <= seats
        assert set(step.tokens) == set(step.scheduled)
        assert step.signature.prefill_tokens + step.signature.decode_sequences == sum(step.scheduled.values())
        for request_id, tokens in step.tokens.items():
            assert request_id not in ended
            got[request_id] = got.get(request_id, 0) + tokens.count
            if tokens.finish_reason is not None:
                ended.append(request_id)
    assert got == {f"r{k}": n for k, (_, n) in enumerate(lengths)}
    assert len(ended) == len(lengths)
