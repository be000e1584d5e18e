"""The engine of a tier: which model, on which hardware, executed by what."""

from __future__ import annotations

import ipaddress
import re
from pathlib import PurePath
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, WithJsonSchema, model_validator

from cosim.scenario.section import Section, problem
from cosim.scenario.units import Duration, PositiveDuration

HEAD_SIZE = 64


class SyntheticModel(Section):
    """A model made on this machine: random weights of the given shape, its own tokenizer, no download."""

    kind: Literal["synthetic"]
    architecture: Literal["qwen2_5_vl", "qwen3", "llama"]
    hidden_size: int = Field(128, ge=HEAD_SIZE, le=8192)
    layers: int = Field(2, ge=1, le=128)
    vision_hidden_size: int = Field(128, ge=HEAD_SIZE, le=4096)
    vision_layers: int = Field(2, ge=1, le=64)
    vocabulary_size: int = Field(2048, ge=1536, le=200_000)
    seed: int = Field(0, ge=0, le=2**31 - 1)

    @model_validator(mode="after")
    def _whole_heads(self) -> SyntheticModel:
        for key in ("hidden_size", "vision_hidden_size"):
            if getattr(self, key) % (2 * HEAD_SIZE):
                raise problem(
                    (key,), f"{getattr(self, key)} does not divide into heads", f"a multiple of {2 * HEAD_SIZE}"
                )
        return self

    @property
    def served_name(self) -> str:
        """Name in requests and results."""
        return f"synthetic-{self.architecture}-{self.hidden_size}x{self.layers}"


class ConfigModel(Section):
    """A published model of which only the config.json is used: its shapes, with random weights or none."""

    kind: Literal["config"]
    config: str = Field(min_length=1, description="A shipped model, such as qwen2.5-vl-3b, or a path to a config.json.")

    @property
    def served_name(self) -> str:
        """Name in requests and results: the folder of a file named config.json, else the file's own."""
        path = PurePath(self.config)
        if path.suffix != ".json":
            return self.config
        return path.parent.name if path.name == "config.json" and path.parent.name else path.stem


def _model_tag(value: Any) -> str:
    if isinstance(value, str):
        return "hub"
    kind = value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)
    return "config" if kind == "config" else "synthetic"


Model = Annotated[
    Annotated[str, Field(min_length=1), Tag("hub")]
    | Annotated[SyntheticModel, Tag("synthetic")]
    | Annotated[ConfigModel, Tag("config")],
    Discriminator(_model_tag),
]

Quantization = Literal["fp16", "fp8", "w8a8", "awq", "w4a16"]


class ProfiledExecutor(Section):
    """vLLM's own scheduler without a forward pass: each step is charged from a profile."""

    kind: Literal["profiled"]
    profile: str = Field(
        min_length=1,
        description="Shipped hardware or a slice of it, such as gh200-96gb/3g.48gb (roofline), or the path of a "
        "profile that `cosim profile` recorded or of a hardware file of your own.",
    )
    quantization: Quantization | None = Field(
        None, description="Of a roofline, fp16 by default; a recorded profile has its own."
    )


Sharing = Literal["isolated", "timeslice"]
Balancing = Literal["round-robin", "least-loaded", "session-affinity"]


HardwareName = Annotated[
    str,
    Field(
        pattern=r"^(auto|cpu|gpu(:\d+)?)$",
        description="`cpu`, `gpu` or `gpu:N`; `auto`: what the installed build of vLLM runs on.",
    ),
]

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = rf"^tcp://({_LABEL}(?:\.{_LABEL})*|\[[0-9A-Fa-f:.]+\]):([0-9]{{1,5}})$"
MOST_HOST_CHARACTERS = 253


