"""The parent's side of the bridge: start a child, talk to it, watch it, stop it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import zmq

from cosim.bridge.codec import MAX_FRAME_BYTES, bound_messages
from cosim.bridge.errors import BridgeError
from cosim.bridge.forked import ForkedProcess, ForkServer
from cosim.bridge.kept_log import KeptLog
from cosim.bridge.messages import Stop, Stopped
from cosim.bridge.requester import LONGEST_WAIT_S, Requester
from cosim.signals import unbroken

STOP_LIMIT_S = 2.0
# A process that ends closes its socket a little before.
END_LIMIT_S = 2.0
# Longer than what a closed socket has to say may linger.
CLOSE_LIMIT_S = 3.0
RECONNECT_MS = 10
UNIX_PATH_LIMIT = 100
DIRECTORY_PREFIX = "cosim-"
LOCK = "run.lock"


class Runtime:
    """A private (0700) directory for the sockets and temporary files of one run's children; removed by `close`.

    `peers` are those that were started and not stopped: `close` stops them, whoever else knows of them.
    What runs that were killed left behind is removed at the next start. `below_bytes`: length of the longest path of a
    socket below it, for which the temporary folder may be too deep.
    """

    def __init__(self, *, below_bytes: int = 50) -> None:
        base = Path(tempfile.gettempdir())
        if len(str(base)) > UNIX_PATH_LIMIT - below_bytes:
            base = Path("/tmp")
        _remove_abandoned(base)
        self.directory = Path(tempfile.mkdtemp(prefix=DIRECTORY_PREFIX, dir=base))
        # The lock says that the directory is in use; the kernel drops it however this process ends. It has its name
        # only when it is locked, so that another run that starts now never finds it free.
        unnamed = self.directory / f"{LOCK}.new"
        self._lock = os.open(unnamed, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        unnamed.rename(self.directory / LOCK)
        self.context = zmq.Context()
        self.peers: set[Requester] = set()
        self._sockets = 0
        self._closed = False

    def new_address(self) -> str:
        """Address of a socket that nothing uses yet; numbered, because a path of a socket has 107 bytes at most."""
        self._sockets += 1
        return f"ipc://{self.directory}/{self._sockets}.sock"

    def close(self) -> None:
        """Stop the children, close the sockets and remove the directory; twice is once."""
        if self._closed:
            return
        self._closed = True
        for peer in tuple(self.peers):
            peer.stop(politely=False)
        # zmq_ctx_term(3) waits for every socket, for ever if somebody has kept one open.
        ending = threading.Thread(target=self.context.destroy, kwargs={"linger": 0}, daemon=True)
        ending.start()
        ending.join(CLOSE_LIMIT_S)
        shutil.rmtree(self.directory, ignore_errors=True)
        os.close(self._lock)


def _remove_abandoned(base: Path) -> None:
    for lock in base.glob(f"{DIRECTORY_PREFIX}*/{LOCK}"):
        with contextlib.suppress(OSError):
            handle = os.open(lock, os.O_RDWR | os.O_NOFOLLOW)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.fstat(handle).st_uid == os.getuid() and not lock.parent.is_symlink():
                    _remove_directory(lock.parent)
            finally:
                os.close(handle)


def _remove_directory(directory: Path) -> None:
    """The lock goes last, so that what cannot be removed now, by a child that is dying still, is found again."""
    for path in directory.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != LOCK:
            path.unlink()
    (directory / LOCK).unlink()
    directory.rmdir()


class Child(Requester):
    """One child process and the socket to it.

    `module` runs as `python -m MODULE ADDRESS PARENT_PID`; its output goes to `log`. A child is a session of its own,
    so that Ctrl-C reaches cosim alone and a stop reaches the child's own children too. `server`, which has the same
    environment, forks it instead.
    """

    def __init__(
        self,
        role: str,
        module: str,
        reply_type: Any,
        *,
        runtime: Runtime,
        log: Path,
        environment: dict[str, str] | None = None,
        server: ForkServer | None = None,
    ) -> None:
        self._stopped = False
        self._runtime = runtime
        # A signal waits, so that there is a whole child, which `runtime` knows, or none.
        with unbroken:
            socket: zmq.Socket[bytes] = runtime.context.socket(zmq.PAIR)
            super().__init__(role, log, socket, reply_type)
            address = runtime.new_address()
            socket.setsockopt(zmq.LINGER, 0)
            # This side connects, so that messages can be queued before the child has bound its end.
            socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
            bound_messages(socket)
            self._lost = socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
            socket.connect(address)
            self._kept_log = KeptLog(log)
            with self._kept_log.writer() as output:
                forked = None if server is None else server.fork(address, output, runtime.directory)
                self._process: subprocess.Popen[bytes] | ForkedProcess = forked or subprocess.Popen(
                    [sys.executable, "-m", module, address, str(os.getpid())],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, "TMPDIR": str(runtime.directory), **(environment or {})},
                    start_new_session=True,
                )
            self._ended_fd = os.pidfd_open(self._process.pid)
            self._poller = zmq.Poller()
            for source in self.sources:
                self._poller.register(source, zmq.POLLIN)
            runtime.peers.add(self)

    @property
    def pid(self) -> int:
        """Process id of the child."""
        return self._process.pid

    @property
    def sources(self) -> tuple[zmq.Socket[bytes] | int, ...]:
        """What becomes readable when `take` has something to say."""
        return self._socket, self._ended_fd, self._lost

    def take(self) -> Any:
        """The next message if there is one, else None. Raises ChildError as `receive` does."""
        return self._next(0) if self._poller.poll(0) else None

    def _next(self, limit_s: float) -> Any:
        if not self._poller.poll(int(min(limit_s, LONGEST_WAIT_S) * 1_000)):
            raise self.fault(f"has been silent for {limit_s:g} s (process {self.pid} is stopped)")
        # What the child said before it ended comes first.
        if self._socket.poll(0):
            return self._take()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(END_LIMIT_S)
            raise self.fault(self._how_it_ended())
        what = f"closed its socket, or sent more than {MAX_FRAME_BYTES} bytes at once (process {self.pid} is stopped)"
        raise self.fault(what)

    def _catch_up_log(self) -> None:
        self._kept_log.catch_up()

    def _how_it_ended(self) -> str:
        status = self._process.wait()
        self._kept_log.settle()
        if status < 0:
            return f"was killed by {signal.Signals(-status).name} (process {self.pid})"
        return f"ended with exit status {status} (process {self.pid})"

    def stop(self, *, politely: bool) -> None:
        """End the child and everything it started; `politely` lets it finish first. Never raises; twice is once."""
        if self._stopped:
            return
        self._stopped = True
        self._runtime.peers.discard(self)
        if politely and self._process.poll() is None:
            with contextlib.suppress(BridgeError):
                self.request(Stop(), Stopped, limit_s=STOP_LIMIT_S)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(STOP_LIMIT_S)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._kept_log.close()
        os.close(self._ended_fd)
        self._socket.disable_monitor()
        self._lost.close(0)
        self._socket.close(0)
