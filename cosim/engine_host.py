"""`cosim engine-host` from start to end: keys, the socket, the runs, and how it ended."""

from __future__ import annotations

import resource
from pathlib import Path

from cosim.bridge.errors import BridgeError
from cosim.bridge.keys import CLIENTS, HostKeys, KeyFileError, host_keys
from cosim.bridge.listener import ADDRESS
from cosim.environment import vllm_hardware
from cosim.requirements import MissingExtraError
from cosim.signals import uninterrupted


class ListenError(Exception):
    """An address that is none, or that cannot be had."""


def serve(address: str, directory: Path) -> None:
    """Serve runs until SIGTERM or Ctrl-C; prints the address that is listened on.

    Raises ListenError, KeyFileError and MissingExtraError before it listens; TerminatedError and KeyboardInterrupt when
    every engine has been stopped.
    """
    found = ADDRESS.fullmatch(address)
    if found is None or (found["port"] != "*" and int(found["port"]) > 65535):
        raise ListenError(
            f"--listen {address!r}: tcp://ADDRESS:PORT, such as tcp://0.0.0.0:5555 (port 0: any free one)"
        )
    if vllm_hardware() is None:
        raise MissingExtraError(["vLLM (cosim engine-host)"], ["cpu"])
    keys = host_keys(directory)
    names = _names(keys)
    _raise_file_limit()
    from cosim.inference.daemon import Daemon, say

    try:
        daemon = Daemon(address, keys)
    except BridgeError as error:
        raise ListenError(str(error)) from error
    try:
        print(f"engine host listens on {daemon.address}", flush=True)
        say(f"clients that may come in: {names} (the public keys in {directory / CLIENTS})")
        daemon.serve()
    finally:
        with uninterrupted():
            daemon.close()


def _names(keys: HostKeys) -> str:
    try:
        return ", ".join(sorted(keys.authorised().values())) or "nobody yet"
    except OSError as error:
        raise KeyFileError(f"{keys.clients}: {error.strerror}; it has the public keys of clients") from error


def _raise_file_limit() -> None:
    """Take as many open files as there may be: each connection needs one, a stranger's too until it is refused."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
