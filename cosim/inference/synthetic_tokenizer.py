"""The tokenizer of synthetic models: byte-level BPE of a given size in which given words are single tokens."""

from __future__ import annotations

import itertools
import json
import string
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)

# ChatML, as Qwen's models have it; an image part becomes one placeholder, which vLLM expands.
CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
    "{% if m['content'] is string %}{{ m['content'] }}{% else %}{% for c in m['content'] %}"
    "{% if c['type'] in ('image', 'image_url') %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% elif c['type'] == 'text' %}{{ c['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

_TRAINING_FILES = 60
# Tokens that a text can become; more cost time at each start and none of synthetic prompts.
MOST_TRAINED = 8192
_SPACE = "\N{LATIN CAPITAL LETTER G WITH DOT ABOVE}"
Merge = tuple[str, str]


def write(folder: Path, vocabulary_size: int, words: tuple[str, ...], *, images: bool) -> dict[str, int]:
    """Write the tokenizer's files; returns the ids of the special tokens. Raises ValueError if the words do not fit."""
    trained_size = min(vocabulary_size, MOST_TRAINED)
    trained = _train(trained_size)
    base = [token for token, _ in sorted(trained["vocab"].items(), key=lambda item: int(item[1]))]
    merges = [(left, right) for left, right in trained["merges"]]
    alphabet = base[: len(base) - len(merges)]
    merges = _with_words(merges, words, trained_size - len(alphabet))
    # Two merges may make the same token.
    vocabulary = list(dict.fromkeys([*alphabet, *(left + right for left, right in merges)]))
    # Every id that the model can sample must have a token; no text is encoded as these.
    taken = set(vocabulary)
    fillers = itertools.islice((word for word in _letters() if word not in taken), vocabulary_size - len(vocabulary))
    ids = {token: index for index, token in enumerate([*vocabulary, *fillers])}
    (folder / "tokenizer.json").write_text(json.dumps(_tokenizer_json(ids, merges)))
    config: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "additional_special_tokens": list(SPECIAL_TOKENS),
        "model_max_length": 1_000_000,
        "clean_up_tokenization_spaces": False,
    }
    if images:
        config |= {
            "processor_class": "Qwen2_5_VLProcessor",
            "image_token": "<|image_pad|>",
            "video_token": "<|video_pad|>",
            "vision_start_token": "<|vision_start|>",
            "vision_end_token": "<|vision_end|>",
        }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1))
    (folder / "chat_template.jinja").write_text(CHAT_TEMPLATE)
    return {token: ids[token] for token in SPECIAL_TOKENS}


def _letters() -> Iterator[str]:
    """A space and letters, four and more: about as long as what a token of a published vocabulary says."""
    for length in itertools.count(4):
        for letters in itertools.product(string.ascii_lowercase, repeat=length):
            yield _SPACE + "".join(letters)


def _train(vocabulary_size: int) -> dict[str, Any]:
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    files = sorted(str(path) for path in Path(sysconfig.get_path("stdlib")).glob("*.py"))[:_TRAINING_FILES]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train(files, trainer)
    model: dict[str, Any] = json.loads(tokenizer.to_str())["model"]
    return model


def _with_words(trained: list[Merge], words: tuple[str, ...], room: int) -> list[Merge]:
    """As many of the trained merges, in their order, as leave room for those that make each word one token."""
    for word in words:
        if not (word.isascii() and word.isalpha()):
            raise ValueError(f"the word {word!r} cannot be one token: only letters a to z can be joined to one")
    kept = max(0, min(len(trained), room))
    while True:
        merges = trained[:kept] + _merges_for(words, trained[:kept])
        excess = len({left + right for left, right in merges}) - room
        if excess <= 0:
            return merges
        if kept == 0:
            raise ValueError(f"vocabulary_size: too small by {excess} for {len(words)} words that are one token each")
        kept = max(0, kept - excess)


def _merges_for(words: tuple[str, ...], merges: list[Merge]) -> list[Merge]:
    """Merges to append so that each word, alone and after a space, is one token.

    A merge appended later never undoes a word made earlier: BPE applies the earliest merge that fits.
    """
    ranks = {merge: rank for rank, merge in enumerate(merges)}
    for word in words:
        for text in (word, _SPACE + word):
            while len(pieces := _pieces(text, ranks)) > 1:
                ranks[pieces[0], pieces[1]] = len(ranks)
    return list(ranks)[len(merges) :]


def _pieces(text: str, ranks: dict[Merge, int]) -> list[str]:
    """Byte-pair encoding of one pre-token."""
    pieces = list(text)
    while len(pieces) > 1:
        at = min(range(len(pieces) - 1), key=lambda index: ranks.get((pieces[index], pieces[index + 1]), len(ranks)))
        if (pieces[at], pieces[at + 1]) not in ranks:
            break
        pieces[at : at + 2] = [pieces[at] + pieces[at + 1]]
    return pieces


def _tokenizer_json(ids: dict[str, int], merges: list[Merge]) -> dict[str, Any]:
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": ids[token],
                "content": token,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
                "special": True,
            }
            for token in SPECIAL_TOKENS
        ],
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": None,
        "decoder": byte_level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": ids,
            "merges": [list(merge) for merge in merges],
        },
    }
