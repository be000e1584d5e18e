"""Which batch shapes a recorded profile is made of: grids over what an engine can be brought to do.

A shape is brought about in the scheduler's own way: `decodes` requests are put into decode at some context, then
prompts are added whose prefill makes the step that is measured.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from cosim.profile.records import Grid

DECODE_STEPS = 4
# Few, so that the context has not grown much when the last of them is measured.
MOST_POINTS_OF_A_BED = 5
# Tokens that each sequence of a bed gets, with room for prompts that take several steps.
BED_TOKENS = DECODE_STEPS + 4 * MOST_POINTS_OF_A_BED
# Of the KV cache, so that no sequence is preempted while a shape is measured.
KV_SHARE = 0.95
CONTEXT_FACTOR = 4.0
# Words that are asked of an image.
IMAGE_TEXT_TOKENS = 24
DECODE = "decode"


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


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt to prefill: `tokens` in the measured step, `context` computed before; with an image, text besides it."""

    tokens: int
    context: int = 0
    image: ImageShape | None = None


@dataclass(frozen=True, slots=True)
class Point:
    """A point of a grid: the prompts whose prefill it measures; none where it measures a bed's own decode steps."""

    grid: str
    at: tuple[int, ...]
    prompts: tuple[Prompt, ...] = ()

    @property
    def images(self) -> int:
        """Images that the step encodes."""
        return sum(prompt.image is not None for prompt in self.prompts)


@dataclass(frozen=True, slots=True)
class Bed:
    """Sequences in decode, `context` tokens each when they begin, and the points that are measured on them.

    `decode`: the point that its steps of decodes alone belong to.
    """

    decodes: int
    context: int
    decode: Point | None
    points: tuple[Point, ...]


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


def make_plan(limits: Limits) -> Plan:
    """The shapes for an engine: decode, prefill, both together, with images where the model takes them."""
    decodes = {
        (size, context): Point(DECODE, (size, wished))
        for size in decode_sizes(limits)
        for wished, context in _decode_contexts(limits, size)
    }
    axes: tuple[str, ...] = ("decode_sequences", "context_per_sequence")
    grids = [_declare(DECODE, axes, (point.at for point in decodes.values()))]
    members: dict[tuple[int, int], list[Point]] = {bed: [] for bed in decodes}
    for axes, placed in (*_prefill(limits), *_mixed(limits), *_images(limits)):
        kept = [(bed, point) for bed, point in placed if _fits(limits, bed, point)]
        if kept:
            grids.append(_declare(kept[0][1].grid, axes, (point.at for _, point in kept)))
        for bed, point in kept:
            members.setdefault(bed, []).append(point)
    beds = []
    for (size, context), points in members.items():
        # Nothing keeps points without decodes together; apart, each round mixes them among the others.
        most = MOST_POINTS_OF_A_BED if size else 1
        for first in range(0, max(1, len(points)), most):
            beds.append(Bed(size, context, decodes.get((size, context)), tuple(points[first : first + most])))
    return Plan(tuple(grids), tuple(beds))


Placed = tuple[tuple[str, ...], list[tuple[tuple[int, int], Point]]]


def _prefill(limits: Limits) -> Iterator[Placed]:
    longest = _longest_prompt(limits)
    alone = [
        ((0, 0), Point("prefill", (tokens,), (Prompt(tokens),)))
        for tokens in geometric(limits.shortest_prompt, longest, math.sqrt(2))
    ]
    yield ("prefill_tokens",), alone
    continued = [
        ((0, 0), Point("continued_prefill", (tokens, context), (Prompt(tokens, context),)))
        for tokens in geometric(1, longest, 2)
        for context in _prefix_lengths(limits)
    ]
    yield ("prefill_tokens", "context_tokens"), continued
    several = [
        ((0, 0), Point("prefills", (sequences, tokens), (Prompt(tokens),) * sequences))
        for sequences in _octaves(2, limits.max_num_seqs)
        for tokens in geometric(limits.shortest_prompt, longest, 4)
        if sequences * tokens <= limits.max_num_batched_tokens
    ]
    yield ("prefill_sequences", "tokens_per_sequence"), several


def _mixed(limits: Limits) -> Iterator[Placed]:
    points = []
    for decodes in _octaves(1, limits.max_num_seqs - 1):
        contexts = _decode_contexts(limits, decodes)
        for wished, context in _two(contexts):
            for tokens in geometric(limits.shortest_prompt, _longest_prompt(limits), 3):
                # What the decodes leave of the batch, where that is less.
                prompt = Prompt(min(tokens, limits.max_num_batched_tokens - decodes))
                points.append(((decodes, context), Point("mixed", (decodes, wished, tokens), (prompt,))))
    yield ("decode_sequences", "context_per_sequence", "prefill_tokens"), points