def _address(value: str) -> str:
    found = re.fullmatch(_ADDRESS, value)
    if found is None or not 1 <= int(found[2]) <= 65535 or not _is_host(found[1]):
        allowed = "tcp://HOST:PORT, where cosim engine-host listens; HOST: a host name or an IP address, IPv6 in []"
        raise problem((), f"{value!r} is no address", allowed)
    return value


def _is_host(host: str) -> bool:
    """Whether a host is an IP address or a name (RFC 1123 2.1): its last label is no number, or it would be both."""
    try:
        if host.startswith("["):
            ipaddress.IPv6Address(host[1:-1])
        elif host.rpartition(".")[2].isdecimal():
            ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return len(host) <= MOST_HOST_CHARACTERS


class RemoteHardware(Section):
    """Hardware of another machine, on which `cosim engine-host` listens."""

    kind: Literal["remote"]
    address: Annotated[str, AfterValidator(_address), WithJsonSchema({"type": "string", "pattern": _ADDRESS})] = Field(
        description="tcp://HOST:PORT"
    )
    key: str = Field(
        min_length=1,
        description="Secret key file of this client, with engine-host.key beside it, or the directory of both.",
    )
    hardware: HardwareName = "auto"


def _hardware_tag(value: Any) -> str:
    return "remote" if isinstance(value, (dict, RemoteHardware)) else "local"


Hardware = Annotated[
    Annotated[HardwareName, Tag("local")] | Annotated[RemoteHardware, Tag("remote")], Discriminator(_hardware_tag)
]


class _Engine(Section):
    sharing: Sharing = Field(
        "isolated",
        description="What running engines one after another stands for: hardware of their own, or time slices.",
    )
    time_scale: float = Field(1.0, gt=0, le=1e4, description="Multiplies every measured duration.")


class VllmEngine(_Engine):
    """vLLM itself, stepped in an engine host; each step is executed and measured, or charged from a profile."""

    kind: Literal["vllm"]
    model: Model
    hardware: Hardware = "auto"
    executor: ProfiledExecutor | None = Field(None, description="None: steps are executed on `hardware`.")
    args: dict[str, Any] = Field(default_factory=dict, description="vLLM engine arguments, passed unchanged.")
    isolate: bool = Field(False, description="A process of its own instead of one for each piece of hardware.")

    @model_validator(mode="after")
    def _profile_is_the_hardware(self) -> VllmEngine:
        if self.executor is not None and isinstance(self.hardware, str) and self.hardware != "auto":
            what = f"{self.hardware!r} beside an executor, whose profile says on what steps would run"
            raise problem(("hardware",), what, "allowed: auto, or an engine host on another machine")
        return self

    @property
    def served_name(self) -> str:
        """Name of the model in requests and results."""
        return self.model if isinstance(self.model, str) else self.model.served_name


class StubEngine(_Engine):
    """The deterministic double: constant times, no model, one batch of at most `max_num_seqs`."""

    kind: Literal["stub"]
    hardware: HardwareName = "auto"
    frontend: Duration = Field(2_000_000, description="Front end of one request.")
    prefill: PositiveDuration = Field(50_000_000, description="A step that has a prefill in it.")
    decode: PositiveDuration = Field(10_000_000, description="A step of decodes only.")
    egress: Duration = Field(100_000, description="Egress of one chunk.")
    chunk_bytes: int = Field(250, ge=1, le=65_536, description="Size of an SSE event.")
    max_num_seqs: int = Field(8, ge=1, le=65_536)

    @property
    def served_name(self) -> str:
        """Name of the model in requests and results."""
        return "stub"


class ReplayEngine(_Engine):
    """Steps recorded by an earlier run of the same scenario and seed."""

    kind: Literal["replay"]
    hardware: HardwareName = "auto"
    run: str = Field(description="Directory of the run whose steps are repeated.")
    model: str = "replay"

    @property
    def served_name(self) -> str:
        """Name of the model in requests and results."""
        return self.model


Engine = Annotated[VllmEngine | StubEngine | ReplayEngine, Field(discriminator="kind")]
