"""A request as an engine sees it, for engines that read no body."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Prompt:
    """`cosim.inference.base.Prompt` without a body."""

    request_id: str
    prompt_tokens: int = 10
    output_tokens: int = 2

    def body(self) -> bytes:
        """Nobody may ask for it."""
        raise AssertionError("a double reads no body")