def _images(limits: Limits) -> Iterator[Placed]:
    alone = [
        ((0, 0), Point("images", (count, image.tokens), (_ask(image),) * count))
        for count in _octaves(1, limits.max_num_seqs)
        for image in limits.images
        if count * _ask(image).tokens <= limits.max_num_batched_tokens
    ]
    mixed = []
    for decodes in _octaves(1, limits.max_num_seqs - 1):
        contexts = _decode_contexts(limits, decodes)
        for wished, context in _two(contexts)[-1:]:
            for image in limits.images:
                at = (decodes, wished, image.tokens)
                mixed.append(((decodes, context), Point("mixed_images", at, (_ask(image),))))
    yield ("images", "tokens_per_image"), alone
    yield ("decode_sequences", "context_per_sequence", "tokens_per_image"), mixed


def _ask(image: ImageShape) -> Prompt:
    return Prompt(image.tokens + IMAGE_TEXT_TOKENS, 0, image)


def _longest_prompt(limits: Limits) -> int:
    return min(limits.max_num_batched_tokens, limits.max_model_len - 1)


def decode_sizes(limits: Limits) -> list[int]:
    """Numbers of decoding sequences: two to an octave, every CUDA graph's size and the one after it, the most."""
    most = limits.max_num_seqs
    between = {3 * size // 2 for size in _octaves(2, most)}
    graphs = {near for size in limits.graph_sizes for near in (size, size + 1)}
    return sorted(size for size in {*_octaves(1, most), *between, *graphs, most} if 1 <= size <= most)


def _decode_contexts(limits: Limits, decodes: int) -> list[tuple[int, int]]:
    """Contexts per sequence, as wished and as the KV cache lets so many sequences have them."""
    longest = limits.max_model_len - BED_TOKENS - 1
    room = int(limits.kv_cache_tokens * KV_SHARE) // decodes - BED_TOKENS - limits.block_size
    found: list[tuple[int, int]] = []
    for wished in geometric(limits.shortest_prompt, longest, CONTEXT_FACTOR):
        context = min(wished, room)
        # The first that does not fit stands for what does, if that is something new.
        if context >= limits.shortest_prompt and (not found or context > 1.2 * found[-1][1]):
            found.append((wished, context))
    return found


def _prefix_lengths(limits: Limits) -> list[int]:
    """Lengths of computed prefixes: whole blocks, or without prefix caching the chunks before."""
    unit = limits.block_size if limits.prefix_caching else limits.max_num_batched_tokens
    wished = (limits.max_model_len / 8, limits.max_model_len / 2, limits.max_model_len * 7 / 8)
    lengths = {int(length // unit) * unit for length in wished}
    # A cached prefix is whole blocks of prompts that were served before, the template's head among them.
    return sorted(length for length in lengths if length >= limits.shortest_prompt)


def _fits(limits: Limits, bed: tuple[int, int], point: Point) -> bool:
    decodes, context = bed
    kv_tokens = decodes * (context + BED_TOKENS + limits.block_size) + sum(
        prompt.context + prompt.tokens + limits.block_size for prompt in point.prompts
    )
    return (
        decodes + len(point.prompts) <= limits.max_num_seqs
        and all(prompt.context + prompt.tokens < limits.max_model_len for prompt in point.prompts)
        and decodes + sum(prompt.tokens for prompt in point.prompts) <= limits.max_num_batched_tokens
        and kv_tokens <= limits.kv_cache_tokens
    )


def _declare(name: str, axes: tuple[str, ...], points: Iterable[tuple[int, ...]]) -> Grid:
    """The smallest grid that has these points."""
    present = set(points)
    values = [sorted(set(column)) for column in zip(*present, strict=True)]
    omitted = [list(at) for at in itertools.product(*values) if at not in present]
    return Grid(name, dict(zip(axes, values, strict=True)), omitted)


def omit(grid: Grid, missing: Iterable[tuple[int, ...]]) -> Grid | None:
    """The grid without points that did not come about; None if nothing is left of it."""
    gone = {tuple(at) for at in grid.omitted} | set(missing)
    left = [at for at in itertools.product(*grid.axes.values()) if at not in gone]
    if not left:
        return None
    return _declare(grid.name, tuple(grid.axes), left)


def geometric(first: int, last: int, factor: float) -> list[int]:
    """Whole numbers from first to last, both among them, each about `factor` times the one before."""
    if last < first:
        return []
    steps = max(1, round(math.log(last / first) / math.log(factor))) if last > first else 0
    ratio = (last / first) ** (1 / steps) if steps else 1.0
    return sorted({round(first * ratio**index) for index in range(steps + 1)})


def _octaves(first: int, last: int) -> list[int]:
    """Powers of two times `first` up to `last`, and `last`."""
    if last < first:
        return []
    powers = itertools.takewhile(lambda size: size < last, (first * 2**index for index in itertools.count()))
    return [*powers, last]


def _two(contexts: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """A short and a long context of those."""
    return list(dict.fromkeys([contexts[len(contexts) // 3], contexts[-1 - len(contexts) // 4]])) if contexts else []
