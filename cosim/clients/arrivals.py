"""Times at which a client asks, drawn from a stream of random numbers."""

from __future__ import annotations

import numpy as np

from cosim.scenario.arrivals import ClosedLoop, ConstantArrivals, GammaArrivals, PoissonArrivals, ThinkLaw
from cosim.scenario.units import NS_PER_UNIT

NS_PER_S = NS_PER_UNIT["s"]


class OpenLoop:
    """Arrivals of an open loop from a time on (ns since the epoch).

    Gaps are drawn as numbers of mean 1 and stretched by the rate of the time they pass through, so that a Poisson
    process stays one when its rate changes (time rescaling, e.g. Daley and Vere-Jones 2003, section 7.4).
    """

    def __init__(
        self,
        arrivals: PoissonArrivals | GammaArrivals | ConstantArrivals,
        draws: np.random.Generator,
        start_ns: int,
    ) -> None:
        self._arrivals = arrivals
        self._draws = draws
        self._first = True
        self._last_ns = start_ns
        self._rates = [(0, arrivals.rate), *((change.at, change.rate) for change in arrivals.rate_changes)]

    def next_ns(self) -> int:
        """When the next question is due."""
        left = self._gap()
        self._first = False
        while True:
            while len(self._rates) > 1 and self._rates[1][0] <= self._last_ns:
                del self._rates[0]
            mean_ns = NS_PER_S / self._rates[0][1]
            if len(self._rates) == 1 or left * mean_ns <= self._rates[1][0] - self._last_ns:
                self._last_ns += round(left * mean_ns)
                return self._last_ns
            left -= (self._rates[1][0] - self._last_ns) / mean_ns
            self._last_ns = self._rates[1][0]

    def _gap(self) -> float:
        """A gap of mean 1; a gamma's scale is 1 / shape (vllm.benchmarks.serve.get_request)."""
        if isinstance(self._arrivals, PoissonArrivals):
            return self._draws.exponential(1.0)
        if isinstance(self._arrivals, GammaArrivals):
            return self._draws.gamma(self._arrivals.burstiness, 1 / self._arrivals.burstiness)
        return self._draws.uniform(0, 1) if self._first else 1.0


class ThinkTimes:
    """Times between an answer and the next question, ns."""

    def __init__(self, law: ThinkLaw, draws: np.random.Generator) -> None:
        self._law = law
        self._draws = draws
        self._first = True

    def next_ns(self, mean_ns: int) -> int:
        """A think time; a client's first is random, since equal ones would keep all users in step."""
        first, self._first = self._first, False
        if self._law == "exponential":
            return round(self._draws.exponential(mean_ns))
        return round(self._draws.uniform(0, 1) * mean_ns) if first else mean_ns


class Arrivals:
    """When a client's next question is due, whichever the loop."""

    def __init__(
        self,
        arrivals: PoissonArrivals | GammaArrivals | ConstantArrivals | ClosedLoop,
        draws: np.random.Generator,
        start_ns: int,
    ) -> None:
        self._start_ns = start_ns
        if isinstance(arrivals, ClosedLoop):
            self._mean_ns = arrivals.think_time
            self._thinks: ThinkTimes | None = ThinkTimes(arrivals.think, draws)
        else:
            self._thinks = None
            self._open = OpenLoop(arrivals, draws, start_ns)

    def next_ns(self, answered_ns: int) -> int:
        """Time of the next question, ns since the epoch; `answered_ns`: when the one before had ended."""
        if self._thinks is None:
            return self._open.next_ns()
        return max(answered_ns, self._start_ns) + self._thinks.next_ns(self._mean_ns)
