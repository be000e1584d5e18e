"""Padding to CUDA graphs' sizes beside vLLM's own dispatcher, which needs no GPU to decide."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from cosim.bridge.engine_messages import Signature
from cosim.inference import torchvision_shim
from cosim.profile.graphs import KNOWN_MODES, padding

# What vLLM's imports are warned of is not ours to mend.
pytestmark = [pytest.mark.vllm, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

SIZES = (1, 2, 4, 8, 16, 24, 32)


@pytest.mark.parametrize("mode", KNOWN_MODES)
def test_vllm_dispatches_so(mode: str) -> None:
    torchvision_shim.install()
    from vllm.config.compilation import CompilationMode, CUDAGraphMode
    from vllm.v1.cudagraph_dispatcher import CudagraphDispatcher

    max_num_seqs = 12
    compilation = SimpleNamespace(
        mode=CompilationMode.VLLM_COMPILE,
        cudagraph_mode=CUDAGraphMode[mode],
        max_cudagraph_capture_size=SIZES[-1],
        cudagraph_capture_sizes=list(SIZES),
        compile_sizes=[],
        cudagraph_specialize_lora=False,
        is_attention_compiled_piecewise=lambda: True,
    )
    config = SimpleNamespace(
        compilation_config=compilation,
        scheduler_config=SimpleNamespace(max_num_seqs=max_num_seqs),
        speculative_config=None,
        num_speculative_tokens=0,
        lora_config=None,
    )
    dispatcher = CudagraphDispatcher(config)
    dispatcher.initialize_cudagraph_keys(CUDAGraphMode[mode], 1)
    for decodes in range(max_num_seqs + 1):
        for prefills in ((), (1,), (2,), (5, 9), (30,)):
            signature = Signature(sum(prefills), decodes, 0, 0, 0, prefill_sequences=len(prefills))
            tokens = decodes + sum(prefills)
            if tokens and decodes + len(prefills) <= max_num_seqs:
                uniform = tokens == decodes + len(prefills)
                runtime, descriptor = dispatcher.dispatch(tokens, uniform_decode=uniform)
                name = {"NONE": "eager", "PIECEWISE": "piecewise", "FULL": "full"}[runtime.name]
                found = padding(signature, mode=mode, sizes=SIZES, max_num_seqs=max_num_seqs)
                assert found == (descriptor.num_tokens, name), signature
