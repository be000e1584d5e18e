"""Runs of a sweep on the machines of a Ray cluster."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosim.bridge.child import Runtime
from cosim.clock import monotonic_s, sleep_s
from cosim.requirements import MissingExtraError
from cosim.scenario.errors import Problem, ScenarioError
from cosim.signals import TerminatedError, noted, uninterrupted
from cosim.sweep.base import Outcome, RunTask
from cosim.sweep.driver import SweepFailedError
from cosim.sweep.ray_worker import Program, Worker, program
from cosim.sweep.run_archive import unpack
from cosim.sweep.work import write_failure

CONNECT_LIMIT_S = 5.0
# A cluster that grows on demand takes minutes to start a machine.
WORKER_LIMIT_S = 300.0
CLOSE_LIMIT_S = 5.0
LOOK_INTERVAL_S = 0.5
# A run may be at the machine that is lost next, too, through no fault of its own.
MOST_TRIES = 3
OBJECT_STORE_BYTES = 200 * 2**20
# Below the temporary folder: cosim-XXXXXXXX/session_DATE_TIME_MICROSECONDS_PID/sockets/plasma_store.
RAY_SOCKET_BYTES = 80


class RayExecutor:
    """Carries out runs on a Ray cluster: one of this machine for the time of the sweep, or the one at `address`.

    Ray places a worker for each CPU, at most `jobs`. Runs that execute steps come after all others, one at a time on
    each machine, which then does nothing else for Ray. A run whose worker or machine is lost is tried again.
    """

    def __init__(self, address: str | None, jobs: int | None) -> None:
        """Raises MissingExtraError without ray, ScenarioError if nothing answers at the address."""
        self._address = address or os.environ.get("RAY_ADDRESS")
        self._jobs = jobs
        if self._address is not None:
            _check_answers(self._address)
        self._ray = _ray_module(own_cluster=self._address is None)

    def execute(self, sweep_directory: Path, tasks: Sequence[RunTask], ended: Callable[[Outcome], bool]) -> None:
        """Carry out every task; see `Executor`. Raises SweepFailedError if the cluster takes no worker."""
        # Ray makes SystemError of what a signal raises while it waits.
        with _connected(self._ray, self._address, self._jobs), noted() as heed:
            for executing in (False, True):
                group = [task for task in tasks if bool(task.executed_on) is executing]
                openings = _Machines(self._ray, group) if executing else _Cpus(self._ray, self._jobs)
                if group and not _Crew(self._ray, openings, sweep_directory, heed).carry_out(group, ended):
                    return


def _ray_module(*, own_cluster: bool) -> Any:
    """Ray, told what it reads when it is loaded."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    if own_cluster:
        # What Ray does on systems where it has no clusters: it listens on the loopback interface alone.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError(["Ray (--executor ray)"], ["ray"]) from error
    return ray


@contextlib.contextmanager
def _connected(ray: Any, address: str | None, jobs: int | None) -> Iterator[None]:
    """Ray joined; a cluster of this machine for the time of the block where there is no address."""
    # The sockets of a cluster lie in its directory, and the path of a socket has 107 bytes at most.
    runtime = Runtime(below_bytes=RAY_SOCKET_BYTES)
    own = {
        "num_cpus": jobs,
        "include_dashboard": False,
        "object_store_memory": OBJECT_STORE_BYTES,
        "_temp_dir": str(runtime.directory),
    }
    on_sigterm = signal.getsignal(signal.SIGTERM)
    # Ray prints what happens in a cluster, with lines of its logs; what matters to a sweep is in its outcomes.
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stdout(stack.enter_context(open(os.devnull, "w"))))
        stack.callback(_leave, ray, runtime, on_sigterm)
        try:
            ray.init(address or "local", log_to_driver=False, logging_level="ERROR", **({} if address else own))
        except SystemExit as error:  # Ray's handler of SIGTERM.
            raise TerminatedError from error
        except (ConnectionError, RuntimeError, ValueError) as error:
            what = f"no Ray cluster can be joined at {address}" if address else "Ray does not start"
            allowed = "on a machine of the cluster: `ray start --address=HOST:PORT` first"
            raise ScenarioError([Problem("--ray-address", None, "", f"{what}: {error}", allowed)]) from error
        signal.signal(signal.SIGTERM, on_sigterm)
        yield


def _leave(ray: Any, runtime: Runtime, on_sigterm: Any) -> None:
    with uninterrupted():
        ray.shutdown()
        runtime.close()
    signal.signal(signal.SIGTERM, on_sigterm)


