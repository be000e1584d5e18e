"""A batch shape and how an engine is brought to it: prompts that are prefilled beside sequences that decode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from cosim.profile.records import Grid


class ImageShape(NamedTuple):
    """A picture and the encoder tokens that the engine makes of it."""

    tokens: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Limits:
    """What an engine can take. `shortest_prompt`: the chat template and a word; `graph_sizes`: of CUDA graphs."""

    max_num_seqs: int
    max_num_batched_tokens: int
    max_model_len: int
    kv_cache_tokens: int
    block_size: int
    prefix_caching: bool
    shortest_prompt: int
    images: tuple[ImageShape, ...] = ()
    graph_sizes: tuple[int, ...] = ()

    @property
    def longest_prompt(self) -> int:
        """Of a prompt that is prefilled in one step and answered with two tokens."""
        return min(self.max_num_batched_tokens, self.max_model_len - 2)


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt to prefill: `tokens` in the measured step, `context` computed before; with an image, text besides it."""

    tokens: int
    context: int = 0
    image: ImageShape | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """A point of a grid: the prompts whose prefill it measures; none where it measures a bed's own decode steps.

    `overfull`: the prompts have more tokens than a batch takes, and the first batch is measured; else the last.
    """

    grid: str
    at: tuple[int, ...]
    prompts: tuple[Prompt, ...] = ()
    overfull: bool = False


@dataclass(frozen=True, slots=True)
class Bed:
    """Sequences in decode, `context` tokens each when they begin, and the points that are measured on them.

    `decode`: the point that its steps of decodes alone belong to. `full`: it takes the whole KV cache, and with it
    the room of the documents. `heavy`: it takes long, and the relative noise of long steps is less.
    """

    decodes: int
    context: int
    decode: Point | None
    points: tuple[Point, ...]
    full: bool = False
    heavy: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """The grids that a profile declares, and the beds on which their points are measured, in no order."""

    grids: tuple[Grid, ...]
    beds: tuple[Bed, ...]

    def points(self) -> list[Point]:
        """Every shape, grid by grid and in the order of a grid's axes."""
        order = {grid.name: index for index, grid in enumerate(self.grids)}
        found = {point for bed in self.beds for point in (*bed.points, *filter(None, [bed.decode]))}
        return sorted(found, key=lambda point: (order[point.grid], point.at))

    def documents(self) -> list[int]:
        """Tokens of each document: as many as the beds take, in the order in which they take them."""
        beds = [bed for bed in self.beds if not bed.full]
        most = max((bed.decodes for bed in beds), default=0)
        return [max(bed.context for bed in beds if bed.decodes > index) for index in range(most)]

    def prefix(self) -> int:
        """Tokens of the document that prompts continue."""
        return max((prompt.context for bed in self.beds for point in bed.points for prompt in point.prompts), default=0)
