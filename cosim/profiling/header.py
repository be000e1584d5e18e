"""The head of a recorded profile: what was measured, on what, with what."""

from __future__ import annotations

from typing import Any

from cosim.bridge.engine_messages import ConfigModel, EnginesReady, SyntheticModel
from cosim.clock import wall_time_iso
from cosim.environment import versions
from cosim.profile.records import FORMAT_VERSION, EngineConfiguration, Grid, Header, Recording
from cosim.profiling.hardware import recorded_hardware
from cosim.profiling.target import Target

# By what the names of vLLM's schemes and methods say of weights; the first that fits counts.
_FORMATS = (
    ("W8A8Int8", "w8a8"),
    ("W8A8Fp8", "fp8"),
    ("W8A16Fp8", "fp8"),
    ("Fp8", "fp8"),
    ("AWQ", "awq"),
    ("WNA16", "w4a16"),
)


def make_header(
    target: Target,
    ready: EnginesReady,
    *,
    conditions: dict[str, float | None],
    grids: list[Grid],
    recording: Recording | None,
) -> Header:
    """The header of a recording that has ended; `conditions` as `Drive.conditions` gives them."""
    resolved: dict[str, Any] = ready.resolved[target.spec.name]
    hardware = recorded_hardware(target.hardware, conditions)
    quantization = _quantization(target, resolved)
    return Header(
        format_version=FORMAT_VERSION,
        created=wall_time_iso(),
        label=f"{hardware.name}, {quantization or resolved['dtype']}",
        hardware=hardware,
        model=target.model,
        weights=_weights(target),
        quantization=quantization,
        dtype=resolved["dtype"],
        kernels=resolved["kernels"],
        versions={name: text for name, text in (versions() | ready.versions).items() if text is not None},
        async_scheduling=bool(resolved["async_scheduling"]),
        engine=_configuration(target, resolved),
        kv_cache_bytes=resolved["kv_cache_bytes"],
        grids=grids,
        recording=recording,
    )


def _configuration(target: Target, resolved: dict[str, Any]) -> EngineConfiguration:
    return EngineConfiguration(
        max_model_len=resolved["max_model_len"],
        max_num_seqs=resolved["max_num_seqs"],
        max_num_batched_tokens=resolved["max_num_batched_tokens"],
        block_size=resolved["block_size"],
        enable_prefix_caching=bool(resolved["enable_prefix_caching"]),
        enforce_eager=bool(resolved["enforce_eager"]),
        cudagraph_mode=resolved["cudagraph_mode"],
        cudagraph_capture_sizes=resolved["cudagraph_capture_sizes"],
        omp_threads=resolved["threads"],
        arguments=dict(target.spec.args),
    )


def _weights(target: Target) -> str:
    if isinstance(target.spec.model, SyntheticModel):
        return "random"
    dummy = isinstance(target.spec.model, ConfigModel) or target.spec.args.get("load_format") == "dummy"
    return "dummy" if dummy else "checkpoint"


def _quantization(target: Target, resolved: dict[str, Any]) -> str | None:
    """The word that was asked for, else what the kernels say; None for weights of the model's dtype."""
    if target.quantization is not None:
        return None if target.quantization == "fp16" else target.quantization
    if resolved["quantization"] is None:
        return None
    names = " ".join(resolved["kernels"].values())
    return next((word for mark, word in _FORMATS if mark.lower() in names.lower()), str(resolved["quantization"]))