def _check_answers(address: str) -> None:
    """Ray itself asks for a minute before it says that nobody is there."""
    host, _, port = address.rpartition(":")
    if address == "auto":
        return
    if "//" in address or not host or not port.isdecimal():
        what = f"{address!r} is no address of a Ray cluster"
        raise ScenarioError([Problem("--ray-address", None, "", what, "allowed: auto or HOST:PORT")])
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_LIMIT_S).close()
    except OSError as error:
        what = f"nothing answers at {address}: {error.strerror or error}"
        raise ScenarioError([Problem("--ray-address", None, "", what, "start one with `ray start --head`")]) from error


@dataclass(eq=False, slots=True)
class _Hand:
    """A worker of the cluster; `answer` is what Ray will return next, None where it has nothing to do.

    `since_s`: when that was asked, on the monotonic clock. Without a task the answer is the worker's program.
    """

    actor: Any
    machine: str | None
    answer: Any
    since_s: float
    task: RunTask | None = None

    def is_overdue(self) -> bool:
        """Whether its run has taken longer than it may."""
        limit_s = self.task.time_limit_s if self.task else None
        return limit_s is not None and monotonic_s() - self.since_s > limit_s


class _Cpus:
    """A worker for each CPU of the cluster, wherever Ray puts it."""

    def __init__(self, ray: Any, jobs: int | None) -> None:
        self._ray = ray
        self._jobs = jobs

    def free(self, hands: Sequence[_Hand]) -> Sequence[tuple[str | None, dict[str, Any]]]:
        """Where a worker could be put: the machine, if it must be one, and what is asked of Ray."""
        cpus = int(self._ray.cluster_resources().get("CPU", 0))
        return [(None, {"num_cpus": 1})] * (min(cpus, self._jobs or cpus) - len(hands))


