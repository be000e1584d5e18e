"""The JSON of POST /v1/chat/completions, as the openai SDK sends it to a vLLM server."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence

import numpy as np

from cosim.words import WORDS

Message = dict[str, object]

_IMAGE = "{image}"


def text_of(prompt_tokens: int, rng: np.random.Generator) -> str:
    """A text of so many words; each is one token of a synthetic model."""
    return " ".join(WORDS[index] for index in rng.integers(0, len(WORDS), prompt_tokens))


def chat_body(*, model: str, text: str, output_tokens: int, seed: int, jpeg: bytes | None = None) -> bytes:
    """A streamed chat completion of one message, with a picture if there is one."""
    content: object = text
    if jpeg is not None:
        content = [{"type": "image_url", "image_url": {"url": _IMAGE}}, {"type": "text", "text": text}]
    messages = [{"role": "user", "content": content}]
    body = conversation_body(model=model, messages=messages, output_tokens=output_tokens, seed=seed)
    if jpeg is None:
        return body
    # Base64 needs no escapes: put in last, it is not searched for any. The picture stands before all text.
    return body.replace(_IMAGE.encode(), b"data:image/jpeg;base64," + base64.b64encode(jpeg), 1)


def conversation_body(*, model: str, messages: Sequence[Message], output_tokens: int, seed: int) -> bytes:
    """A streamed chat completion of exactly `output_tokens` tokens.

    `ignore_eos`, `min_tokens` and temperature 1 with a seed are vLLM's own parameters: random weights would else
    stop at once or repeat one token. Text is UTF-8, as httpx writes it (httpx._content.encode_json).
    """
    body = {
        "messages": messages,
        "model": model,
        "max_completion_tokens": output_tokens,
        "min_tokens": output_tokens,
        "ignore_eos": True,
        "temperature": 1.0,
        "seed": seed,
        "stream": True,
    }
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
