"""Time: the virtual clock, the agenda of what happens next, and the only readings of the wall clock.

All virtual time is int nanoseconds since the run's epoch. Durations of real work are taken from the host's monotonic
clock; they become virtual time only through the conductor.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000


class ClockError(Exception):
    """Time would have gone back: a fault of cosim or of a network or engine, never of a scenario."""


class Priority(IntEnum):
    """Order of events at one instant: what arrives is seen before what is decided upon it."""

    KNOB = 0
    DELIVERY = 1
    STAGE = 2
    CLIENT = 3


@dataclass(slots=True, eq=False)
class Event:
    """An action at a time. Events at one time run by priority, then in the order in which they were scheduled."""

    t_ns: int
    priority: Priority
    sequence: int
    action: Callable[[], None]
    cancelled: bool = False


class Agenda:
    """The events to come, in their total order (time, priority, sequence)."""

    def __init__(self) -> None:
        # Tuples are compared without a call; no two have the same sequence, so events are not compared.
        self._heap: list[tuple[int, int, int, Event]] = []
        self._sequence = 0

    def at(self, t_ns: int, priority: Priority, action: Callable[[], None]) -> Event:
        """Schedule an action; the event returned can be cancelled."""
        self._sequence += 1
        event = Event(t_ns, priority, self._sequence, action)
        heapq.heappush(self._heap, (t_ns, priority, self._sequence, event))
        return event

    def cancel(self, event: Event | None) -> None:
        """Take an event back; none, or one that has run, is no error."""
        if event is not None:
            event.cancelled = True

    def next_ns(self) -> int | None:
        """Time of the next event; None when there is none."""
        while self._heap and self._heap[0][-1].cancelled:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def pop_until(self, now_ns: int) -> Event | None:
        """Take the next event at or before a time; None when there is none."""
        t_ns = self.next_ns()
        return heapq.heappop(self._heap)[-1] if t_ns is not None and t_ns <= now_ns else None


class Clock:
    """Virtual time, which only moves forward."""

    def __init__(self) -> None:
        self.now_ns = 0

    def advance_to(self, t_ns: int) -> None:
        """Move to a time. Raises ClockError if it lies in the past."""
        if t_ns < self.now_ns:
            raise ClockError(f"time would go back from {self.now_ns} ns to {t_ns} ns; please report this as a bug")
        self.now_ns = t_ns


def monotonic_ns() -> int:
    """The host's monotonic clock, for measuring real work."""
    return time.perf_counter_ns()


def monotonic_s() -> float:
    """The host's monotonic clock in seconds, for waits and progress."""
    return time.monotonic()


def sleep_s(seconds: float) -> None:
    """Wait on the wall clock."""
    time.sleep(seconds)


def process_cpu_ns() -> int:
    """CPU time that this process has used, all threads together, to the scheduler's ns."""
    return time.process_time_ns()


def thread_cpu_ns() -> int:
    """CPU time that the calling thread has used, to the scheduler's ns."""
    return time.thread_time_ns()


def wall_time_iso() -> str:
    """Date and time of day in UTC, ISO 8601, for the manifest."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
