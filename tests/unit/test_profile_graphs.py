"""Padding to CUDA graphs' sizes; tests/live compares with vLLM's dispatcher."""

from __future__ import annotations

from cosim.bridge.engine_messages import Signature
from cosim.profile.graphs import Padding, padding

SIZES = (1, 2, 4, 8, 16, 24, 32)


def batch(decodes: int, *prefills: int) -> Signature:
    return Signature(sum(prefills), decodes, 0, 0, 0, prefill_sequences=len(prefills))


def padded(signature: Signature, mode: str, *, max_num_seqs: int = 64) -> Padding:
    return padding(signature, mode=mode, sizes=SIZES, max_num_seqs=max_num_seqs)


def test_a_batch_is_padded_to_the_next_size_and_not_beyond_the_last() -> None:
    assert padded(batch(9), "PIECEWISE") == (16, "piecewise")
    assert padded(batch(16), "PIECEWISE") == (16, "piecewise")
    assert padded(batch(33), "PIECEWISE") == (33, "eager")
    assert padded(batch(9), "NONE") == (9, "eager")
    assert padding(batch(9), mode="FULL", sizes=(), max_num_seqs=8) == (9, "eager")


def test_decodes_alone_have_graphs_of_their_own() -> None:
    assert padded(batch(3), "FULL_DECODE_ONLY") == (4, "full")
    assert padded(batch(3, 6), "FULL_DECODE_ONLY") == (9, "eager")
    assert padded(batch(3, 6), "FULL_AND_PIECEWISE") == (16, "piecewise")
    # The last token of a prompt is a sequence of one token.
    assert padded(batch(3, 1), "FULL_AND_PIECEWISE") == (4, "full")
    assert padded(batch(9), "FULL_AND_PIECEWISE", max_num_seqs=12) == (16, "piecewise")
