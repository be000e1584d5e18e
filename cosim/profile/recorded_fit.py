"""Whether a recorded profile is of the engine that was asked for, and what an engine host is told to stand for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from cosim.bridge.engine_messages import ConfigModel, EngineSpec, ProfiledExecutor
from cosim.profile.records import Header

# vLLM's own other names of a dtype (ModelConfig.dtype).
_DTYPES = {"half": "float16", "float": "float32"}
_UNQUANTISED = {None, "fp16"}

# Which batches there are and what requests may hold; an engine that is not told otherwise does as the recorded one did.
_SCHEDULING_ARGUMENTS = frozenset(
    {
        "scheduling_policy",
        "enable_chunked_prefill",
        "disable_chunked_mm_input",
        "long_prefill_token_threshold",
        "max_num_partial_prefills",
        "max_long_partial_prefills",
        "limit_mm_per_prompt",
    }
)
# Arguments of which nothing of a batch's time follows: they need not be as in the recording.
FREE_ARGUMENTS = _SCHEDULING_ARGUMENTS | {
    "kv_cache_memory_bytes",
    "gpu_memory_utilization",
    "num_gpu_blocks_override",
    "seed",
    "load_format",
    "download_dir",
    "mm_processor_cache_gb",
    "generation_config",
    "override_generation_config",
    "tokenizer",
    "tokenizer_mode",
    "trust_remote_code",
    "disable_log_stats",
    "enable_log_requests",
    "max_log_len",
    "use_tqdm_on_load",
    "served_model_name",
}
_INHERITED_ARGUMENTS = _SCHEDULING_ARGUMENTS | {"kv_cache_dtype"}
# Arguments that make another model of it, or other tokens of its images: whoever asks must say them too.
_MODEL_ARGUMENTS = ("hf_overrides", "mm_processor_kwargs", "revision")
_CONFIGURED = (
    "max_model_len",
    "max_num_seqs",
    "max_num_batched_tokens",
    "block_size",
    "enable_prefix_caching",
    "enforce_eager",
)


def misfits(
    header: Header, spec: EngineSpec, *, quantization: str | None, vllm: str | None
) -> Iterator[tuple[str, str]]:
    """Every field in which a profile differs from what is asked for: what, allowed. `vllm`: the installed version."""
    yield from _other_model(header, spec)
    same = quantization == header.quantization or {quantization, header.quantization} <= _UNQUANTISED
    if quantization is not None and not same:
        recorded = header.quantization or header.dtype
        yield f"quantization: recorded with {recorded}, asked for {quantization}", f"{recorded}, or leave it out"
    if vllm is not None and _release(header.versions.get("vllm")) != _release(vllm):
        what = f"versions.vllm: recorded with {header.versions.get('vllm')}, installed is {vllm}"
        yield what, "the version of the recording; record it again with `cosim profile`"
    for name, value in spec.args.items():
        if value is not None and name not in FREE_ARGUMENTS:
            yield from _other_argument(header, name, value)
    for name in _MODEL_ARGUMENTS:
        recorded_with = header.engine.arguments.get(name)
        if recorded_with is not None and spec.args.get(name) is None:
            yield f"{name}: recorded with {_short(recorded_with)}, asked for None", f"the same as args.{name}"


def stand_in(header: Header, spec: EngineSpec) -> ProfiledExecutor:
    """What the engine host is told instead of hardware: the recorded engine's configuration as defaults."""
    asked = spec.args.get("kv_cache_memory_bytes")
    engine = header.engine
    defaults: dict[str, object] = {
        "dtype": header.dtype,
        "max_model_len": engine.max_model_len,
        "max_num_seqs": engine.max_num_seqs,
        "max_num_batched_tokens": engine.max_num_batched_tokens,
        "block_size": engine.block_size,
        "enable_prefix_caching": engine.enable_prefix_caching,
    }
    given = {name: value for name, value in engine.arguments.items() if name in _INHERITED_ARGUMENTS}
    return ProfiledExecutor(
        kv_cache_bytes=asked if isinstance(asked, int) else header.kv_cache_bytes,
        async_scheduling=header.async_scheduling,
        defaults=given | defaults,
    )


def _other_model(header: Header, spec: EngineSpec) -> Iterator[tuple[str, str]]:
    recorded, asked = _plain_model(header.model), _plain_model(spec.model)
    for key in [key for key in asked if key in recorded and recorded[key] != asked[key]] or _first_other(
        recorded, asked
    ):
        what = f"model.{key}: recorded with {_short(recorded.get(key))}, asked for {_short(asked.get(key))}"
        yield what, "a profile of the same model"


def _plain_model(model: Any) -> dict[str, Any]:
    """A model as JSON; of a config.json its values count, not how they are written or what the model is called."""
    plain: dict[str, Any] = msgspec.to_builtins(model)
    if isinstance(model, ConfigModel):
        plain = {"type": plain["type"], **msgspec.json.decode(model.config.encode(), type=dict[str, Any])}
    return plain


def _first_other(recorded: dict[str, Any], asked: dict[str, Any]) -> list[str]:
    """The first key that only one of two models has."""
    return [key for key in {**recorded, **asked} if (key in recorded) != (key in asked)][:1]


def _other_argument(header: Header, name: str, value: object) -> Iterator[tuple[str, str]]:
    engine = header.engine
    if name == "dtype":
        recorded: object = header.dtype
        value = _DTYPES.get(str(value), value)
    elif name == "async_scheduling":
        recorded = header.async_scheduling
    elif name in _CONFIGURED:
        recorded = getattr(engine, name)
    elif name == "quantization":
        yield "quantization: is the profile's, not an argument", "leave args.quantization out"
        return
    else:
        recorded = engine.arguments.get(name)
    if recorded != value or isinstance(recorded, bool) != isinstance(value, bool):
        what = f"{name}: recorded with {_short(recorded)}, asked for {_short(value)}"
        yield what, f"{_short(recorded)}, or leave args.{name} out"


def _release(version: str | None) -> str | None:
    """A version without the label of its build (PEP 440, local version identifiers)."""
    return version.partition("+")[0] if version else None


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
