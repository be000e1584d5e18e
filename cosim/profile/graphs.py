"""How many tokens a forward pass is padded to, and whether CUDA graphs carry it."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from typing import NamedTuple

from cosim.bridge.engine_messages import Signature
from cosim.profile.records import GraphMode

# vLLM's CUDAGraphMode: how batches of decodes alone run, and how all others do (decode_mode, mixed_mode).
_MODES: dict[str, tuple[GraphMode, GraphMode]] = {
    "NONE": ("eager", "eager"),
    "PIECEWISE": ("piecewise", "piecewise"),
    "FULL": ("full", "full"),
    "FULL_DECODE_ONLY": ("full", "eager"),
    "FULL_AND_PIECEWISE": ("full", "piecewise"),
}
KNOWN_MODES = tuple(_MODES)


class Padding(NamedTuple):
    """Tokens of a forward pass with padding, and how it is launched."""

    tokens: int
    graph_mode: GraphMode


def padding(signature: Signature, *, mode: str, sizes: Sequence[int], max_num_seqs: int) -> Padding:
    """As vLLM 0.32 chooses (CudagraphDispatcher.dispatch, without LoRA, speculative decoding and data parallelism).

    `mode`: name of a CUDAGraphMode. `sizes`: cudagraph_capture_sizes, ascending. A batch is uniform if each sequence
    has one token, be it a decode or the rest of a prompt. Raises KeyError for a mode that vLLM does not have.
    """
    tokens = signature.prefill_tokens + signature.decode_sequences
    uniform, mixed = _MODES[mode]
    if not sizes or tokens > sizes[-1]:
        return Padding(tokens, "eager")
    padded = sizes[bisect.bisect_left(sizes, tokens)]
    if uniform == mixed:
        chosen = uniform
    else:
        # Separate graphs of decodes are captured for up to max_num_seqs sequences (initialize_cudagraph_keys).
        alone = signature.prefill_tokens == signature.prefill_sequences and padded <= max_num_seqs
        chosen = uniform if alone else mixed
    return Padding(tokens, "eager") if chosen == "eager" else Padding(padded, chosen)
