"""Messages between cosim and an engine host; see `cosim.bridge.messages` for what holds for all.

`wall_*_ns` and `*_ns` that were measured are of the host's monotonic clock, before `time_scale`.
"""

from __future__ import annotations

import msgspec

from cosim.bridge.messages import Failed, MessageRefused, NotNegative, Positive, Stop, Stopped


class SyntheticModel(msgspec.Struct, frozen=True, tag="synthetic"):
    """A model made locally: random weights, a tokenizer trained on the standard library."""

    architecture: str
    hidden_size: int
    layers: int
    vision_hidden_size: int
    vision_layers: int
    vocabulary_size: int
    seed: int


class HubModel(msgspec.Struct, frozen=True, tag="hub"):
    """A path or hub name, passed to vLLM as it is."""

    name: str


class ConfigModel(msgspec.Struct, frozen=True, tag="config"):
    """A model of which its config.json is known (`config`, its text): weights of its shapes at random or none.

    The tokenizer is made locally, so no file is downloaded; ids of special tokens in the config follow it.
    """

    name: str
    config: str


class ProfiledExecutor(msgspec.Struct, frozen=True):
    """vLLM without a forward pass: steps take no time at the host and are charged by whoever asked for them.

    `kv_cache_bytes`: what the named hardware leaves for the KV cache. `defaults`: engine arguments that vLLM would
    choose by itself there; the user's own come before them.
    """

    kv_cache_bytes: Positive
    async_scheduling: bool
    defaults: dict[str, object]


class EngineSpec(msgspec.Struct, frozen=True):
    """One engine: its model and vLLM's engine arguments as the user gave them; `executor` None: vLLM's own."""

    name: str
    model: SyntheticModel | ConfigModel | HubModel
    served_model_name: str
    args: dict[str, object]
    tls: bool
    executor: ProfiledExecutor | None = None


class StartEngines(msgspec.Struct, frozen=True, tag=True):
    """First message to an engine host: the engines that share its piece of hardware (`cpu`, `gpu`, `gpu:0`)."""

    version: int
    hardware: str
    engines: list[EngineSpec]
    seed: int


class EnginesReady(msgspec.Struct, frozen=True, tag=True):
    """Every engine is warm. `resolved`: per engine what vLLM made of the arguments; `versions`: vllm, torch."""

    version: int
    versions: dict[str, str]
    resolved: dict[str, dict[str, object]]


class Render(msgspec.Struct, frozen=True, tag=True):
    """Run the front end for one request: `body` is the JSON of POST /v1/chat/completions."""

    engine: str
    request_id: str
    body: bytes


class Conditions(msgspec.Struct, frozen=True):
    """The machine while something was executed; None where it does not tell.

    `cpu_ns`: CPU time that the process used. `cpu_wait_ns`: time for which the executing thread wanted a CPU and had
    none (a run queue, or a hypervisor that reports what it steals). Clocks and power are read after the end.
    """

    cpu_ns: int
    cpu_wait_ns: int | None = None
    cpu_mhz: float | None = None
    gpu_mhz: int | None = None
    gpu_power_w: float | None = None


class Rendered(msgspec.Struct, frozen=True, tag=True):
    """The front end's measured time and what it made."""

    duration_ns: NotNegative
    wall_start_ns: int
    wall_end_ns: int
    prompt_tokens: NotNegative
    encoder_tokens: NotNegative
    images: NotNegative
    conditions: Conditions | None = None


class RenderRefused(msgspec.Struct, frozen=True, tag=True):
    """The server would answer 4xx: `text` is its error, `duration_ns` its time."""

    duration_ns: NotNegative
    wall_start_ns: int
    wall_end_ns: int
    text: str


class Step(msgspec.Struct, frozen=True, tag=True):
    """Submit rendered requests to the scheduler, abort others, then execute one step."""

    engine: str
    submit: list[str]
    abort: list[str]


class Signature(msgspec.Struct, frozen=True):
    """What a step computed: the shape that its duration depends on.

    A sequence has n tokens in the batch and c computed before. `context_tokens`: sum of c over all sequences,
    `decode_context_tokens`: over those that decode. `prefill_attention`: pairs of query and key of the prefills, the
    sum of n c + n (n + 1) / 2.
    """

    prefill_tokens: int
    decode_sequences: int
    context_tokens: int
    encoder_tokens: int
    images: int
    prefill_sequences: int = 0
    prefill_attention: int = 0
    decode_context_tokens: int = 0


class Tokens(msgspec.Struct, frozen=True):
    """What one request got from a step, and its egress: `n_bytes` on the wire, `egress_ns` measured.

    `text`: what the tokens say, where the engine knows it.
    """

    count: NotNegative
    n_bytes: NotNegative
    finish_reason: str | None
    egress_ns: NotNegative
    cached_tokens: NotNegative
    text: str = ""


class Stepped(msgspec.Struct, frozen=True, tag=True):
    """One executed step. `scheduled`: tokens of each request in the batch. `gauges`: vLLM's own counters after it.

    `in_flight`: asynchronous scheduling has fixed a further batch, which is executed next whatever comes.
    """

    duration_ns: NotNegative
    wall_start_ns: int
    wall_end_ns: int
    signature: Signature
    scheduled: dict[str, int]
    tokens: dict[str, Tokens]
    gauges: dict[str, float]
    conditions: Conditions | None = None
    in_flight: bool = False


EngineRequest = StartEngines | Render | Step | Stop
EngineReply = EnginesReady | Rendered | RenderRefused | Stepped | Stopped | MessageRefused | Failed
