"""`cosim engine-host`: engines of this machine for runs on others, one run at a time.

Each connection of a run gets an engine host of its own, the same child process that a local run would start; messages
go through as they are. Only durations travel that matter: what the child reads from its monotonic clock means nothing
on the other machine.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import zmq

from cosim.bridge.child import Child, Runtime
from cosim.bridge.engine_messages import Render, StartEngines, Step
from cosim.bridge.errors import BridgeError, ChildError
from cosim.bridge.keys import HostKeys
from cosim.bridge.listener import MOST_TEXT_CHARACTERS, Arrived, Listener, Lost, Refusals, printable, shortened
from cosim.bridge.log_keeper import HEAD_BYTES
from cosim.bridge.messages import PROTOCOL_VERSION, Failed, Stop, Stopped
from cosim.bridge.remote_messages import Attach, Attached, Beat
from cosim.clock import monotonic_s, wall_time_iso
from cosim.environment import machine, versions, vllm_hardware
from cosim.inference.vllm import EngineHost
from cosim.inference.vllm_arguments import EngineArgumentError
from cosim.signals import noted

BEAT_S = 1.0
BEAT_LOG_BYTES = 64 << 10


def say(text: str) -> None:
    """Write a line for the operator; whoever read it may have gone, and the runs go on."""
    with contextlib.suppress(OSError):
        print(f"{wall_time_iso()} {printable(text)}", file=sys.stderr, flush=True)


@dataclass
class Session:
    """A connection of the run that is being served, its engines, and what could not be sent yet."""

    peer: bytes
    client: str
    attach: Attach
    host: EngineHost | None = None
    waiting: deque[Any] = field(default_factory=deque)
    log_sent_bytes: int = 0

    def new_log(self, *, last: bool = False) -> bytes:
        """What the engines have written since the last call: as much as one beat takes, and of more the end.

        A log that has become large has its end written anew; `last` reads that whatever has been sent of it.
        """
        if self.host is None:
            return b""
        try:
            with self.host.child.log.open("rb") as file:
                size_bytes = file.seek(0, os.SEEK_END)
                start = max(self.log_sent_bytes, size_bytes - BEAT_LOG_BYTES)
                if last and size_bytes > HEAD_BYTES:
                    start = size_bytes - BEAT_LOG_BYTES
                left_out = start - self.log_sent_bytes
                file.seek(start)
                text = file.read(BEAT_LOG_BYTES)
        except OSError:
            return b""
        self.log_sent_bytes = start + len(text)
        return (f"\n[cosim left out {left_out} bytes here]\n".encode() if left_out > 0 else b"") + text

    @property
    def child(self) -> Child | None:
        """The engine host's process."""
        return None if self.host is None else self.host.child if isinstance(self.host.child, Child) else None


