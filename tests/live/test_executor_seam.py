"""What cosim relies on in vLLM 0.32, read from its source: a change of it fails here and is named."""

from __future__ import annotations

import ast
import importlib.util
from functools import cache
from pathlib import Path

import pytest

pytestmark = pytest.mark.vllm

OURS = Path(__file__).parents[2] / "cosim" / "inference" / "profiled_executor.py"

# Methods of vLLM's Executor that ours replaces, and that vLLM calls in an engine of one process.
REPLACED = {
    "_init_executor": "self",
    "supports_async_scheduling": "cls",
    "get_kv_cache_specs": "self",
    "determine_available_memory": "self",
    "get_supported_kv_cache_layouts": "self",
    "set_kv_cache_layout": "self layout_name",
    "initialize_from_config": "self kv_cache_configs",
    "compile_or_warm_up_model": "self",
    "supported_tasks": "self",
    "execute_model": "self scheduler_output non_block",
    "sample_tokens": "self grammar_output non_block",
    "check_health": "self",
    "reset_mm_cache": "self",
    "reset_encoder_cache": "self",
    "shutdown": "self",
    "collective_rpc": "self method timeout args kwargs non_block",
}

FIELDS = {
    ("v1/outputs.py", "ModelRunnerOutput"): "req_ids req_id_to_index sampled_token_ids",
    ("v1/core/sched/output.py", "NewRequestData"): (
        "req_id prompt_token_ids prefill_token_ids mm_features sampling_params num_computed_tokens"
    ),
    ("v1/core/sched/output.py", "CachedRequestData"): "req_ids num_computed_tokens num_output_tokens",
    ("v1/core/sched/output.py", "SchedulerOutput"): (
        "scheduled_new_reqs scheduled_cached_reqs num_scheduled_tokens total_num_scheduled_tokens "
        "scheduled_encoder_inputs finished_req_ids preempted_req_ids"
    ),
    ("v1/engine/__init__.py", "EngineCoreOutputs"): "outputs scheduler_stats timestamp weight_version",
    ("v1/metrics/stats.py", "SchedulerStats"): "num_running_reqs num_waiting_reqs kv_cache_usage prefix_cache_stats",
    ("v1/kv_cache_interface.py", "KVCacheSpec"): "block_size",
    ("v1/kv_cache_interface.py", "AttentionSpec"): "num_kv_heads head_size dtype kv_quant_mode",
    ("config/cache.py", "CacheConfig"): "block_size kv_cache_memory_bytes num_gpu_blocks cache_dtype sliding_window",
    ("config/scheduler.py", "SchedulerConfig"): "async_scheduling max_num_seqs max_num_batched_tokens",
}

# What vllm/platforms/cpu.py sets in every configuration; `_make_profiled_config` says which of it a scheduler sees.
SET_FOR_CPUS = """
    cache_config.block_size cache_config.kv_cache_memory_bytes cache_config.mamba_ssm_cache_dtype
    scheduler_config.async_scheduling
    parallel_config.distributed_executor_backend parallel_config.enable_dbo parallel_config.worker_cls
    compilation_config.backend compilation_config.ir_enable_torch_wrap compilation_config.mode
    vllm_config.compilation_config.cudagraph_capture_sizes
    vllm_config.cache_config.enable_prefix_caching vllm_config.scheduler_config.enable_chunked_prefill
    vllm_config.scheduler_config.max_num_batched_tokens
    vllm_config.profiler_config.torch_profiler_dump_cuda_time_total
"""


@cache
def tree(file: str) -> ast.Module:
    package = importlib.util.find_spec("vllm")
    assert package is not None
    assert package.origin is not None
    return ast.parse((Path(package.origin).parent / file).read_text())


def class_of(module: ast.Module, name: str) -> ast.ClassDef:
    found = [node for node in module.body if isinstance(node, ast.ClassDef) and node.name == name]
    assert found, f"vLLM has no class {name} where it was"
    return found[0]


def methods(owner: ast.ClassDef) -> dict[str, ast.FunctionDef]:
    """By name; of overloads the last, which is the method itself."""
    return {node.name: node for node in owner.body if isinstance(node, ast.FunctionDef)}


def arguments(function: ast.FunctionDef) -> str:
    of = function.args
    return " ".join(argument.arg for argument in [*of.posonlyargs, *of.args, *of.kwonlyargs])


def decorators(function: ast.FunctionDef) -> set[str]:
    return {ast.unparse(decorator) for decorator in function.decorator_list}


