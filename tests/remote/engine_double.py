"""An engine host's process without vLLM: constant times, as many tokens as were asked for.

What it does at its first step in place of an answer is the variable ENGINE_DOUBLE: `die`, `hang`, `raise`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any

from cosim.bridge.engine_messages import (
    EngineRequest,
    EnginesReady,
    Render,
    Rendered,
    Signature,
    StartEngines,
    Step,
    Stepped,
    Tokens,
)
from cosim.bridge.errors import MessageError
from cosim.bridge.messages import PROTOCOL_VERSION
from cosim.bridge.peer import serve
from cosim.clock import sleep_s

MS = 1_000_000
# Far from any clock here: a difference of a time there and a time here would be seen at once.
OTHER_CLOCK_NS = 10**17


class EngineDouble:
    """Every engine batches what it has, a token for each request and step."""

    def __init__(self) -> None:
        self._left: dict[str, dict[str, int]] = {}
        self._asked: dict[str, int] = {}
        self._now_ns = OTHER_CLOCK_NS

    def handle(self, message: Any) -> Any:
        match message:
            case StartEngines(engines=engines, hardware=hardware):
                print(f"starts {', '.join(spec.name for spec in engines)} on {hardware}", flush=True)
                self._left = {spec.name: {} for spec in engines}
                if any(spec.served_model_name == "refuses-to-start" for spec in engines):
                    raise RuntimeError("this model cannot be started")
                resolved: dict[str, dict[str, object]] = {spec.name: {"hardware": hardware} for spec in engines}
                return EnginesReady(PROTOCOL_VERSION, {"vllm": "double"}, resolved)
            case Render(_, request_id, body):
                return self._render(request_id, body)
            case Step(engine=engine) if engine in self._left:
                return self._step(message)
        raise MessageError(f"{type(message).__name__} is out of order")

    def _render(self, request_id: str, body: bytes) -> Rendered:
        asked = json.loads(body)
        self._asked[request_id] = asked["max_completion_tokens"]
        words = str(asked["messages"][0]["content"]).split()
        start_ns, self._now_ns = self._now_ns, self._now_ns + MS
        return Rendered(MS, start_ns, self._now_ns, len(words), 0, 0)

    def _step(self, step: Step) -> Stepped:
        left = self._left[step.engine]
        new = {request_id: self._asked[request_id] for request_id in step.submit}
        left |= new
        for request_id in step.abort:
            left.pop(request_id, None)
        self._misbehave()
        tokens = {}
        for request_id in list(left):
            left[request_id] -= 1
            ended = left[request_id] == 0
            tokens[request_id] = Tokens(1, 250, "length" if ended else None, MS // 10, 0)
            if ended:
                del left[request_id]
        duration_ns = (20 if new else 5) * MS
        start_ns, self._now_ns = self._now_ns, self._now_ns + duration_ns
        signature = Signature(len(new), len(tokens) - len(new), len(tokens), 0, 0)
        scheduled = dict.fromkeys(tokens, 1)
        return Stepped(duration_ns, start_ns, self._now_ns, signature, scheduled, tokens, {})

    def _misbehave(self) -> None:
        match os.environ.get("ENGINE_DOUBLE"):
            case "die":
                print("about to die", flush=True)
                os.kill(os.getpid(), signal.SIGKILL)
            case "hang":
                print("about to hang", flush=True)
                sleep_s(3600)
            case "raise":
                raise ValueError("the reason")


if __name__ == "__main__":
    sys.exit(serve(sys.argv[1:], EngineRequest, EngineDouble().handle))
