"""Which batch shapes a recorded profile is made of: grids over what an engine can be brought to do.

A shape is brought about in the scheduler's own way: a bed of requests is put into decode at some context, then prompts
are added whose prefill makes the step that is measured. The beds' prompts are documents that the prefix cache keeps,
or each bed would cost the prefill of its whole context.

A run's batch counts as measured if each of its features lies between measured ones and costs no more with the others
than what was measured (`cosim.profile.surface`), so the corners matter: the fewest and the most of everything.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeVar

from cosim.profile.records import Grid
from cosim.profile.shapes import Bed, ImageShape, Limits, Plan, Point, Prompt

DECODE = "decode"
# The first follows a prefill and is slower (caches), as one in some of a run's is.
DECODE_STEPS = 8
# Few, so that the context has not grown much when the last of them is measured.
MOST_POINTS_OF_A_BED = 5
# Tokens that each sequence of a bed gets, with room for prompts that take several steps.
BED_TOKENS = DECODE_STEPS + 3 * MOST_POINTS_OF_A_BED
CONTEXT_FACTOR = 4.0
# Words that are asked of an image, the chat template's among them.
IMAGE_TEXT_TOKENS = 24
# Documents take at most this share of the KV cache, so that other prompts do not push them out at once.
DOCUMENTS_SHARE = 0.5
# Of the KV cache, so that no sequence is preempted while a shape is measured.
FULL_SHARE = 0.9


class _Place(NamedTuple):
    """Where a point is measured: `context` is the bed's, `wished` its name on the axis."""

    decodes: int
    wished: int
    context: int


Item = TypeVar("Item")
Placed = tuple[tuple[str, ...], list[tuple[_Place, Point]]]
IDLE = _Place(0, 0, 0)


def make_plan(limits: Limits) -> Plan:
    """The shapes for an engine: decode, prefill, both together, with images where the model takes them."""
    places = _places(limits)
    decodes = {place: Point(DECODE, (place.decodes, place.wished)) for place in places}
    full = _full_beds(limits, {place.wished for place in places})
    axes: tuple[str, ...] = ("decode_sequences", "context_per_sequence")
    corners = [bed.decode.at for bed in full if bed.decode is not None]
    grids = [_declare(DECODE, axes, [*(point.at for point in decodes.values()), *corners])]
    members: dict[_Place, list[Point]] = {place: [] for place in places}
    for axes, placed in (*_prefill(limits), *_mixed(limits, places), *_images(limits, places)):
        kept = [(place, point) for place, point in dict.fromkeys(placed) if _fits(limits, place, point)]
        if kept:
            grids.append(_declare(kept[0][1].grid, axes, (point.at for _, point in kept)))
        for place, point in kept:
            members.setdefault(place, []).append(point)
    if extra := [point for bed in full for point in bed.points]:
        grids.append(_declare(extra[0].grid, ("decode_sequences", "prefill_tokens"), (point.at for point in extra)))
    beds = []
    for place, points in members.items():
        heavy = [point for point in points if 2 * _tokens(point) > limits.max_num_batched_tokens]
        light = [point for point in points if point not in heavy]
        # Nothing keeps points without decodes together; apart, each round mixes them among the others.
        most = MOST_POINTS_OF_A_BED if place.decodes else 1
        for some in (light, heavy):
            for first in range(0, len(some), most):
                chosen = tuple(some[first : first + most])
                beds.append(Bed(place.decodes, place.context, decodes.get(place), chosen, heavy=some is heavy))
        if not light:
            beds.append(Bed(place.decodes, place.context, decodes.get(place), ()))
    return Plan(tuple(grids), (*beds, *full))


def _tokens(point: Point) -> int:
    return sum(prompt.tokens for prompt in point.prompts)