class Daemon:
    """Serves runs. Sessions are of one run; whoever asks for another is told who is served."""

    def __init__(self, address: str, keys: HostKeys) -> None:
        """Listen. Raises BridgeError if the address cannot be had."""
        self._runtime = Runtime()
        self._refusals = Refusals(say)
        self._sessions: dict[bytes, Session] = {}
        self._started = 0
        # Read once: what a process without a free file descriptor finds of itself is wrong.
        self._attached = Attached(PROTOCOL_VERSION, versions(), machine())
        self._build = vllm_hardware() or "cpu"
        try:
            self._listener = Listener(self._runtime.context, address, keys, self._refusals)
        except BaseException:
            self._runtime.close()
            raise
        self.address = self._listener.address

    def serve(self) -> None:
        """Serve until Ctrl-C or SIGTERM, which are heeded between two rounds: no message is half sent."""
        beat_s = monotonic_s()
        with noted() as heed_signals:
            while True:
                heed_signals()
                self._wait(until_s=beat_s)
                for arrived in self._listener.arrivals():
                    self._on_message(arrived)
                for session in list(self._sessions.values()):
                    self._carry_replies(session)
                if monotonic_s() >= beat_s:
                    beat_s = monotonic_s() + BEAT_S
                    for session in list(self._sessions.values()):
                        self._beat(session)
                    self._refusals.tell()

    def _wait(self, *, until_s: float) -> None:
        """Until somebody has something to say, or a time."""
        poller = zmq.Poller()
        children = [session.child for session in self._sessions.values() if session.child is not None]
        for source in (*self._listener.sources, *(source for child in children for source in child.sources)):
            poller.register(source, zmq.POLLIN)
        poller.poll(max(0, int((until_s - monotonic_s()) * 1_000)))

    def close(self) -> None:
        """Tell the clients and stop the engines."""
        for session in list(self._sessions.values()):
            self._end(session, "the engine host stops", Failed("the engine host was told to stop"))
        say(f"stopped; {self._refusals}")
        self._listener.close()
        with contextlib.suppress(OSError):
            self._runtime.close()

    def _on_message(self, arrived: Arrived) -> None:
        session = self._sessions.get(arrived.peer)
        match arrived.message:
            case Attach() as attach if session is None:
                self._attach(arrived, attach)
            case StartEngines() as start if session is not None and session.host is None:
                self._start(session, start)
            case (Render() | Step()) as message if session is not None and session.host is not None:
                self._ask(session, message)
            case Stop() if session is not None:
                self._end(session, "its run has ended", Stopped())
            case message:
                self._listener.refuse(arrived, "message out of order", f"{type(message).__name__} is out of order")

    def _attach(self, arrived: Arrived, attach: Attach) -> None:
        served = next(iter(self._sessions.values()), None)
        if served is not None and served.attach.run != attach.run:
            text = f"the engine host is busy with run {served.attach.name!r} of {served.client}; next: try again later"
            self._listener.refuse(arrived, "busy", text, final=True)
            return
        session = Session(arrived.peer, arrived.client, attach)
        self._sessions[arrived.peer] = session
        say(f"serves run {attach.name!r} of {arrived.client}")
        self._put(session, self._attached)

    def _start(self, session: Session, start: StartEngines) -> None:
        hardware = self._build if start.hardware == "auto" else start.hardware
        try:
            if hardware.partition(":")[0] != self._build:
                raise ValueError(f"hardware {hardware!r}, but it has the {self._build.upper()} build of vLLM")
            self._started += 1
            session.host = EngineHost(
                hardware,
                start.engines,
                seed=start.seed,
                runtime=self._runtime,
                log=self._runtime.directory / f"{self._started}.log",
                role=f"the engine host's process for {', '.join(spec.name for spec in start.engines)}",
            )
        except (ValueError, EngineArgumentError, BridgeError, OSError, zmq.ZMQError) as error:
            self._fail(session, str(error))

    def _ask(self, session: Session, message: Render | Step) -> None:
        assert session.host is not None
        try:
            session.host.child.send(message)
        except ChildError as error:
            self._fail(session, f"{error.role} {error.what}")
        except BridgeError as error:
            self._fail(session, str(error))

    def _carry_replies(self, session: Session) -> None:
        try:
            # Handing over a reply can find the client gone, which ends the session and its engines.
            while session.peer in self._sessions and session.child and (reply := session.child.take()) is not None:
                self._put(session, reply)
        except ChildError as error:
            self._fail(session, f"{error.role} {error.what}")

    def _fail(self, session: Session, text: str) -> None:
        """The run cannot go on."""
        text = shortened(text, MOST_TEXT_CHARACTERS)
        self._end(session, f"failed: {text}", Failed(text))

    def _beat(self, session: Session) -> None:
        if session.waiting:
            self._flush(session)
        else:
            self._put(session, Beat(session.new_log()))

    def _put(self, session: Session, message: Any) -> None:
        session.waiting.append(message)
        self._flush(session)

    def _flush(self, session: Session) -> None:
        try:
            while session.waiting and self._listener.send(session.peer, session.waiting[0]):
                session.waiting.popleft()
        except Lost:
            session.waiting.clear()
            self._end(session, "its client is gone")

    def _end(self, session: Session, why: str, last: Stopped | Failed | None = None) -> None:
        """Stop a session's engines, hand over what they last wrote and a last message. Twice is once."""
        if self._sessions.pop(session.peer, None) is None:
            return
        if session.host is not None:
            session.host.stop(politely=isinstance(last, Stopped))
        if last is not None:
            self._put(session, Beat(session.new_log(last=True)))
            self._put(session, last)
        if session.host is not None:
            session.host.child.log.unlink(missing_ok=True)
        say(f"run {session.attach.name!r} of {session.client}: {why}")
