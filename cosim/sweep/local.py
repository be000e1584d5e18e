"""Runs of a sweep in worker processes on this machine."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
from collections import Counter, deque
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from cosim.clock import monotonic_s
from cosim.signals import unbroken, uninterrupted
from cosim.sweep.base import Outcome, RunTask
from cosim.sweep.work import write_failure
from cosim.sweep.worker import BEGUN

MOST_TRIES = 2
# Until a run that is told to stop has stopped its children and said so in its directory.
INTERRUPT_LIMIT_S = 15.0
OVERDUE_GRACE_S = 3.0
# A process that ends closes its socket a little before.
END_LIMIT_S = 2.0


class LocalExecutor:
    """Up to a number of workers; a run that executes steps has the machine to itself.

    Workers are started when there is work for them and live until the end: of `execute`, or of a `with` block.
    """

    def __init__(self, workers: int) -> None:
        self._most = workers
        self._keeps = False
        self._pool: _Pool | None = None

    def __enter__(self) -> LocalExecutor:
        self._keeps = True
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def execute(self, sweep_directory: Path, tasks: Sequence[RunTask], ended: Callable[[Outcome], bool]) -> None:
        """Carry out every task; see `Executor`. Within one `with` block always of the same sweep."""
        pool = self._pool = self._pool or _Pool(sweep_directory, self._most)
        try:
            _carry_out_all(pool, deque(tasks), ended)
        except BaseException:
            self._pool = None
            with uninterrupted():
                pool.interrupt()
            raise
        if not self._keeps:
            self._close()

    def _close(self) -> None:
        if self._pool is not None:
            with uninterrupted():
                self._pool.close()
            self._pool = None


def _carry_out_all(pool: _Pool, pending: deque[RunTask], ended: Callable[[Outcome], bool]) -> None:
    tries: Counter[int] = Counter()
    while pending or pool.busy:
        while pending and (worker := pool.free_for(pending[0])) is not None:
            worker.begin(pending.popleft())
        pool.wait()
        for worker in pool.busy:
            task = worker.task
            assert task is not None
            outcome = worker.look()
            if outcome is None and worker.how_it_died is not None:
                pool.forget(worker)
                tries[task.index] += 1
                if tries[task.index] < MOST_TRIES:
                    pending.appendleft(task)
                    continue
                text = f"its worker {worker.how_it_died}, {MOST_TRIES} times; see the kernel's log if memory ran out"
                outcome = _failed(pool.sweep_directory, task, text)
            elif outcome is None and worker.is_overdue():
                outcome = worker.give_up(pool.sweep_directory)
                pool.forget(worker)
            if outcome is not None and not ended(outcome):
                pending.clear()


def _failed(sweep_directory: Path, task: RunTask, text: str, wall_s: float = 0.0) -> Outcome:
    write_failure(sweep_directory / task.directory, text)
    return Outcome(task, "failed", None, text, wall_s)


class _Worker:
    """One worker process and the run that it is at."""

    def __init__(self, sweep_directory: Path) -> None:
        with unbroken:
            mine, others = multiprocessing.Pipe()
            words = [sys.executable, "-m", "cosim.sweep.worker", str(others.fileno()), str(os.getpid())]
            self._process = subprocess.Popen(
                [*words, str(sweep_directory), *sys.argv],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[others.fileno()],
                # Ctrl-C reaches the driver alone, which passes it on.
                start_new_session=True,
            )
            others.close()
            self.connection: Connection[Any, Any] = mine
            self.ended_fd = os.pidfd_open(self._process.pid)
        self.task: RunTask | None = None
        self.how_it_died: str | None = None
        self._begun_s: float | None = None

    def begin(self, task: RunTask) -> None:
        """Give it a run. A worker that has died meanwhile is found by `look`."""
        self.task, self._begun_s = task, None
        with contextlib.suppress(OSError):
            self.connection.send(task)

    def look(self) -> Outcome | None:
        """How its run ended, if it has; else None, and `how_it_died` says whether the process is gone."""
        try:
            while self.connection.poll(0):
                message = self.connection.recv()
                if isinstance(message, Outcome):
                    self.task = None
                    return message
                assert message == BEGUN
                self._begun_s = monotonic_s()
        except (EOFError, OSError):
            self.join(monotonic_s() + END_LIMIT_S)
        if self._process.poll() is not None:
            self.how_it_died = self._how()
        return None

    def due_s(self) -> float | None:
        """When its run must have ended, on the monotonic clock; None without a limit or while it waits to begin."""
        if self.task is None or self.task.time_limit_s is None or self._begun_s is None:
            return None
        return self._begun_s + self.task.time_limit_s

    def is_overdue(self) -> bool:
        """Whether its run has taken longer than it may."""
        due_s = self.due_s()
        return due_s is not None and monotonic_s() >= due_s

    def give_up(self, sweep_directory: Path) -> Outcome:
        """End the process and its run, unless that has ended at the last moment."""
        task = self.task
        assert task is not None
        self.interrupt()
        self.join(monotonic_s() + OVERDUE_GRACE_S)
        outcome = self.look()
        if outcome is None:
            text = f"took longer than its time limit of {task.time_limit_s:g} s (sweep.time_limit)"
            outcome = _failed(sweep_directory, task, text, task.time_limit_s or 0.0)
        return outcome

    def interrupt(self) -> None:
        """Have the process stop what it started, say so in the run's directory and end."""
        self._process.terminate()

    def join(self, until_s: float) -> None:
        """Wait until the process has ended, and kill it then: what it has started ends with it."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(max(until_s - monotonic_s(), 0.0))
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Give back what belongs to a process that has ended."""
        self.connection.close()
        os.close(self.ended_fd)

    def _how(self) -> str:
        status = self._process.wait()
        return f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with exit status {status}"


class _Pool:
    """The workers."""

    def __init__(self, sweep_directory: Path, most: int) -> None:
        self.sweep_directory = sweep_directory
        self._most = most
        self._workers: list[_Worker] = []

    @property
    def busy(self) -> list[_Worker]:
        """Those that are at a run."""
        return [worker for worker in self._workers if worker.task is not None]

    def free_for(self, task: RunTask) -> _Worker | None:
        """A worker that may take a run now; the first of those that are free, or a new one."""
        busy = self.busy
        if len(busy) == self._most or (busy and (task.executed_on or (busy[0].task and busy[0].task.executed_on))):
            return None
        for worker in self._workers:
            if worker.task is None:
                return worker
        worker = _Worker(self.sweep_directory)
        self._workers.append(worker)
        return worker

    def wait(self) -> None:
        """Until a worker says something or ends, or a run is overdue."""
        dues = [due_s for worker in self.busy if (due_s := worker.due_s()) is not None]
        sources: list[Any] = [source for worker in self.busy for source in (worker.connection, worker.ended_fd)]
        wait(sources, max(min(dues) - monotonic_s(), 0.0) if dues else None)

    def forget(self, worker: _Worker) -> None:
        """Another takes the place of one that has ended."""
        worker.join(monotonic_s())
        worker.close()
        self._workers.remove(worker)

    def interrupt(self) -> None:
        """End all of them at once, whatever they are at."""
        for worker in self._workers:
            worker.interrupt()
        self._end()

    def close(self) -> None:
        """End workers that have nothing to do."""
        for worker in self._workers:
            worker.connection.close()
        self._end()

    def _end(self) -> None:
        until_s = monotonic_s() + INTERRUPT_LIMIT_S
        for worker in self._workers:
            worker.join(until_s)
            worker.close()
        self._workers.clear()