class _Machines:
    """A worker for each machine of the cluster that has what is executed on, with all its CPUs and GPUs.

    Nodes of one host name share hardware, so that one of them counts. Engine hosts elsewhere take one run at a time.
    """

    def __init__(self, ray: Any, tasks: Sequence[RunTask]) -> None:
        self._ray = ray
        executed_on = {hardware for task in tasks for hardware in task.executed_on}
        self._gpu = any(hardware.startswith("gpu") for hardware in executed_on)
        self._elsewhere = any("://" in hardware for hardware in executed_on)

    def free(self, hands: Sequence[_Hand]) -> Sequence[tuple[str | None, dict[str, Any]]]:
        """As of `_Cpus`."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        found: dict[str, dict[str, Any]] = {}
        for node in self._ray.nodes():
            resources, machine = node["Resources"], node["NodeManagerHostname"]
            if node["Alive"] and "CPU" in resources and ("GPU" in resources or not self._gpu):
                found.setdefault(
                    machine,
                    {
                        "num_cpus": resources["CPU"],
                        "num_gpus": resources.get("GPU", 0),
                        "scheduling_strategy": NodeAffinitySchedulingStrategy(node["NodeID"], soft=False),
                    },
                )
        taken = {hand.machine for hand in hands}
        free = [(machine, options) for machine, options in found.items() if machine not in taken]
        return free[: max(1 - len(hands), 0)] if self._elsewhere else free


class _Crew:
    """The workers of a sweep and what each does."""

    def __init__(self, ray: Any, openings: _Cpus | _Machines, sweep_directory: Path, heed: Callable[[], None]) -> None:
        self._ray = ray
        self._openings = openings
        self._directory = sweep_directory
        self._heed = heed
        self._actor = ray.remote(Worker)
        self._program = program()
        self._hands: list[_Hand] = []
        self._waiting: deque[RunTask] = deque()
        self._tries: Counter[int] = Counter()
        self._failed_starts = 0
        self._looked_s = -LOOK_INTERVAL_S
        self._worked_s = monotonic_s()

    def carry_out(self, tasks: Sequence[RunTask], ended: Callable[[Outcome], bool]) -> bool:
        """Carry out the tasks; False if `ended` said to begin no more."""
        self._waiting.extend(tasks)
        go_on = True
        try:
            while self._waiting or self._busy():
                self._hire()
                self._hand_out()
                self._check_anybody_works()
                for outcome in self._ended():
                    if not ended(outcome):
                        go_on = False
                        self._waiting.clear()
            with uninterrupted():
                self._close()
        finally:
            with uninterrupted():
                for hand in tuple(self._hands):
                    self._dismiss(hand)
        return go_on

    def _busy(self) -> list[_Hand]:
        return [hand for hand in self._hands if hand.task is not None]

    def _hire(self) -> None:
        """Ask Ray for as many workers as have something to do and find an opening."""
        wanted = len(self._waiting) - (len(self._hands) - len(self._busy()))
        if wanted <= 0 or monotonic_s() - self._looked_s < LOOK_INTERVAL_S:
            return
        self._looked_s = monotonic_s()
        for machine, options in self._openings.free(self._hands)[:wanted]:
            actor = self._actor.options(**options).remote(sys.argv)
            self._hands.append(_Hand(actor, machine, actor.program.remote(), monotonic_s()))

    def _hand_out(self) -> None:
        """Give tasks to those that have none."""
        for hand in self._hands:
            if hand.answer is None and self._waiting:
                hand.task = self._waiting.popleft()
                hand.answer, hand.since_s = hand.actor.carry_out.remote(hand.task), monotonic_s()

    def _ended(self) -> Iterator[Outcome]:
        """Runs that end within LOOK_INTERVAL_S; their workers begin others before the files are stored."""
        answers = {hand.answer: hand for hand in self._hands if hand.answer is not None}
        if not answers:
            sleep_s(LOOK_INTERVAL_S)
        ready, _ = self._ray.wait(list(answers), timeout=LOOK_INTERVAL_S) if answers else ([], [])
        self._heed()
        for answer in ready:
            hand = answers.pop(answer)
            task, hand.task, hand.answer = hand.task, None, None
            try:
                said = self._ray.get(answer)
            except self._ray.exceptions.RayError as error:
                yield from self._lose(hand, task, error)
                continue
            if task is None:
                self._check_program(said)
            else:
                self._hand_out()
                yield self._store(*said)
        for hand in [hand for hand in self._hands if hand.is_overdue()]:
            yield self._give_up(hand)

    def _store(self, outcome: Outcome, files: bytes | None) -> Outcome:
        """Bring a run's files to their place."""
        try:
            if files is not None:
                unpack(files, self._directory / outcome.task.directory)
        except OSError as error:
            return self._failed(outcome.task, f"its files cannot be stored: {error}", outcome.wall_s)
        return outcome

    def _lose(self, hand: _Hand, task: RunTask | None, error: Exception) -> Iterator[Outcome]:
        """A worker is no more: another gets its run, unless that has been tried often enough."""
        self._dismiss(hand)
        if task is None:
            self._failed_starts += 1
            if self._failed_starts == MOST_TRIES:
                raise SweepFailedError(f"workers do not start on the cluster: {error}")
            return
        self._tries[task.index] += 1
        if self._tries[task.index] < MOST_TRIES:
            self._waiting.appendleft(task)
            return
        yield self._failed(task, f"its worker was lost {MOST_TRIES} times, the last time so: {error}")

    def _give_up(self, hand: _Hand) -> Outcome:
        """End a worker whose run takes too long."""
        task = hand.task
        assert task is not None
        self._dismiss(hand)
        return self._failed(task, f"took longer than its time limit of {task.time_limit_s:g} s (sweep.time_limit)")

    def _failed(self, task: RunTask, text: str, wall_s: float = 0.0) -> Outcome:
        write_failure(self._directory / task.directory, text)
        return Outcome(task, "failed", None, text, wall_s)

    def _check_program(self, other: Program) -> None:
        """Runs of one sweep are made by one cosim. Raises SweepFailedError."""
        mine = self._program
        if other.version != mine.version or (mine.commit and other.commit and other.commit != mine.commit):
            raise SweepFailedError(
                f"{other.node} has cosim {other.version} ({other.commit}) and {mine.node} {mine.version} "
                f"({mine.commit}); install one of them on both, then go on with --resume"
            )
        self._failed_starts = 0

    def _check_anybody_works(self) -> None:
        """Raise SweepFailedError if no worker has come to do anything for long."""
        if self._busy():
            self._worked_s = monotonic_s()
        elif monotonic_s() - self._worked_s > WORKER_LIMIT_S:
            raise SweepFailedError(
                f"no machine of the cluster took a worker for {WORKER_LIMIT_S:g} s; `ray status` says what they do; "
                "go on with --resume"
            )

    def _close(self) -> None:
        """Have the workers end their children."""
        closed = [hand.actor.close.remote() for hand in self._hands if hand.answer is None]
        if closed:
            self._ray.wait(closed, num_returns=len(closed), timeout=CLOSE_LIMIT_S)

    def _dismiss(self, hand: _Hand) -> None:
        """End a worker, whatever it is at; its children end with it."""
        self._hands.remove(hand)
        with contextlib.suppress(self._ray.exceptions.RayError):
            self._ray.kill(hand.actor)
