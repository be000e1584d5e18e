"""The agenda's total order, and a clock that only moves forward."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosim.clock import Agenda, Clock, ClockError, Priority, monotonic_ns, monotonic_s, wall_time_iso


def drained(agenda: Agenda, until_ns: int) -> None:
    while (event := agenda.pop_until(until_ns)) is not None:
        event.action()


def test_events_run_by_time_then_priority_then_order_of_scheduling() -> None:
    agenda, ran = Agenda(), list[str]()
    for t_ns, priority, name in [
        (5, Priority.CLIENT, "client at 5"),
        (5, Priority.STAGE, "stage at 5"),
        (3, Priority.CLIENT, "client at 3"),
        (5, Priority.KNOB, "knob at 5"),
        (5, Priority.STAGE, "second stage at 5"),
        (5, Priority.DELIVERY, "delivery at 5"),
        (6, Priority.KNOB, "knob at 6"),
    ]:
        agenda.at(t_ns, priority, lambda name=name: ran.append(name))  # type: ignore[misc]
    assert agenda.next_ns() == 3
    drained(agenda, 5)
    assert ran == ["client at 3", "knob at 5", "delivery at 5", "stage at 5", "second stage at 5", "client at 5"]
    assert agenda.next_ns() == 6


def test_what_an_event_schedules_at_its_own_instant_runs_at_it() -> None:
    agenda, ran = Agenda(), list[str]()

    def first() -> None:
        ran.append("first")
        agenda.at(1, Priority.STAGE, lambda: ran.append("its stage"))

    agenda.at(1, Priority.DELIVERY, first)
    agenda.at(1, Priority.CLIENT, lambda: ran.append("client"))
    drained(agenda, 1)
    assert ran == ["first", "its stage", "client"]


def test_a_cancelled_event_is_neither_seen_nor_run() -> None:
    agenda = Agenda()
    early = agenda.at(1, Priority.CLIENT, lambda: None)
    late = agenda.at(2, Priority.CLIENT, lambda: None)
    agenda.cancel(early)
    agenda.cancel(None)
    assert agenda.next_ns() == 2
    assert agenda.pop_until(1) is None
    assert agenda.pop_until(2) is late
    agenda.cancel(late)
    assert agenda.next_ns() is None
    assert agenda.pop_until(10**18) is None


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(Priority), st.booleans())))
def test_the_order_is_total(plan: list[tuple[int, Priority, bool]]) -> None:
    agenda, ran = Agenda(), list[tuple[int, Priority, int]]()
    events = []
    for index, (t_ns, priority, _) in enumerate(plan):
        key = (t_ns, priority, index)
        events.append(agenda.at(t_ns, priority, lambda key=key: ran.append(key)))  # type: ignore[misc]
    for event, (_, _, cancelled) in zip(events, plan, strict=True):
        if cancelled:
            agenda.cancel(event)
    drained(agenda, 5)
    kept = [(t_ns, priority, index) for index, (t_ns, priority, cancelled) in enumerate(plan) if not cancelled]
    assert ran == sorted(kept)


def test_time_never_goes_back() -> None:
    clock = Clock()
    assert clock.now_ns == 0
    clock.advance_to(5)
    clock.advance_to(5)
    with pytest.raises(ClockError, match=r"^time would go back from 5 ns to 4 ns; please report this as a bug$"):
        clock.advance_to(4)
    assert clock.now_ns == 5


def test_the_wall_clock_is_read_in_units_and_with_a_zone() -> None:
    first_ns = monotonic_ns()
    assert isinstance(first_ns, int)
    assert monotonic_ns() >= first_ns
    assert isinstance(monotonic_s(), float)
    assert datetime.fromisoformat(wall_time_iso()).utcoffset() == timedelta(0)
