"""The shapes that a profile is made of: within what the engine takes, each once, up to the corners."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cosim.profile.grid import (
    BED_TOKENS,
    DECODE,
    DOCUMENTS_SHARE,
    MOST_POINTS_OF_A_BED,
    geometric,
    make_plan,
    omit,
)
from cosim.profile.records import Grid
from cosim.profile.shapes import Bed, ImageShape, Limits, Plan, Point, Prompt

SMALL = Limits(8, 2048, 4096, 65_536, 32, prefix_caching=True, shortest_prompt=20)
PICTURES = tuple(
    ImageShape(tokens, 28, 28 * tokens) for tokens in (12, 24, 48, 96, 192, 234, 300, 374, 468, 588, 768, 936)
)
FRAMES = (ImageShape(96, 336, 224), ImageShape(391, 640, 480), ImageShape(1564, 1280, 952))


@st.composite
def any_limits(draw: st.DrawFn) -> Limits:
    max_model_len = draw(st.integers(128, 16_384))
    return Limits(
        max_num_seqs=draw(st.integers(1, 64)),
        max_num_batched_tokens=draw(st.integers(max(64, max_model_len // 8), 8_192)),
        max_model_len=max_model_len,
        kv_cache_tokens=draw(st.integers(max_model_len + 256, 200_000)),
        block_size=draw(st.sampled_from([16, 32, 128])),
        prefix_caching=draw(st.booleans()),
        shortest_prompt=draw(st.integers(2, 60)),
        images=draw(st.sampled_from([(), FRAMES[:1], FRAMES])),
        graph_sizes=draw(st.sampled_from([(), (1, 2, 4, 8, 16, 24, 32)])),
    )


def points(plan: Plan) -> list[tuple[Bed, Point]]:
    return [(bed, point) for bed in plan.beds for point in bed.points]


@settings(max_examples=60, deadline=None)
@given(any_limits())
def test_every_shape_is_within_what_the_engine_takes(limits: Limits) -> None:
    plan = make_plan(limits)
    for bed, point in points(plan):
        tokens = [prompt.tokens for prompt in point.prompts]
        assert tokens
        assert bed.decodes + len(tokens) <= limits.max_num_seqs
        assert min(tokens) >= 1
        assert max(prompt.context + prompt.tokens for prompt in point.prompts) < limits.max_model_len
        assert point.overfull == (bed.decodes + sum(tokens) > limits.max_num_batched_tokens)
    for bed in plan.beds:
        assert bed.decodes * (bed.context + BED_TOKENS) <= limits.kv_cache_tokens
        assert bed.context + BED_TOKENS <= limits.max_model_len
        assert len(bed.points) <= MOST_POINTS_OF_A_BED


@settings(max_examples=60, deadline=None)
@given(any_limits())
def test_the_grids_are_exactly_the_points(limits: Limits) -> None:
    plan = make_plan(limits)
    declared = [
        (grid.name, at)
        for grid in plan.grids
        for at in itertools.product(*grid.axes.values())
        if list(at) not in grid.omitted
    ]
    found = [(point.grid, point.at) for point in plan.points()]
    assert found == declared
    measured = [(point.grid, point.at) for _, point in points(plan)]
    assert len(measured) == len(set(measured))
    assert {at for name, at in declared if name == DECODE} == {bed.decode.at for bed in plan.beds if bed.decode}
    assert all(values == sorted(set(values)) for grid in plan.grids for values in grid.axes.values())


@settings(max_examples=60, deadline=None)
@given(any_limits())
def test_documents_leave_room_in_the_kv_cache(limits: Limits) -> None:
    plan = make_plan(limits)
    room = limits.kv_cache_tokens * DOCUMENTS_SHARE
    documents = plan.documents()
    # The shortest prompts of so many sequences may be more than that by themselves.
    assert sum(documents) + (plan.prefix() if limits.prefix_caching else 0) <= room or max(documents) < 60
    for bed in plan.beds:
        if not bed.full:
            assert all(documents[index] >= bed.context for index in range(bed.decodes))


def test_decodes_and_prefills_reach_the_most_that_there_can_be() -> None:
    plan = make_plan(SMALL)
    decodes = {bed.decodes for bed in plan.beds if bed.decode}
    assert decodes == {1, 2, 3, 4, 6, 7, 8}
    alone = [point.prompts[0].tokens for _, point in points(plan) if point.grid == "prefill"]
    assert (min(alone), max(alone)) == (20, 2048)
    assert max(bed.decodes * bed.context for bed in plan.beds) > 0.4 * 65_536
    full = [
        bed.decodes + sum(prompt.tokens for prompt in point.prompts)
        for bed, point in points(plan)
        if point.grid == "mixed"
    ]
    assert max(full) == 2048
    seats = {(bed.decodes, len(point.prompts)) for bed, point in points(plan) if point.grid == "mixed_several"}
    assert seats == {(1, 7), (2, 6), (4, 4)}


def test_images_come_alone_and_beside_decodes_up_to_every_seat() -> None:
    limits = Limits(8, 4096, 4096, 65_536, 32, prefix_caching=True, shortest_prompt=20, images=FRAMES)
    chosen = points(make_plan(limits))
    alone = {(len(point.prompts), point.prompts[0].image) for _, point in chosen if point.grid == "images"}
    assert (1, FRAMES[2]) in alone
    assert (8, FRAMES[1]) in alone
    assert {(1, 7), (2, 6), (4, 4), (7, 1)} <= {
        (bed.decodes, len(point.prompts)) for bed, point in chosen if point.grid == "mixed_images"
    }


Batch = tuple[int, int, int, int, int]


def batch(limits: Limits, decodes: int, prompts: Sequence[Prompt]) -> Batch:
    """Tokens, prefills, pairs of query and key, encoder tokens and images of the first step of prompts."""
    tokens, attention, begun = decodes, 0, list[Prompt]()
    for prompt in prompts:
        chunk = min(prompt.tokens, limits.max_num_batched_tokens - tokens)
        if chunk > 0:
            tokens += chunk
            attention += chunk * prompt.context + chunk * (chunk + 1) // 2
            begun.append(prompt)
    pictures = [prompt.image.tokens for prompt in begun if prompt.image is not None]
    return tokens, len(begun), attention, sum(pictures), len(pictures)


@pytest.mark.parametrize("seats", [8, 16])
@given(st.data())
def test_batches_of_a_run_lie_between_measured_ones(seats: int, data: st.DataObject) -> None:
    """Any number of prompts of one length or with one picture, beside any number of decodes; chunked where too many."""
    limits = Limits(seats, 2048, 1024, 65_536, 32, prefix_caching=True, shortest_prompt=20, images=PICTURES)
    decodes = data.draw(st.integers(0, seats - 1))
    count = data.draw(st.integers(1, seats - decodes))
    image = data.draw(st.sampled_from([None, *PICTURES]))
    text = Prompt(data.draw(st.integers(20, 1020)))
    asked = text if image is None else Prompt(image.tokens + data.draw(st.integers(20, 60)), 0, image)
    measured = [
        batch(limits, bed.decodes, point.prompts)
        for bed, point in points(make_plan(limits))
        if (bed.decodes > 0) == (decodes > 0)
    ]
    ours = batch(limits, decodes, [asked] * count)
    for feature, highest, lowest in zip(ours, map(max, *measured), map(min, *measured), strict=True):
        assert lowest <= feature <= highest


def test_pictures_crowd_a_batch_up_to_one_that_is_only_begun() -> None:
    limits = Limits(8, 2048, 1024, 65_536, 32, prefix_caching=True, shortest_prompt=20, images=PICTURES)
    for grid, decodes in (("images_crowded", 0), ("mixed_images_crowded", 1)):
        found = [(bed, point) for bed, point in points(make_plan(limits)) if point.grid == grid]
        assert {bed.decodes for bed, _ in found} >= {decodes}
        for bed, point in found:
            tokens, begun, _, encoder_tokens, _ = batch(limits, bed.decodes, point.prompts)
            assert (tokens, begun) == (2048, len(point.prompts))
            assert encoder_tokens > 0.75 * (2048 - bed.decodes - point.prompts[0].tokens)


def test_cuda_graphs_sizes_and_their_next_are_measured() -> None:
    graphs = Limits(24, 2048, 4096, 65_536, 16, True, 20, graph_sizes=(1, 2, 4, 8, 16, 24))
    assert {bed.decodes for bed in make_plan(graphs).beds if bed.decode} >= {8, 9, 16, 17, 24}


def test_a_full_kv_cache_is_measured_where_documents_cannot_fill_it() -> None:
    narrow = Limits(8, 2048, 4096, 16_000, 32, prefix_caching=True, shortest_prompt=20)
    full = [bed for bed in make_plan(narrow).beds if bed.full]
    assert max(bed.decodes * bed.context for bed in full) > 0.8 * 16_000
    wide = Limits(2, 256, 512, 65_536, 32, prefix_caching=True, shortest_prompt=20)
    assert not [bed for bed in make_plan(wide).beds if bed.full]


def test_without_a_prefix_cache_context_comes_from_chunks() -> None:
    chunks = Limits(4, 512, 4096, 65_536, 32, prefix_caching=False, shortest_prompt=20)
    contexts = {point.prompts[0].context for _, point in points(make_plan(chunks)) if point.grid == "continued_prefill"}
    assert contexts
    assert all(context % 512 == 0 for context in contexts)


@pytest.mark.parametrize(("first", "last", "factor"), [(1, 1, 2), (3, 1000, 2), (20, 4095, 1.4), (1, 2, 4)])
def test_geometric_has_both_ends_and_even_steps(first: int, last: int, factor: float) -> None:
    values = geometric(first, last, factor)
    assert (values[0], values[-1]) == (first, last)
    assert all(one < other <= 2 * factor * one + 1 for one, other in itertools.pairwise(values))


def test_what_did_not_come_about_is_omitted() -> None:
    grid = Grid("g", {"a": [1, 2], "b": [3, 4]}, [[2, 4]])
    assert omit(grid, []) == grid
    assert omit(grid, [(1, 3)]) == Grid("g", {"a": [1, 2], "b": [3, 4]}, [[1, 3], [2, 4]])
    assert omit(grid, [(2, 3)]) == Grid("g", {"a": [1], "b": [3, 4]}, [])
    assert omit(grid, [(1, 3), (1, 4), (2, 3)]) is None
