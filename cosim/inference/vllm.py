"""The near side of vLLM engines: starts an engine host, speaks to it wherever it runs, scales what it measured."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from cosim.bridge.child import Child, Runtime
from cosim.bridge.engine_messages import (
    EngineReply,
    EngineSpec,
    EnginesReady,
    HubModel,
    Render,
    Rendered,
    RenderRefused,
    StartEngines,
    Step,
    Stepped,
)
from cosim.bridge.keys import ClientKeys
from cosim.bridge.messages import PROTOCOL_VERSION
from cosim.bridge.remote import RemoteHost
from cosim.inference.base import EngineRefusal, Prompt, RenderResult, StepResult
from cosim.inference.vllm_arguments import check_arguments
from cosim.kept_children import KeptChildren

# The first start compiles byte code and has vLLM inspect each model class in a subprocess.
START_LIMIT_S = 600.0
ENGINE_MODULE = "cosim.inference.host"
SITE_CPU = Path(__file__).resolve().parent / "site_cpu"


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """An engine host on another machine, and who asks: `run` is this run's own, `name` is for people."""

    address: str
    keys: ClientKeys
    run: str
    name: str


class EngineHost:
    """A process with the engines of one piece of hardware, here or on another machine."""

    def __init__(
        self,
        hardware: str,
        engines: Sequence[EngineSpec],
        *,
        seed: int,
        runtime: Runtime,
        log: Path,
        silence_limit_s: float = 120.0,
        role: str | None = None,
        environment: dict[str, str] | None = None,
        elsewhere: Elsewhere | None = None,
        kept: KeptChildren | None = None,
    ) -> None:
        """Start the process and its engines without waiting for them.

        `role` names it in errors. `kept` may fork it, unless it executes steps. Raises EngineArgumentError for an
        argument that vLLM does not have, ChildError if the other machine does not let us in.
        """
        self.silence_limit_s = silence_limit_s
        self._ready: EnginesReady | None = None
        self.child: Child | RemoteHost
        if elsewhere is not None:
            self.child = RemoteHost(
                role or f"vllm {elsewhere.address}",
                elsewhere.address,
                elsewhere.keys,
                run=elsewhere.run,
                name=elsewhere.name,
                runtime=runtime,
                log=log,
                silence_limit_s=silence_limit_s,
            )
        else:
            for spec in engines:
                check_arguments(spec)
            variables = {**host_environment(hardware, engines), **(environment or {})}
            executes = any(spec.executor is None for spec in engines)
            self.child = Child(
                role or f"vllm {hardware}",
                ENGINE_MODULE,
                EngineReply,
                runtime=runtime,
                log=log,
                environment=variables,
                server=kept.server(ENGINE_MODULE, variables) if kept is not None and not executes else None,
            )
        self.child.send(StartEngines(PROTOCOL_VERSION, hardware, list(engines), seed))

    @property
    def elsewhere(self) -> dict[str, Any] | None:
        """What another machine says of itself: address, versions, CPU and GPUs; None on this machine."""
        if isinstance(self.child, Child):
            return None
        attached = self.child.attached
        return {"address": self.child.address, "versions": attached.versions, "machine": attached.machine}

    @property
    def wall_ns(self) -> int:
        """Wall time spent waiting for the child, start included."""
        return self.child.wait_ns

    def wait_ready(self, *, limit_s: float = START_LIMIT_S) -> EnginesReady:
        """Wait until every engine is warm. Raises ChildError."""
        if self._ready is None:
            self._ready = self.child.receive(EnginesReady, limit_s=limit_s)
        return self._ready

    def stop(self, politely: bool = True) -> None:
        """End the child; `politely` lets it answer first. Never raises."""
        self.child.stop(politely=politely)


class VllmEngine:
    """One engine of a host. `time_scale` multiplies every duration that the host measured."""

    def __init__(self, host: EngineHost, name: str, model: str, *, time_scale: float = 1.0) -> None:
        self.name = name
        self.model = model
        self.time_scale = time_scale
        self._host = host
        self._submit: list[str] = []
        self._abort: list[str] = []

    def render(self, prompt: Prompt) -> RenderResult:
        """Run the front end. Raises EngineRefusal for what the server would refuse, ChildError if the host fails."""
        message = Render(self.name, prompt.request_id, prompt.body())
        child = self._host.child
        reply = child.request(message, msgspec.Struct, limit_s=self._host.silence_limit_s)
        if isinstance(reply, RenderRefused):
            raise EngineRefusal(reply.text, self._scaled(reply.duration_ns), "executed")
        if not isinstance(reply, Rendered):
            raise child.fault(f"answered {type(reply).__name__} instead of Rendered")
        return RenderResult(
            duration_ns=self._scaled(reply.duration_ns),
            prompt_tokens=reply.prompt_tokens,
            encoder_tokens=reply.encoder_tokens,
            images=reply.images,
            source="executed",
            wall_start_ns=reply.wall_start_ns,
            wall_end_ns=reply.wall_end_ns,
            conditions=reply.conditions,
        )

    def submit(self, request_id: str) -> None:
        """Give a rendered request to the scheduler; it is sent with the next step."""
        self._submit.append(request_id)

    def abort(self, request_id: str) -> None:
        """Take a request out, rendered or scheduled; it is sent with the next step, before the step is executed."""
        if request_id in self._submit:
            self._submit.remove(request_id)
        self._abort.append(request_id)

    def step(self, at_ns: int) -> StepResult:
        """Execute one step; `at_ns` does not matter here. Raises ChildError if the host fails."""
        message = Step(self.name, self._submit, self._abort)
        self._submit, self._abort = [], []
        reply = self._host.child.request(message, Stepped, limit_s=self._host.silence_limit_s)
        return StepResult(
            duration_ns=self._scaled(reply.duration_ns),
            source="executed",
            egress_source="executed",
            signature=reply.signature,
            scheduled=reply.scheduled,
            tokens={
                request_id: msgspec.structs.replace(tokens, egress_ns=self._scaled(tokens.egress_ns))
                for request_id, tokens in reply.tokens.items()
            },
            gauges=reply.gauges,
            wall_start_ns=reply.wall_start_ns,
            wall_end_ns=reply.wall_end_ns,
            conditions=reply.conditions,
            in_flight=reply.in_flight,
        )

    def _scaled(self, duration_ns: int) -> int:
        return max(1, round(duration_ns * self.time_scale))


def host_environment(hardware: str, engines: Sequence[EngineSpec]) -> dict[str, str]:
    """Variables of an engine host: what the user has set stays, but for what stepping in one process needs."""
    offline = all(not isinstance(spec.model, HubModel) or Path(spec.model.name).exists() for spec in engines)
    defaults = {
        # One thread: where engines alternate, the idle threads of one spin on the cores of the next.
        "OMP_NUM_THREADS": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONUNBUFFERED": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "TORCH_CPP_LOG_LEVEL": "ERROR",
        "VLLM_LOGGING_LEVEL": "WARNING",
        "VLLM_NO_USAGE_STATS": "1",
        **({"HF_HUB_OFFLINE": "1"} if offline else {}),
    }
    environment = {name: value for name, value in defaults.items() if name not in os.environ}
    environment["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(SITE_CPU), os.environ.get("PYTHONPATH")]))
    kind, _, index = hardware.partition(":")
    if kind == "gpu" and index:
        environment["CUDA_VISIBLE_DEVICES"] = index
    return environment
