"""The load balancer in front of a tier's replicas: which of them takes a prompt that has arrived.

It stands for one of HTTP (layer 7): it ends the clients' connections, knows what it sent where, and takes no time. A
choice depends on nothing but the order of arrivals and on what is in the servers, so a replay repeats it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from cosim.clients.base import Question
from cosim.scenario.engines import Balancing
from cosim.serving import Serving


class Balancer(Protocol):
    """A tier's way to an engine."""

    def choose(self, question: Question) -> Serving:
        """The engine that takes a prompt which has arrived now."""


class RoundRobin:
    """One replica after another, by arrivals; an arrival that is tried again counts again."""

    def __init__(self, replicas: Sequence[Serving]) -> None:
        self._replicas = replicas
        self._arrivals = 0

    def choose(self, question: Question) -> Serving:
        """The replica whose turn it is."""
        del question
        chosen = self._replicas[self._arrivals % len(self._replicas)]
        self._arrivals += 1
        return chosen


class LeastLoaded:
    """The replica with the fewest requests in front end, scheduler and egress; of equal ones the first."""

    def __init__(self, replicas: Sequence[Serving]) -> None:
        self._replicas = replicas

    def choose(self, question: Question) -> Serving:
        """The replica with the fewest requests."""
        del question
        return min(self._replicas, key=lambda serving: serving.requests)


class SessionAffinity:
    """The replica that had the session before, which has its prefix; a client without sessions is one session.

    A new session goes to the next replica in turn.
    """

    def __init__(self, replicas: Sequence[Serving]) -> None:
        self._turns = RoundRobin(replicas)
        self._chosen: dict[tuple[str, str | None], Serving] = {}

    def choose(self, question: Question) -> Serving:
        """The session's replica."""
        key = question.client, question.session
        if key not in self._chosen:
            self._chosen[key] = self._turns.choose(question)
        return self._chosen[key]


BALANCERS: dict[Balancing, type[RoundRobin | LeastLoaded | SessionAffinity]] = {
    "round-robin": RoundRobin,
    "least-loaded": LeastLoaded,
    "session-affinity": SessionAffinity,
}
