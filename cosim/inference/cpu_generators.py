"""Seeded sampling with chunked prefill on CPU, which vLLM 0.32 ends with an error.

vLLM samples after every chunk of a prompt, discards that token for all chunks but the last, and takes the request's
generator back by an offset, so that the tokens of a seeded request do not depend on how its prompt was cut. Offsets are
a property of CUDA's generators: on CPU the call raises `RuntimeError: CPU Generator does not use offset`, and the
engine is lost. Here the states of those generators are kept before sampling and restored after it, to the same end.
"""

from __future__ import annotations

from typing import Any


def mend(llm: Any) -> None:
    """Replace the offset by saved states, in this engine, where its model runner is the CPU's."""
    runner: Any = getattr(getattr(llm.model_executor, "driver_worker", None), "model_runner", None)
    if getattr(getattr(runner, "device", None), "type", None) != "cpu" or not hasattr(runner, "discard_request_mask"):
        return
    sample, bookkeeping = runner._sample, runner._bookkeeping_sync

    def sample_and_restore(*args: Any, **kwargs: Any) -> Any:
        batch = runner.input_batch
        discarded = runner.discard_request_mask.np
        states = {index: made.get_state() for index, made in batch.generators.items() if discarded[index]}
        result = sample(*args, **kwargs)
        for index, state in states.items():
            batch.generators[index].set_state(state)
        return result

    def keep_books_without_offsets(*args: Any, **kwargs: Any) -> Any:
        batch = runner.input_batch
        generators, batch.generators = batch.generators, {}
        try:
            return bookkeeping(*args, **kwargs)
        finally:
            batch.generators = generators

    runner._sample = sample_and_restore
    runner._bookkeeping_sync = keep_books_without_offsets
