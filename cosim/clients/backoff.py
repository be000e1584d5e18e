"""How long the openai SDK waits before it tries a request again."""

from __future__ import annotations

from cosim.clients.streams import stream
from cosim.clock import NS_PER_S

# openai._constants: INITIAL_RETRY_DELAY 0.5 s, MAX_RETRY_DELAY 8 s.
INITIAL_DELAY_NS = NS_PER_S // 2
LONGEST_DELAY_NS = 8 * NS_PER_S
JITTER = 0.25


class Backoff:
    """The waits of one client, drawn from a stream of its own."""

    def __init__(self, seed: int, client: str) -> None:
        self._draws = stream(seed, "retry-backoff", client)

    def delay_ns(self, retries_taken: int) -> int:
        """Time from a failure to the next attempt: 0.5 s, doubled for each retry before it, at most 8 s.

        Up to a quarter less, at random (openai SDK, BaseClient._calculate_retry_timeout).
        """
        longest_ns = min(INITIAL_DELAY_NS << min(retries_taken, 10), LONGEST_DELAY_NS)
        return round(longest_ns * (1 - JITTER * self._draws.random()))
