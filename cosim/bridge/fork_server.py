"""A process that has loaded what children of one kind need alike, and forks each of them.

`python -m cosim.bridge.fork_server MODULE SOCKET PARENT_PID`, started by `cosim.bridge.forked.ForkServer`. MODULE has
`prepare()`, which loads, and `main()`, which a child runs. Nothing of a run reaches this process, so that each child
begins in the state in which a process of its own would begin after `prepare`, and what a run leaves ends with it.
"""

from __future__ import annotations

import gc
import importlib
import os
import socket
import sys
import tempfile
import traceback
from typing import Any

import msgspec

from cosim.bridge.forked import LONGEST_REQUEST_BYTES, READY, Fork, Reap
from cosim.bridge.peer import die_with_parent


def serve(module: Any, control: socket.socket) -> None:
    """Fork and reap until the other side closes its socket."""
    decoder = msgspec.json.Decoder(Fork | Reap)
    control.send(READY)
    while True:
        data, descriptors, _, _ = socket.recv_fds(control, LONGEST_REQUEST_BYTES, 1)
        if not data:
            return
        request = decoder.decode(data)
        if isinstance(request, Reap):
            _, status = os.waitpid(request.pid, 0)
            control.send(str(os.waitstatus_to_exitcode(status)).encode())
            continue
        (output,) = descriptors
        if os.fork() == 0:
            _live(module, control, output, request)
        os.close(output)


def _live(module: Any, control: socket.socket, output: int, request: Fork) -> None:
    """What a child does: as if it had been started with this output, this TMPDIR and these arguments."""
    status = 1
    try:
        # Before the other side knows of this process, so that it can end all that belongs to it.
        os.setsid()
        control.send(str(os.getpid()).encode())
        control.close()
        for descriptor in (1, 2):
            os.dup2(output, descriptor)
        os.close(output)
        os.environ["TMPDIR"] = request.directory
        tempfile.tempdir = None
        sys.argv = [module.__name__, request.address, str(os.getppid())]
        status = module.main()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def main() -> None:
    """Load, then serve."""
    name, descriptor, parent_pid = sys.argv[1:]
    die_with_parent(int(parent_pid))
    module = importlib.import_module(name)
    module.prepare()
    if len(os.listdir("/proc/self/task")) > 1:
        # A child would have one thread, and for ever the locks that the others held.
        sys.exit(f"{name} has started threads, which no child of a fork would have")
    sys.stdout.flush()
    gc.collect()
    # Children share these objects' memory as long as nobody writes to it, which a collection would.
    gc.freeze()
    serve(module, socket.socket(fileno=int(descriptor)))


if __name__ == "__main__":
    main()
