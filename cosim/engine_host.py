"""`cosim engine-host` from start to end: keys, the socket, the runs, and how it ended."""

from __future__ import annotations

from pathlib import Path

from cosim.bridge.errors import BridgeError
from cosim.bridge.keys import CLIENTS, host_keys
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
    from cosim.inference.daemon import Daemon, say

    try:
        daemon = Daemon(address, keys)
    except BridgeError as error:
        raise ListenError(str(error)) from error
    try:
        print(f"engine host listens on {daemon.address}", flush=True)
        names = ", ".join(sorted(keys.authorised().values())) or "nobody yet"
        say(f"clients that may come in: {names} (the public keys in {directory / CLIENTS})")
        daemon.serve()
    finally:
        with uninterrupted():
            daemon.close()
