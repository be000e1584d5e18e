"""Load for tests of what load does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager


@contextmanager
def busy(n: int) -> Iterator[None]:
    """Busy processes, each a session of its own: a kernel that groups processes by session gives each a share."""
    program = "print('up', flush=True)\nwhile True: pass"
    with ExitStack() as stack:
        processes = []
        for _ in range(n):
            process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, start_new_session=True)
            processes.append(stack.enter_context(process))
            stack.callback(process.kill)
        for process in processes:
            assert process.stdout is not None
            process.stdout.readline()
        yield
