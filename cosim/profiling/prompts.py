"""Chat completions whose prompts have an asked number of tokens, new to every cache or known to it on purpose."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from cosim.clients.body import chat_body
from cosim.clients.images import SyntheticFrames
from cosim.clients.streams import stream
from cosim.inference.base import Engine, EngineRefusal
from cosim.profile.shapes import ImageShape, Prompt
from cosim.words import WORDS

# Multiples of 28 pixels, of which Qwen2.5-VL makes a token each; about a quarter more from each to the next.
_SIDES = (
    *((4, 3), (5, 4), (6, 4), (6, 5), (8, 5), (8, 6), (10, 6), (10, 8), (12, 8), (13, 9), (15, 10), (16, 12)),
    *((18, 13), (20, 15), (22, 17), (26, 18), (28, 21), (32, 24), (36, 26), (40, 30), (45, 34), (51, 38), (57, 42)),
)
PICTURES = tuple((28 * wide, 28 * high) for wide, high in _SIDES)
PROBE_WORDS = (1, 129)
# The name of the document that prompts continue.
PREFIX = "prefix"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as an engine takes it (`cosim.inference.base.Prompt`)."""

    request_id: str
    prompt_tokens: int
    output_tokens: int
    model: str = field(repr=False)
    text: str = field(repr=False)
    seed: int
    jpeg: bytes | None = field(default=None, repr=False)

    def body(self) -> bytes:
        """The request's JSON."""
        return chat_body(
            model=self.model, text=self.text, output_tokens=self.output_tokens, seed=self.seed, jpeg=self.jpeg
        )


@dataclass(frozen=True, slots=True)
class ImageSettings:
    """How a picture is made: JPEG quality, and how much of it is noise."""

    quality: int = 80
    detail: float = 0.5


class PromptMaker:
    """Makes the prompts of one engine; `measure` first asks the engine how its tokenizer and processor count."""

    def __init__(self, model: str, *, seed: int, images: ImageSettings) -> None:
        self.template_tokens = 0.0
        self.tokens_per_word = 1.0
        self._tokens_around_image = 0
        self._model = model
        self._seed = seed
        self._settings = images
        self._text = stream(seed, "profile-text")
        self._documents: dict[str, list[str]] = {}
        self._frames: dict[tuple[int, int], SyntheticFrames] = {}
        self._asked = 0

    def measure(self, engine: Engine) -> tuple[ImageShape, ...]:
        """Find the tokens of the chat template and of a word; return the pictures that the engine takes.

        Raises EngineRefusal if it takes no text.
        """
        few, many = (self._probe(engine, self._ask(self._words(count), 1)) for count in PROBE_WORDS)
        self.tokens_per_word = (many[0] - few[0]) / (PROBE_WORDS[1] - PROBE_WORDS[0])
        self.template_tokens = few[0] - PROBE_WORDS[0] * self.tokens_per_word
        found = []
        for width, height in PICTURES:
            try:
                prompt_tokens, tokens = self._probe(engine, self._ask(self._words(1), 1, (width, height)))
            except EngineRefusal:
                break
            self._tokens_around_image = prompt_tokens - tokens - self.shortest
            found.append(ImageShape(tokens, width, height))
        return tuple({image.tokens: image for image in found if image.tokens}.values())

    @property
    def shortest(self) -> int:
        """Tokens of a prompt of one word."""
        return round(self.template_tokens + self.tokens_per_word)

    def document(self, name: str, tokens: int, output_tokens: int) -> Asked:
        """The beginning of a text that never changes, so that the prefix cache knows it the second time."""
        return self._ask(self._document(name, self._word_count(tokens)), output_tokens)

    def prompt(self, prompt: Prompt, *, block_size: int, prefix_caching: bool, output_tokens: int) -> Asked:
        """A new text, or one of which the first `context` tokens are those of a document.

        A prefix is cached in whole blocks and never up to a prompt's last token. So a rest of at most a block is
        obtained with the document alone, and a longer one by other words after it.
        """
        if prompt.image is not None:
            words = self._word_count(prompt.tokens - prompt.image.tokens - self._tokens_around_image)
            return self._ask(self._words(words), output_tokens, (prompt.image.width, prompt.image.height))
        count = self._word_count(prompt.context + prompt.tokens)
        if not prefix_caching or not prompt.context:
            return self._ask(self._words(count), output_tokens)
        prefix = math.ceil(prompt.context / self.tokens_per_word)
        known = count if prompt.tokens <= block_size else min(count - 1, prefix)
        return self._ask([*self._document(PREFIX, known), *self._words(count - known)], output_tokens)

    def _word_count(self, tokens: int) -> int:
        return max(1, round((tokens - self.template_tokens) / self.tokens_per_word))

    def _words(self, count: int) -> list[str]:
        return _draw(self._text, count)

    def _document(self, name: str, count: int) -> list[str]:
        words = self._documents.get(name, [])
        if len(words) < count:
            # Drawn anew and not continued: the words do not depend on the lengths that were asked for before.
            words = _draw(stream(self._seed, "profile-document", name), max(count, 2 * len(words)))
            self._documents[name] = words
        return words[:count]

    def _ask(self, words: list[str], output_tokens: int, picture: tuple[int, int] | None = None) -> Asked:
        self._asked += 1
        name = f"profile-{self._asked:06d}"
        jpeg = self._source(*picture).jpeg(self._asked) if picture is not None else None
        return Asked(name, len(words), output_tokens, self._model, " ".join(words), self._asked, jpeg)

    def _source(self, width: int, height: int) -> SyntheticFrames:
        if (width, height) not in self._frames:
            quality, detail = self._settings.quality, self._settings.detail
            self._frames[width, height] = SyntheticFrames(
                width=width, height=height, quality=quality, detail=detail, seed=self._seed, client="profile"
            )
        return self._frames[width, height]

    def _probe(self, engine: Engine, asked: Asked) -> tuple[int, int]:
        """Prompt and encoder tokens of a request that is not served."""
        rendered = engine.render(asked)
        engine.abort(asked.request_id)
        return rendered.prompt_tokens, rendered.encoder_tokens


def _draw(rng: np.random.Generator, count: int) -> list[str]:
    return [WORDS[index] for index in rng.integers(0, len(WORDS), count)]
