"""The near side of `cosim.bridge.fork_server`: processes that are forked instead of started."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

import msgspec

from cosim.signals import unbroken

READY = b"ready"
LONGEST_REQUEST_BYTES = 65_536
LOAD_LIMIT_S = 600.0
# A server that has loaded does nothing but fork and reap.
ANSWER_LIMIT_S = 10.0


class Fork(msgspec.Struct, frozen=True, tag=True):
    """Fork a child; the descriptor of its output comes along. Answered by the child with its process id."""

    address: str
    directory: str


class Reap(msgspec.Struct, frozen=True, tag=True):
    """Wait for a child that has ended. Answered with its exit status as `subprocess` has it."""

    pid: int


class ForkServer:
    """A process that forks children which run `module`; see `cosim.bridge.fork_server`.

    Nobody reads what it writes: where it cannot be had, a child that is started by itself says why in its own log.
    """

    def __init__(self, module: str, environment: dict[str, str], directory: Path) -> None:
        """Start loading; `directory` is for temporary files."""
        self.loaded = False
        self._stopped = False
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "cosim.bridge.fork_server", module, str(theirs.fileno()), str(os.getpid())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "TMPDIR": str(directory), **environment},
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self._process.pid

    def usable(self) -> bool:
        """Whether it forks; waits until it has loaded, or has ended without."""
        if not self.loaded and not self._stopped:
            self.loaded = self._answer(LOAD_LIMIT_S) == READY
        if self._process.poll() is not None:
            self.stop()
        return self.loaded and not self._stopped

    def fork(self, address: str, output: int, directory: Path) -> ForkedProcess | None:
        """A child that writes to `output` and keeps temporary files in `directory`; None if the server has failed."""
        answer = self._ask(Fork(address, str(directory)), output)
        try:
            return ForkedProcess(self, int(answer)) if answer else None
        except ProcessLookupError:
            return None

    def reap(self, pid: int) -> int:
        """Exit status of a child that has ended. A server that has failed took its children with it."""
        answer = self._ask(Reap(pid))
        return int(answer) if answer else -signal.SIGKILL

    def stop(self) -> None:
        """End the server and its children. Never raises; twice is once."""
        self._stopped = True
        self._process.kill()
        self._process.wait()
        self._socket.close()

    def _ask(self, request: Fork | Reap, *descriptors: int) -> bytes:
        # A signal waits, so that no answer is taken for that to another request.
        with unbroken, contextlib.suppress(OSError):
            socket.send_fds(self._socket, [msgspec.json.encode(request)], descriptors)
            return self._answer(ANSWER_LIMIT_S)
        self.stop()
        return b""

    def _answer(self, limit_s: float) -> bytes:
        """What the server says next; empty if it has failed, and it is then stopped."""
        try:
            self._socket.settimeout(limit_s)
            answer = self._socket.recv(LONGEST_REQUEST_BYTES)
        except OSError:
            answer = b""
        if not answer:
            self.stop()
        return answer


class ForkedProcess:
    """A child of a fork server, with what is needed of `subprocess.Popen`.

    The server reaps it when it is told to: until then the process id is this child's.
    """

    def __init__(self, server: ForkServer, pid: int) -> None:
        """Raises ProcessLookupError if there is no such process."""
        self.pid = pid
        self._server = server
        self._status: int | None = None
        self._ended_fd = os.pidfd_open(pid)

    def poll(self) -> int | None:
        """Exit status if it has ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        """Exit status when it has ended. Raises subprocess.TimeoutExpired."""
        if self._status is None:
            if not select.select([self._ended_fd], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
            os.close(self._ended_fd)
            self._status = self._server.reap(self.pid)
        return self._status
