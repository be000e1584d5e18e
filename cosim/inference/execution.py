"""How vLLM executes a model: kernels of quantised layers, CUDA graphs, memory of the KV cache, threads."""

from __future__ import annotations

import re
from typing import Any

# Where the methods and schemes of vLLM's quantised layers keep what multiplies.
_KERNEL_ATTRIBUTES = ("kernel", "fp8_linear")
_NOT_QUANTISED = re.compile("Unquantized|KVCache")


def execution(llm: Any) -> dict[str, object]:
    """What a recorded profile says of the engine beside its arguments; `threads` None on a GPU.

    `kernels`: layer, with `*` for its number, to the kernel that vLLM chose for it. `kv_cache_bytes`: of all layers.
    """
    import torch

    config = llm.vllm_config
    compilation, cache = config.compilation_config, llm.engine_core.engine_core.scheduler.kv_cache_config
    return {
        "cudagraph_mode": compilation.cudagraph_mode.name if compilation.cudagraph_mode else "NONE",
        "cudagraph_capture_sizes": sorted(compilation.cudagraph_capture_sizes or ()),
        "kernels": llm.apply_model(kernels)[0],
        "kv_cache_bytes": sum(int(tensor.size) for tensor in cache.kv_cache_tensors),
        "threads": torch.get_num_threads() if config.device_config.device_type == "cpu" else None,
    }


def kernels(model: Any) -> dict[str, str]:
    """Kernels of a model's quantised layers; layers of one name and different kernels list them all."""
    found: dict[str, set[str]] = {}
    for name, layer in model.named_modules():
        method = getattr(layer, "quant_method", None)
        if method is not None and not _NOT_QUANTISED.search(type(method).__name__):
            found.setdefault(re.sub(r"\.\d+\.", ".*.", name), set()).add(_kernel(layer, method))
    return {name: ", ".join(sorted(names)) for name, names in sorted(found.items())}


def _kernel(layer: Any, method: Any) -> str:
    """`scheme/kernel` where vLLM keeps them apart, else the method that does both."""
    scheme = getattr(layer, "scheme", None)
    parts = [method] if scheme is None else [scheme]
    parts += [
        kernel for part in parts[:1] for name in _KERNEL_ATTRIBUTES if (kernel := getattr(part, name, None)) is not None
    ]
    return "/".join(type(part).__name__ for part in parts)
