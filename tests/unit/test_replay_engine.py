"""Engines that repeat a recording, and notice when they are asked for another run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from cosim.bridge.engine_messages import Signature, Tokens
from cosim.inference.base import EngineRefusal
from cosim.inference.replay import Recording, ReplayEngine, ReplayError
from cosim.results.records import EgressRecord, FrontendRecord, PromptRecord, StepRecord, StepsLine
from tests.lockstep import chat, scenario, simulate
from tests.prompts import Prompt


def frontend(request_id: str, engine: str = "edge", **changes: Any) -> FrontendRecord:
    values: dict[str, Any] = {
        "t_start_ns": 0,
        "duration_ns": 7,
        "source": "executed",
        "wall_start_ns": 1,
        "wall_end_ns": 8,
        "prompt_tokens": 30,
        "encoder_tokens": 20,
        "images": 1,
    }
    return FrontendRecord(engine=engine, request_id=request_id, **{**values, **changes})


def step(index: int, t_start_ns: int, scheduled: dict[str, int], ended: str = "", **changes: Any) -> StepRecord:
    values: dict[str, Any] = {
        "engine": "edge",
        "duration_ns": 100 + index,
        "source": "executed",
        "wall_start_ns": 5,
        "wall_end_ns": 9,
        "signature": Signature(sum(scheduled.values()), 0, 0, 0, 0),
        "tokens": {request_id: (1, 250, "length" if request_id in ended else None) for request_id in scheduled},
        "cached_tokens": {"a": 16} if index == 0 else {},
    }
    return StepRecord(index=index, t_start_ns=t_start_ns, scheduled=scheduled, **{**values, **changes})


def egress(index: int, *request_ids: str, engine: str = "edge") -> EgressRecord:
    return EgressRecord(engine, index, {request_id: 3 + index for request_id in request_ids})


LINES: tuple[StepsLine, ...] = (
    PromptRecord("a", 1000),
    frontend("a"),
    PromptRecord("b", 1001),
    step(0, 50, {"a": 30}),
    frontend("other-0", engine="other"),
    egress(0, "a"),
    frontend("b", refused="too long", duration_ns=2),
    frontend("c"),
    step(1, 150, {"a": 1, "c": 30}, ended="a"),
    egress(1, "a", "c"),
    step(2, 260, {"c": 1}),
    egress(2, "c"),
)


def replay(lines: tuple[StepsLine, ...] = LINES) -> ReplayEngine:
    return ReplayEngine("edge", "m", Recording(lines, ["edge"], prompts=True))


def test_repeats_what_was_recorded() -> None:
    engine = replay()
    rendered = engine.render(Prompt("a"))
    assert (rendered.duration_ns, rendered.source, rendered.prompt_tokens) == (7, "replayed", 30)
    assert (rendered.encoder_tokens, rendered.images, rendered.wall_start_ns, rendered.wall_end_ns) == (
        20,
        1,
        None,
        None,
    )
    engine.submit("a")
    first = engine.step(50)
    assert (first.duration_ns, first.source, first.scheduled) == (100, "replayed", {"a": 30})
    assert (first.recorded_source, first.egress_source, first.recorded_egress_source) == (
        "executed",
        "replayed",
        "executed",
    )
    assert first.tokens == {"a": Tokens(1, 250, None, 3, 16)}
    assert (first.signature, first.wall_start_ns) == (Signature(30, 0, 0, 0, 0), None)
    engine.render(Prompt("c"))
    engine.submit("c")
    assert engine.step(150).tokens == {"a": Tokens(1, 250, "length", 4, 0), "c": Tokens(1, 250, None, 4, 0)}
    assert engine.step(260).scheduled == {"c": 1}


def test_a_recording_of_a_replay_says_what_was_recorded_first() -> None:
    lines = (
        frontend("a", source="replayed", recorded_source="interpolated"),
        step(0, 50, {"a": 30}, source="predicted"),
        EgressRecord("edge", 0, {"a": 3}, "replayed", "extrapolated"),
    )
    engine = replay(lines)
    assert engine.render(Prompt("a")).recorded_source == "interpolated"
    engine.submit("a")
    found = engine.step(50)
    assert (found.recorded_source, found.recorded_egress_source) == ("predicted", "extrapolated")


def test_a_refusal_is_repeated() -> None:
    with pytest.raises(EngineRefusal, match="too long") as caught:
        replay().render(Prompt("b"))
    assert (caught.value.duration_ns, caught.value.source, caught.value.recorded_source) == (2, "replayed", "executed")


def started() -> ReplayEngine:
    engine = replay()
    engine.render(Prompt("a"))
    engine.submit("a")
    return engine


def test_a_step_at_another_time_is_an_error() -> None:
    with pytest.raises(
        ReplayError, match=r"^step 0 of edge starts at 51 ns, the recorded one at 50 ns; the recording "
    ):
        started().step(51)


def test_a_step_with_a_request_that_is_not_here_is_an_error() -> None:
    absent = "step 1 of edge was recorded with c, which its scheduler does not have now"
    engine = started()
    engine.step(50)
    with pytest.raises(ReplayError, match=absent):
        engine.step(150)
    engine = started()
    engine.step(50)
    engine.render(Prompt("c"))
    with pytest.raises(ReplayError, match=absent):
        engine.step(150)
    engine = started()
    engine.step(50)
    engine.render(Prompt("c"))
    engine.submit("c")
    engine.abort("a")
    with pytest.raises(ReplayError, match="was recorded with a, which"):
        engine.step(150)


def test_a_finished_request_is_not_here_any_more() -> None:
    lines = (*LINES[:10], step(2, 260, {"a": 1, "c": 1}), egress(2, "a", "c"))
    engine = replay(lines)
    for request_id in ("a", "c"):
        engine.render(Prompt(request_id))
        engine.submit(request_id)
    engine.step(50)
    engine.step(150)
    with pytest.raises(ReplayError, match="step 2 of edge was recorded with a, which"):
        engine.step(260)


@pytest.mark.parametrize(
    "changes",
    [{"signature": Signature(29, 0, 0, 0, 0)}, {"tokens": {"a": (1, 1, None), "z": (1, 1, None)}}],
    ids=["signature", "tokens"],
)
def test_a_step_that_contradicts_itself_is_an_error(changes: dict[str, Any]) -> None:
    engine = replay((frontend("a"), step(0, 50, {"a": 30}, **changes), egress(0, "a", "z")))
    engine.render(Prompt("a"))
    engine.submit("a")
    with pytest.raises(ReplayError, match="step 0 of edge has a signature of"):
        engine.step(50)


def test_a_recording_that_ends_early_says_what_was_wanted() -> None:
    recording = Recording(LINES[:5], ["edge"], prompts=True)
    assert recording.wire_bytes("b") == 1001
    assert recording.wire_bytes("a") == 1000
    engine = ReplayEngine("edge", "m", recording)
    engine.render(Prompt("a"))
    engine.submit("a")
    with pytest.raises(ReplayError, match=r"steps\.jsonl ends before the egress of edge"):
        engine.step(50)
    with pytest.raises(ReplayError, match="ends before a step of edge"):
        engine.step(50)
    with pytest.raises(ReplayError, match="ends before the front end of edge for c"):
        engine.render(Prompt("c"))
    with pytest.raises(ReplayError, match="ends before request z"):
        recording.wire_bytes("z")


def test_a_recording_is_read_as_it_is_asked_for() -> None:
    read = []

    def lines() -> Iterator[StepsLine]:
        for line in LINES:
            read.append(line)
            yield line

    recording = Recording(lines(), ["edge"], prompts=False)
    assert read == []
    recording.frontend("edge", "a")
    assert len(read) == 2
    recording.step("edge")
    assert len(read) == 4


def test_a_run_of_stubs_replays_step_by_step() -> None:
    """What the stub did, recorded by the loop, is accepted as it is."""
    recorded = simulate(scenario(clients=[chat("u", count=3, output_tokens=3)]))
    recording = Recording(recorded.lines, ["edge"], prompts=False)
    engine = ReplayEngine("edge", "stub", recording)
    started_ids: set[str] = set()
    for record in recorded.steps("edge"):
        for request_id in record.scheduled:
            if request_id not in started_ids:
                started_ids.add(request_id)
                engine.render(Prompt(request_id))
                engine.submit(request_id)
        result = engine.step(record.t_start_ns)
        assert (result.duration_ns, result.scheduled, result.signature) == (
            record.duration_ns,
            record.scheduled,
            record.signature,
        )
    assert len(started_ids) == len(recorded.requests) == 9
