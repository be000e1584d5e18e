"""A worker in virtual time that serves jobs one at a time, first come first served."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from cosim.clock import Agenda, Event, Priority

Job = TypeVar("Job")


class Fifo(Generic[Job]):
    """Jobs wait until the worker is free; `begin` executes one and says how long that takes, `done` is told at its end."""

    def __init__(self, agenda: Agenda, begin: Callable[[Job, int], int], done: Callable[[Job, int], None]) -> None:
        self._agenda = agenda
        self._begin = begin
        self._done = done
        self._waiting: deque[Job] = deque()
        self._serving: Event | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, job: Job) -> None:
        """Queue a job; it begins at the next call of `start` that finds the worker free."""
        self._waiting.append(job)

    def drop(self, unwanted: Callable[[Job], bool]) -> None:
        """Take out waiting jobs; the one being served is finished."""
        self._waiting = deque(job for job in self._waiting if not unwanted(job))

    def start(self, now_ns: int) -> bool:
        """Begin the next job if the worker is free; whether one began."""
        if self._serving is not None or not self._waiting:
            return False
        job = self._waiting.popleft()
        end_ns = now_ns + self._begin(job, now_ns)
        self._serving = self._agenda.at(end_ns, Priority.STAGE, lambda: self._finish(job, end_ns))
        return True

    def _finish(self, job: Job, now_ns: int) -> None:
        self._serving = None
        self._done(job, now_ns)
