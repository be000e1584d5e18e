"""An engine host that a roofline describes: vLLM has the KV cache and the limits that the roofline computed with."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from cosim.bridge.engine_messages import ConfigModel, EngineSpec
from cosim.inference.vllm import EngineHost
from cosim.profile.models import read_config
from cosim.profile.roofline import Roofline, load_roofline
from tests.live.vllm_host import running_host

pytestmark = pytest.mark.vllm

# A slice and images; limits of the user; memory that the operating system shares.
ENGINES: dict[str, tuple[str, str, str, dict[str, object]]] = {
    "slice": ("gh200-96gb/3g.48gb", "qwen2.5-vl-3b", "awq", {"max_model_len": 8192}),
    "limits": ("h100-sxm-80gb", "llama-3.1-8b", "fp8", {"max_num_seqs": 32, "max_num_batched_tokens": 4096}),
    "jetson": ("jetson-orin-nx-16gb", "qwen3-0.6b", "w8a8", {"gpu_memory_utilization": 0.7, "max_model_len": 4096}),
}


def described(name: str) -> tuple[EngineSpec, Roofline]:
    hardware, model, bits, args = ENGINES[name]
    config, text = read_config(model)
    spec = EngineSpec(name, ConfigModel(config, text), model, args, tls=False)
    roofline = load_roofline(hardware, spec, bits)
    return msgspec.structs.replace(spec, executor=roofline.executor), roofline


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineHost]:
    with running_host(tmp_path_factory.mktemp("host"), *(described(name)[0] for name in ENGINES)) as running:
        yield running


@pytest.mark.parametrize("name", ENGINES)
def test_vllm_has_what_the_roofline_computed_with(host: EngineHost, name: str) -> None:
    resolved, facts = host.wait_ready().resolved[name], described(name)[1].describe()
    arguments = facts["arguments"]
    assert resolved["num_gpu_blocks"] == facts["kv_blocks"]
    for key in ("block_size", "max_num_seqs", "max_num_batched_tokens", "async_scheduling"):
        assert resolved[key] == arguments[key]
    assert resolved["async_scheduling"] is True
    assert resolved["executor"] == "profiled"
