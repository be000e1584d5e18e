"""Writes tests/sharegpt.json: conversations in ShareGPT's format, made of the words of synthetic prompts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from cosim.words import WORDS

FILE = Path(__file__).parent / "sharegpt.json"


def text(draws: np.random.Generator, n_words: int) -> str:
    return " ".join(WORDS[index] for index in draws.integers(0, len(WORDS), n_words))


def main() -> None:
    draws = np.random.default_rng(0)
    entries = []
    for number in range(12):
        messages = [{"from": "system", "value": text(draws, 8)}] if number % 4 == 3 else []
        for _ in range(1 + number % 4):
            messages.append({"from": "human", "value": text(draws, int(draws.integers(6, 40)))})
            messages.append({"from": "gpt", "value": text(draws, int(draws.integers(6, 30)))})
        entries.append({"id": f"made-{number}", "conversations": messages})
    FILE.write_text(json.dumps(entries, indent=1) + "\n")


if __name__ == "__main__":
    main()
