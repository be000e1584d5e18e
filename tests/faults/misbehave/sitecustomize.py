"""Makes the ns-3 process misbehave: `FAULT=KIND:N` after its N-th reply. On the PYTHONPATH of a test's cosim only."""

from __future__ import annotations

import os
import random
import sys
import time
from typing import Any

GIB = 2**30


def flood(n_bytes: int) -> None:
    """Write lines to the log as fast as it takes them."""
    block = (b"x" * 99 + b"\n") * 10_000
    for _ in range(n_bytes // len(block)):
        os.write(1, block)
    os.write(1, b"the last words of a flood\n")


def install(kind: str, after: int) -> None:
    import zmq

    send = zmq.Socket.send
    sent = 0

    def faulty(self: Any, data: Any, *arguments: Any, **options: Any) -> Any:
        nonlocal sent
        sent += 1
        if sent == after:
            print(f"about to misbehave: {kind}", flush=True)
            data = misbehave(kind, bytes(data))
            if kind == "close":
                self.close(0)
                time.sleep(3600)  # noqa: TID251 - a process of a test that has nothing to do with cosim's time
        outcome = send(self, data, *arguments, **options)
        if sent == after and kind == "exit after":
            self.close(2000)
            self.context.term()
            os._exit(0)
        return outcome

    setattr(zmq.Socket, "send", faulty)  # noqa: B010 - mypy allows no assignment to a method


def misbehave(kind: str, data: bytes) -> bytes:
    """What to send instead of a reply, if anything is sent."""
    dice = random.Random(data)
    name, _, size = kind.partition(" ")
    match name:
        case "garbage":
            return dice.randbytes(dice.randrange(1, 2000))
        case "empty":
            return b""
        case "cut":
            return data[: dice.randrange(len(data))]
        case "long":
            return data + b"\0" * 2**20
        case "other":
            return b"\x81\xa4type\xaeRenderRefused0"
        case "wrong":
            return b"\x81\xa4type\xa7Stopped"
        case "flip":
            place = dice.randrange(min(len(data), 12))
            return data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :]
        case "exit" if size == "before":
            os._exit(0)
        case "status":
            os._exit(7)
        case "raise":
            raise ValueError("the reason")
        case "silent":
            time.sleep(3600)  # noqa: TID251
        case "flood":
            flood(int(size) * GIB)
        case "drown":
            flood(int(size) * GIB)
            os._exit(9)
    return data


if "ns3_scenarios.process" in sys.orig_argv and "FAULT" in os.environ:
    kind, _, after = os.environ["FAULT"].rpartition(":")
    install(kind, int(after))