def assigned(node: ast.AST) -> set[str]:
    """Attributes that a piece of code sets, as they are written."""
    found = set()
    for inner in ast.walk(node):
        targets: list[ast.expr] = []
        if isinstance(inner, ast.Assign):
            targets = inner.targets
        elif isinstance(inner, ast.AnnAssign):
            targets = [inner.target]
        found |= {ast.unparse(target) for target in targets if isinstance(target, ast.Attribute)}
    return found


def test_the_executor_has_the_abstract_methods_that_ours_makes() -> None:
    executor = methods(class_of(tree("v1/executor/abstract.py"), "Executor"))
    abstract = {name for name, function in executor.items() if "abstractmethod" in decorators(function)}
    assert abstract == {"_init_executor", "collective_rpc", "check_health"}


@pytest.mark.parametrize("name", REPLACED)
def test_a_method_of_the_executor_takes_what_ours_takes(name: str) -> None:
    theirs = methods(class_of(tree("v1/executor/abstract.py"), "Executor"))
    ours = methods(class_of(ast.parse(OURS.read_text()), "ProfiledExecutor"))
    assert name in theirs, f"vLLM's Executor has no {name} any more"
    assert (arguments(theirs[name]), arguments(ours[name])) == (REPLACED[name], REPLACED[name])


def test_ours_replaces_no_method_that_vllm_does_not_have() -> None:
    ours = methods(class_of(ast.parse(OURS.read_text()), "ProfiledExecutor"))
    assert set(ours) - {"_sample", "_next"} == set(REPLACED)


@pytest.mark.parametrize(("place", "names"), FIELDS.items(), ids=[name for _, name in FIELDS])
def test_a_structure_has_the_fields_that_are_read(place: tuple[str, str], names: str) -> None:
    file, name = place
    fields = {
        node.target.id
        for node in class_of(tree(file), name).body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    assert not set(names.split()) - fields, f"vLLM's {name} has lost fields"


def test_the_engine_core_steps_through_a_queue_of_batches() -> None:
    core = class_of(tree("v1/engine/core.py"), "EngineCore")
    assert {"self.batch_queue", "self.step_fn", "self.scheduler", "self.model_executor"} <= assigned(core)
    step = methods(core)["step_with_batch_queue"]
    calls = {ast.unparse(node.func) for node in ast.walk(step) if isinstance(node, ast.Call)}
    # It completes at most one batch a call: one pop, of the batch that was appended first.
    queue = {
        "batch_queue.appendleft",
        "batch_queue.pop",
        "self.scheduler.schedule",
        "self.scheduler.update_from_output",
    }
    assert queue <= calls
    pops = [node for node in ast.walk(step) if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".pop")]
    assert len(pops) == 1
    assert not [node for node in ast.walk(step) if isinstance(node, ast.For | ast.While)]
    output = methods(class_of(tree("v1/engine/core_client.py"), "InprocClient"))["get_output"]
    assert "self.engine_core.step_fn()" in ast.unparse(output)


def test_the_scheduler_is_asked_once_for_each_batch() -> None:
    scheduler = methods(class_of(tree("v1/core/sched/scheduler.py"), "Scheduler"))
    assert arguments(scheduler["schedule"]) == "self throttle_prefills"
    cached = ast.unparse(scheduler["_make_cached_request_data"])
    # What a decode is read from: with asynchronous scheduling both numbers count the token in flight.
    assert "num_output_tokens.append(req.num_output_tokens + req.num_output_placeholders)" in cached
    assert "num_computed_tokens.append(req.num_computed_tokens)" in cached


def test_batches_in_flight_are_two_with_asynchronous_scheduling() -> None:
    config = methods(class_of(tree("config/vllm.py"), "VllmConfig"))["max_concurrent_batches"]
    assert "if self.scheduler_config.async_scheduling:" in ast.unparse(config)
    assert "return 2" in ast.unparse(config)


def test_defaults_of_batch_sizes_are_asked_for_by_context_of_use() -> None:
    engine = methods(class_of(tree("engine/arg_utils.py"), "EngineArgs"))
    assert (arguments(engine["get_batch_defaults"]), decorators(engine["get_batch_defaults"])) == (
        "cls world_size",
        {"classmethod"},
    )
    chosen = ast.unparse(engine["_set_default_max_num_seqs_and_batched_tokens_args"])
    assert "default_max_num_batched_tokens, default_max_num_seqs = self.get_batch_defaults(world_size)" in chosen


def test_the_cpu_platform_sets_what_it_did() -> None:
    platform = methods(class_of(tree("platforms/cpu.py"), "CpuPlatform"))["check_and_update_config"]
    assert assigned(platform) == set(SET_FOR_CPUS.split())