def _prefill(limits: Limits) -> Iterator[Placed]:
    longest = limits.longest_prompt
    alone = [
        (IDLE, Point("prefill", (tokens,), (Prompt(tokens),)))
        for tokens in geometric(limits.shortest_prompt, longest, math.sqrt(2))
    ]
    yield ("prefill_tokens",), alone
    continued = [
        (IDLE, Point("continued_prefill", (tokens, context), (Prompt(tokens, context),)))
        for tokens in geometric(1, longest, 2)
        for context in _prefix_lengths(limits)
    ]
    yield ("prefill_tokens", "context_tokens"), continued
    several = [
        (IDLE, Point("prefills", (sequences, tokens), (Prompt(tokens),) * sequences))
        for sequences in _octaves(2, limits.max_num_seqs)
        for tokens in geometric(limits.shortest_prompt, min(longest, limits.max_num_batched_tokens // sequences), 4)
    ]
    yield ("prefill_sequences", "tokens_per_sequence"), several
    yield _overfull(limits, [IDLE], "overfull", [Prompt(tokens) for tokens in _chunked_lengths(limits)])


def _mixed(limits: Limits, places: list[_Place]) -> Iterator[Placed]:
    longest = limits.longest_prompt
    beside = list(_beside(limits, places))
    one, several = [], []
    for chosen in beside:
        for tokens in geometric(limits.shortest_prompt, longest, 3):
            # Long prompts cost most and hardly depend on the rest: beside one context, and the fewest and most decodes.
            for place in dict.fromkeys(chosen if 4 * tokens <= longest else chosen[-1:]):
                if 2 * tokens <= longest or chosen in (beside[0], beside[-1]):
                    # What the decodes leave of the batch, where that is less.
                    prompt = Prompt(min(tokens, limits.max_num_batched_tokens - place.decodes))
                    one.append((place, Point("mixed", (*place[:2], tokens), (prompt,))))
        place = chosen[-1]
        for count in _counts(limits, place.decodes, limits.shortest_prompt):
            most = min(longest, (limits.max_num_batched_tokens - place.decodes) // count)
            for tokens in geometric(limits.shortest_prompt, most, 4) if count > 1 else ():
                several.append((place, Point("mixed_several", (*place[:2], count, tokens), (Prompt(tokens),) * count)))
    yield ("decode_sequences", "context_per_sequence", "prefill_tokens"), one
    yield ("decode_sequences", "context_per_sequence", "prefill_sequences", "tokens_per_sequence"), several
    last = [chosen[-1] for chosen in _ends(beside)]
    yield _overfull(limits, last, "mixed_overfull", [Prompt(tokens) for tokens in _chunked_lengths(limits)])


def _images(limits: Limits, places: list[_Place]) -> Iterator[Placed]:
    beside = list(_beside(limits, places))
    most = limits.max_num_batched_tokens
    alone = [
        (IDLE, Point("images", (count, prompt.tokens), (prompt,) * count))
        for count in _octaves(1, limits.max_num_seqs)
        for prompt in _pictures(limits, count, most)
    ]
    yield ("images", "tokens_per_prompt"), alone
    mixed = []
    for _, middle, last in beside:
        for count in _counts(limits, middle.decodes, IMAGE_TEXT_TOKENS):
            prompts = _pictures(limits, count, most - middle.decodes)
            for place, chosen in ((middle, prompts), (last, prompts[-1:])):
                for prompt in chosen if place is middle or last != middle else ():
                    at = (*place[:2], count, prompt.tokens)
                    mixed.append((place, Point("mixed_images", at, (prompt,) * count)))
    yield ("decode_sequences", "context_per_sequence", "images", "tokens_per_prompt"), mixed
    largest = list(map(_ask, limits.images[-1:]))
    yield _overfull(limits, [IDLE, *(chosen[-1] for chosen in beside[:1])], "images_overfull", largest)
    yield _crowded(limits, "images_crowded", [IDLE])
    yield _crowded(limits, "mixed_images_crowded", [last for _, _, last in beside[::2]])


def _ask(image: ImageShape) -> Prompt:
    return Prompt(image.tokens + IMAGE_TEXT_TOKENS, 0, image)


def _pictures(limits: Limits, count: int, room: int) -> list[Prompt]:
    """Pictures of which so many fit a batch: about one to an octave if it is one, else to two; and the largest."""
    fitting = [prompt for prompt in map(_ask, limits.images) if count * prompt.tokens <= room]
    chosen: list[Prompt] = []
    for prompt in fitting:
        if not chosen or prompt.tokens >= chosen[-1].tokens * (1.8 if count == 1 else 3.2):
            chosen.append(prompt)
    return list(dict.fromkeys([*chosen, *fitting[-1:]]))


def _counts(limits: Limits, decodes: int, shortest: int) -> list[int]:
    """How many prompts come at once: one, then steps of two octaves, and as many as seats or a batch take."""
    most = min(limits.max_num_seqs - decodes, (limits.max_num_batched_tokens - decodes) // shortest)
    between = {count for count in (1, 4, 16, 64, 256) if 4 * count <= most}
    return sorted({1, most, *between}) if most >= 1 else []


def _overfull(limits: Limits, places: list[_Place], grid: str, prompts: list[Prompt]) -> Placed:
    """As many prompts as there are seats, if that is more than a batch takes."""
    points = []
    for place in places:
        for prompt in prompts:
            room = limits.max_num_batched_tokens - place.decodes
            count = min(limits.max_num_seqs - place.decodes, room // prompt.tokens + 1)
            if count * prompt.tokens > room:
                points.append((place, Point(grid, (*place[:2], prompt.tokens), (prompt,) * count, overfull=True)))
    return ("decode_sequences", "context_per_sequence", "tokens_per_prompt"), points


def _crowded(limits: Limits, grid: str, places: list[_Place]) -> Placed:
    """Pictures that fill a batch, the last only begun, which is encoded whole; and before them one that has context.

    The fewer the larger: no batch of as many pictures has more encoder tokens or attention.
    """
    points = []
    for place in places:
        room = limits.max_num_batched_tokens - place.decodes
        prefix = _prefix_length(limits)
        known = Prompt(max(limits.shortest_prompt, min(room // 16, limits.max_model_len - 2 - prefix)), prefix)
        most = limits.max_num_seqs - place.decodes - 1
        for count in sorted({2, (most + 2) // 2, most}) if most >= 2 else ():
            tokens = min((room - known.tokens - IMAGE_TEXT_TOKENS) // (count - 1), limits.max_model_len - 2)
            fitting = [image for image in limits.images if image.tokens + IMAGE_TEXT_TOKENS <= tokens]
            if fitting and known.tokens + count * tokens > room:
                # Its text is as much longer as the picture is too small.
                prompts = (known, *(Prompt(tokens, 0, fitting[-1]),) * count)
                points.append((place, Point(grid, (*place[:2], count), prompts, overfull=True)))
    return ("decode_sequences", "context_per_sequence", "images"), points


def _chunked_lengths(limits: Limits) -> list[int]:
    """Prompts of which several fill a batch; and the longest, or as long as needs two batches."""
    longest = min(limits.max_num_batched_tokens * 3 // 2, limits.max_model_len - 2)
    return [max(limits.shortest_prompt, limits.longest_prompt * 2 // 5), longest]


def _places(limits: Limits) -> list[_Place]:
    """Beds of decodes with as much context as lets all documents stay in the KV cache."""
    room = limits.kv_cache_tokens * DOCUMENTS_SHARE - _prefix_length(limits)
    for share in range(20, 0, -1):
        places = [place for size in decode_sizes(limits) for place in _contexts(limits, size, room * share / 20)]
        if share == 1 or _documents_tokens(places) <= room:
            break
    return places


def _documents_tokens(places: list[_Place]) -> int:
    most = max((place.decodes for place in places), default=0)
    return sum(max(place.context for place in places if place.decodes > index) for index in range(most))


def _contexts(limits: Limits, decodes: int, room: float) -> Iterator[_Place]:
    """Contexts per sequence, as wished and as `room` tokens of KV cache let so many sequences have them."""
    longest = limits.max_model_len - BED_TOKENS - 1
    most = int(room) // decodes - BED_TOKENS - limits.block_size
    if decodes == 1:  # One sequence there is always room for.
        most = max(most, limits.shortest_prompt)
    last = 0.0
    for wished in geometric(limits.shortest_prompt, longest, CONTEXT_FACTOR):
        context = min(wished, most)
        # The first that does not fit stands for what does, if that is something new.
        if context >= limits.shortest_prompt and context > 1.2 * last:
            last = context
            yield _Place(decodes, wished, context)


def _full_beds(limits: Limits, wished: set[int]) -> list[Bed]:
    """Decodes that together have the whole KV cache, where documents cannot; and a prompt that comes beside them."""
    room = int(limits.kv_cache_tokens * FULL_SHARE)
    label = max(wished, default=0) + 1
    beds = []
    for decodes in dict.fromkeys((limits.max_num_seqs, limits.max_num_seqs - 1)):
        alone = decodes == limits.max_num_seqs
        tokens = 0 if alone else min(limits.longest_prompt, limits.max_num_batched_tokens - decodes, room // 4)
        context = min((room - tokens) // max(1, decodes), limits.max_model_len) - BED_TOKENS - limits.block_size
        if decodes == 0 or context < limits.shortest_prompt or decodes > limits.max_num_batched_tokens:
            continue
        if decodes * (context + BED_TOKENS + limits.block_size) <= limits.kv_cache_tokens * DOCUMENTS_SHARE / 2:
            continue  # Far from full: the longest requests that there can be.
        point = Point("mixed_full", (decodes, tokens), (Prompt(tokens),))
        beds.append(Bed(decodes, context, Point(DECODE, (decodes, label)), () if alone else (point,), True, True))
    return beds


def _beside(limits: Limits, places: list[_Place]) -> Iterator[list[_Place]]:
    """For numbers of decodes that leave a seat: the shortest, a middle and the longest context."""
    for decodes in _octaves(1, limits.max_num_seqs - 1):
        here = [place for place in places if place.decodes == decodes]
        if not here:
            here = list(_contexts(limits, decodes, max((p.decodes * p.context for p in places), default=0)))
        if here:
            yield [here[0], here[len(here) // 2], here[-1]]


def _prefix_length(limits: Limits) -> int:
    return max(_prefix_lengths(limits), default=0) if limits.prefix_caching else 0


def _prefix_lengths(limits: Limits) -> list[int]:
    """Lengths of computed prefixes: whole blocks, or without prefix caching the chunks before."""
    unit = limits.block_size if limits.prefix_caching else limits.max_num_batched_tokens
    longest = min(limits.max_model_len, limits.kv_cache_tokens // 4)
    lengths = {int(longest * share // unit) * unit for share in (1 / 8, 1 / 2, 7 / 8)}
    # A cached prefix is whole blocks of prompts that were served before, the template's head among them.
    return sorted(length for length in lengths if length >= limits.shortest_prompt)


def _ends(items: list[Item]) -> list[Item]:
    """The first and the last."""
    return items[:1] + items[1:][-1:]


def decode_sizes(limits: Limits) -> list[int]:
    """Numbers of decoding sequences: two to an octave, every CUDA graph's size and the one after it, the most."""
    most = limits.max_num_seqs
    between = {3 * size // 2 for size in _octaves(2, most)}
    graphs = {near for size in limits.graph_sizes for near in (size, size + 1)}
    return sorted(size for size in {*_octaves(1, most), *between, *graphs, most - 1} if 1 <= size <= most)


def _fits(limits: Limits, place: _Place, point: Point) -> bool:
    kv_tokens = place.decodes * (place.context + BED_TOKENS + limits.block_size)
    kv_tokens += sum(prompt.context + prompt.tokens + limits.block_size for prompt in point.prompts)
    tokens = place.decodes + _tokens(point)
    return (
        place.decodes + len(point.prompts) <= limits.max_num_seqs
        and all(prompt.context + prompt.tokens + 2 <= limits.max_model_len for prompt in point.prompts)
        and (tokens <= limits.max_num_batched_tokens or point.overfull)
        and kv_tokens <= limits.kv_cache_tokens * FULL_SHARE
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
    return _declare(grid.name, tuple(grid.axes), left) if left else None


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
