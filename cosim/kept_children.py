"""Child processes that serve one run after another, where that cannot change a result."""

from __future__ import annotations


class KeptChildren:
    """What a worker keeps between the runs of a sweep; `close` ends it."""

    def close(self) -> None:
        """Stop every child. Never raises; twice is once."""
