"""The file of a recorded profile: JSON Lines, one file per hardware, model, quantisation and engine configuration.

Line 1 is a `Header` (`"kind": "recorded"`). After it come the measurements, in this order:

* `StepLine` (`"kind": "step"`), one for each point of each grid that the header declares: grids in the header's order,
  the points of a grid in row-major order of its axes (the last axis fastest), without those that the grid omits;
* `FrontendLine` (`"kind": "frontend"`), sorted by (images, encoder_tokens, prompt_tokens);
* `EgressLine` (`"kind": "egress"`), `first`, `next`, `last`, one of each.

Each line is one object in UTF-8 and ends with a line feed; unknown keys are errors. Raw samples are kept:
`durations_ns` in ascending order, whole ns, each positive, at least `FEWEST_SAMPLES` of them. `durations_ns` of a step
is the engine core's time for one batch (schedule, forward, sample; with asynchronous scheduling the time between the
ends of two batches).
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from cosim.bridge.engine_messages import ConfigModel, HubModel, Signature, SyntheticModel
from cosim.profile.base import ChunkPosition

FORMAT_VERSION = 1
FEWEST_SAMPLES = 5
POSITIONS: tuple[ChunkPosition, ...] = ("first", "next", "last")

Text = Annotated[str, msgspec.Meta(min_length=1)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
CountFromOne = Annotated[int, msgspec.Meta(ge=1, le=2**53)]
Samples = list[int]
GraphMode = Literal["eager", "piecewise", "full"]


class RecordedHardware(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the engine ran on; None where the machine does not tell or has no such part.

    `name`: how results call it. Clocks and power are those during the recording (medians), the limit as it was set.
    """

    name: Text
    cpu: str | None = None
    cores: int | None = None
    cpu_mhz: float | None = None
    gpu: str | None = None
    mig_slice: str | None = None
    driver: str | None = None
    gpu_mhz: float | None = None
    gpu_memory_mhz: float | None = None
    gpu_power_w: float | None = None
    gpu_power_limit_w: float | None = None


class EngineConfiguration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What vLLM made of the recorded engine's arguments, under the names of its EngineArgs where it has them.

    `cudagraph_mode` is vLLM's CUDAGraphMode by name (`NONE` without graphs), `cudagraph_capture_sizes` numbers of
    tokens. `arguments`: what was given to the engine by hand, as it was given. `omp_threads`: None on a GPU.
    """

    max_model_len: CountFromOne
    max_num_seqs: CountFromOne
    max_num_batched_tokens: CountFromOne
    block_size: CountFromOne
    enable_prefix_caching: bool
    enforce_eager: bool
    cudagraph_mode: str
    cudagraph_capture_sizes: list[CountFromOne]
    omp_threads: CountFromOne | None
    arguments: dict[str, object]


class Grid(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A designed set of batch shapes: every combination of the axes' values but those in `omitted`.

    `axes`: name -> values in ascending order, in the recorder's own words (`decode_sequences`, `context_per_sequence`).
    `omitted`: combinations that the engine cannot take, such as more context than its KV cache holds.
    """

    name: Text
    axes: dict[str, list[int]]
    omitted: list[list[int]] = []


class Recording(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How it was measured, and how quiet the machine was; None where the kernel does not tell.

    `other_load`: share of the CPUs that other programs and a hypervisor used. `cpu_wait_share`: of the executed time,
    waited for a CPU. `step_noise`: robust relative standard deviation of equal steps; `step_drift`: relative change of
    step time from start to end (`cosim.results.hygiene`). `missing`: points of the plan that did not come about.
    """

    seed: int
    repetitions: CountFromOne
    wall_s: float
    steps: CountFromOne
    missing: Count
    other_load: float | None
    cpu_wait_share: float | None
    step_noise: float | None
    step_drift: float | None


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="recorded"):
    """What was measured, on what, with what.

    `created`: ISO 8601. `label` names hardware and quantisation for results. `model` is what an engine host was told.
    `quantization`: a word of the scenario's (`fp8`, `w8a8`, `awq`, `w4a16`), or None where weights are of `dtype`.
    `kernels`: layer -> the kernel that vLLM chose for it, of quantised layers. `weights`: where they came from
    (`random`, `dummy`, `checkpoint`). `versions`: at least vllm and torch.
    """

    format_version: int
    created: Text
    label: Text
    hardware: RecordedHardware
    model: SyntheticModel | ConfigModel | HubModel
    weights: Text
    quantization: str | None
    dtype: Text
    kernels: dict[str, str]
    versions: dict[str, str]
    async_scheduling: bool
    engine: EngineConfiguration
    kv_cache_bytes: CountFromOne
    grids: list[Grid]
    recording: Recording | None = None


class StepLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="step"):
    """One measured batch shape: point `at` of a grid.

    `signature` is the median of its samples' signatures, field by field: context grows while sequences decode.
    `padded_tokens`: tokens that the forward pass was padded to, the batch's own where it was not.
    """

    grid: Text
    at: list[int]
    signature: Signature
    padded_tokens: Count
    graph_mode: GraphMode
    durations_ns: Samples


class FrontendLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="frontend"):
    """The front end of requests of one size."""

    prompt_tokens: Count
    encoder_tokens: Count
    images: Count
    durations_ns: Samples


class EgressLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="egress"):
    """Output processing and SSE encoding of one chunk; `last` also where it is the only one."""

    position: ChunkPosition
    durations_ns: Samples


ProfileLine = Header | StepLine | FrontendLine | EgressLine
