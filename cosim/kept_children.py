"""What a worker keeps between runs: processes that have loaded vLLM or ns-3 and fork a child for each run.

Loading is most of what the start of a child costs, and the same for every run. A child that was forked after it is in
the state in which a process of its own would be, and no run finds anything of the run before; so no result can depend
on whether children were kept. Engines whose steps are executed are measured, so their hosts are started afresh.
"""

from __future__ import annotations

import contextlib
import os

from cosim.bridge.child import Runtime
from cosim.bridge.forked import ForkServer


class KeptChildren:
    """The fork servers of one worker, by what their children run; `close` ends them."""

    def __init__(self) -> None:
        self._servers: dict[tuple[str, frozenset[tuple[str, str]]], ForkServer] = {}
        self._runtime: Runtime | None = None

    def server(self, module: str, environment: dict[str, str]) -> ForkServer | None:
        """A server whose children run a module with variables beside this process's own; waits until it has loaded.

        One that has ended is replaced. None if it could not load, now or before: a child is then started by itself.
        """
        key = module, frozenset({**os.environ, **environment}.items())
        kept = self._servers.get(key)
        if kept is None or (kept.loaded and not kept.usable()):
            if self._runtime is None:
                self._runtime = Runtime()
            kept = self._servers[key] = ForkServer(module, environment, self._runtime.directory)
        return kept if kept.usable() else None

    def close(self) -> None:
        """Stop every child. Never raises; twice is once."""
        for server in self._servers.values():
            server.stop()
        self._servers.clear()
        if self._runtime is not None:
            with contextlib.suppress(OSError):
                self._runtime.close()
            self._runtime = None
