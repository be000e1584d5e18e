"""Durations drawn from a recorded profile: measured ones as they were measured, others between their neighbours."""

from __future__ import annotations

import itertools
import statistics
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosim.bridge.engine_messages import Signature
from cosim.profile.base import Charge, Profile
from cosim.profile.load import load_profile
from cosim.profile.surface import Surface
from tests import made_up_profile
from tests.made_up_profile import SPREAD, decode_only, mixed, prefill_only, step_ns

# The middle one of the made-up samples is the median.
MIDDLE = 0.5


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Profile:
    path = made_up_profile.write(tmp_path_factory.mktemp("profile") / "p.jsonl")
    return load_profile(str(path), made_up_profile.spec(), quantization=None)


MEASURED = [decode_only(4, 512), prefill_only(256), prefill_only(64, context=2048), mixed(4, 512, 64)]
HELD_OUT = [
    decode_only(3, 200),
    decode_only(6, 1000),
    decode_only(8, 2500),
    prefill_only(40),
    prefill_only(500),
    prefill_only(1500),
    prefill_only(128, context=1000),
    prefill_only(600, encoder_tokens=512),
    mixed(2, 300, 100),
    mixed(6, 2000, 1000),
]
OUTSIDE = [
    decode_only(9, 100),
    decode_only(8, 5000),
    prefill_only(3000),
    prefill_only(64, sequences=2),
    prefill_only(2000, encoder_tokens=1500),
    mixed(8, 512, 2041),
    mixed(12, 5000, 4000),
]


@pytest.mark.parametrize("signature", MEASURED)
def test_a_measured_shape_has_its_samples(profile: Profile, signature: Signature) -> None:
    n = len(SPREAD)
    drawn = Counter(profile.step(signature, (index + 0.5) / n) for index in range(n))
    assert drawn == Counter(Charge(sample, "interpolated") for sample in made_up_profile.spread(step_ns(signature)))


@pytest.mark.parametrize("signature", HELD_OUT)
def test_a_shape_between_is_near_the_truth(profile: Profile, signature: Signature) -> None:
    charge = profile.step(signature, MIDDLE)
    assert charge.source == "interpolated"
    assert charge.duration_ns == pytest.approx(step_ns(signature), rel=0.05)


@pytest.mark.parametrize("signature", HELD_OUT)
def test_a_shape_between_is_spread_as_its_neighbours(profile: Profile, signature: Signature) -> None:
    drawn = [profile.step(signature, (index + 0.5) / 90).duration_ns for index in range(90)]
    assert max(drawn) / statistics.median(drawn) == pytest.approx(max(SPREAD), rel=1e-4)
    assert drawn == sorted(drawn)


def test_a_shape_below_all_that_was_measured_is_no_shorter_than_the_nearest() -> None:
    rising = [[duration_ns] * 5 for duration_ns in (400_000, 800_000, 1_600_000)]
    surface = Surface([(40,), (80,), (160,)], rising, lambda shape: (1.0, *shape))
    drawn = surface.draw((10,), MIDDLE)
    assert not drawn.inside
    assert drawn.duration_ns == 400_000


def test_a_batch_of_three_may_be_faster_than_one_of_two() -> None:
    """As on a CPU whose kernels are chosen by the number of rows: each size has its own time at every context."""
    factors = {1: 1.0, 2: 1.14, 3: 0.93, 4: 0.91, 6: 0.92, 7: 1.04, 8: 1.1}

    def true_ns(tokens: int, context: int) -> int:
        return round(factors[tokens] * (10_000_000 + 40_000 * tokens + 900 * context))

    shapes = [(tokens, tokens * context) for tokens in factors for context in (17, 61, 244, 1003)]
    samples = [[true_ns(*shape)] * 80 for shape in shapes]
    surface = Surface(shapes, samples, lambda shape: (1.0, *shape), grouped=True)
    for tokens in factors:
        for context in (30, 120, 500):
            drawn = surface.draw((tokens, tokens * context), MIDDLE)
            assert drawn.inside
            assert drawn.duration_ns == pytest.approx(true_ns(tokens, tokens * context), rel=0.01), (tokens, context)


@pytest.mark.parametrize("signature", OUTSIDE)
def test_a_shape_beyond_is_extrapolated_and_no_shorter_than_what_is_near(
    profile: Profile, signature: Signature
) -> None:
    charge = profile.step(signature, MIDDLE)
    assert charge.source == "extrapolated"
    assert charge.duration_ns == pytest.approx(step_ns(signature), rel=0.5)


def test_features_are_judged_together_and_not_one_by_one(tmp_path: Path) -> None:
    content = made_up_profile.lines()
    omitted = [
        line["at"] for line in content if line["kind"] == "step" and line["at"][1:] in ([4096, 2040], [512, 2040])
    ]
    content = [line for line in content if line.get("grid") != "mixed" or line["at"] not in omitted]
    content[0]["grids"][3]["omitted"] = omitted
    path = made_up_profile.write(tmp_path / "p.jsonl", content)
    holed = load_profile(str(path), made_up_profile.spec(), quantization=None)
    assert holed.step(mixed(8, 4000, 500), MIDDLE).source == "interpolated"
    assert holed.step(mixed(8, 1, 2000), MIDDLE).source == "interpolated"
    assert holed.step(mixed(8, 4000, 2000), MIDDLE).source == "extrapolated"


def test_a_family_that_was_not_measured_is_extrapolated(tmp_path: Path) -> None:
    content = [line for line in made_up_profile.lines() if line.get("grid") != "mixed"]
    del content[0]["grids"][3]
    path = made_up_profile.write(tmp_path / "p.jsonl", content)
    poor = load_profile(str(path), made_up_profile.spec(), quantization=None)
    charge = poor.step(mixed(4, 512, 512), MIDDLE)
    assert charge.source == "extrapolated"
    assert charge.duration_ns >= poor.step(prefill_only(512), MIDDLE).duration_ns


def test_a_batch_that_is_padded_to_a_graph_takes_that_graphs_time(tmp_path: Path) -> None:
    content = made_up_profile.lines()
    content[0]["engine"].update(
        enforce_eager=False, cudagraph_mode="FULL_DECODE_ONLY", cudagraph_capture_sizes=[1, 4, 8]
    )
    path = made_up_profile.write(tmp_path / "p.jsonl", content)
    padded = load_profile(str(path), made_up_profile.spec(), quantization=None)
    context = 2048
    charges = {n: padded.step(Signature(0, n, context, 0, 0, 0, 0, context), MIDDLE) for n in (3, 4, 5, 8)}
    assert charges[3] == charges[4]
    assert charges[5] == charges[8]
    assert charges[4].duration_ns < charges[5].duration_ns


def test_what_is_computed_is_rounded_and_what_was_measured_is_not(profile: Profile) -> None:
    computed = [profile.step(decode_only(3, context), MIDDLE).duration_ns for context in range(65, 500, 7)]
    assert {duration_ns % 100 for duration_ns in computed} == {0}
    for sequences, context in itertools.product(made_up_profile.DECODES, made_up_profile.CONTEXTS):
        signature = decode_only(sequences, context)
        assert profile.step(signature, MIDDLE).duration_ns == made_up_profile.spread(step_ns(signature))[4]


def test_front_ends_and_chunks_are_drawn_too(profile: Profile) -> None:
    measured = profile.frontend(prompt_tokens=16, encoder_tokens=0, images=0, draw=MIDDLE)
    assert measured == Charge(500_000 + 300 * 16, "interpolated")
    between = profile.frontend(prompt_tokens=1000, encoder_tokens=400, images=1, draw=MIDDLE)
    assert between.source == "interpolated"
    assert between.duration_ns == pytest.approx(500_000 + 300 * 1000 + 9_000 * 400, rel=0.1)
    assert profile.frontend(prompt_tokens=9000, encoder_tokens=0, images=0, draw=MIDDLE).source == "extrapolated"
    assert profile.egress("first", MIDDLE) == Charge(200_000, "interpolated")
    assert profile.egress("last", 0.999999).duration_ns == 180_000


def test_the_manifest_hears_what_was_measured_and_how_well_it_interpolates(profile: Profile) -> None:
    told = profile.describe()
    assert told["kind"] == "recorded"
    assert told["file"] == "p.jsonl"
    assert told["steps"]["decode"]["shapes"] == 16
    assert told["steps"]["mixed"]["samples"] == 36 * len(SPREAD)
    assert 0 < told["steps"]["mixed"]["leave_one_out"]["median"] < 0.1


signatures = st.builds(
    Signature,
    prefill_tokens=st.integers(0, 10_000),
    decode_sequences=st.integers(0, 300),
    context_tokens=st.integers(0, 10**6),
    encoder_tokens=st.integers(0, 20_000),
    images=st.integers(0, 9),
    prefill_sequences=st.integers(0, 300),
    prefill_attention=st.integers(0, 10**9),
    decode_context_tokens=st.integers(0, 10**6),
)


@given(signatures, st.floats(0, 1, exclude_max=True), st.floats(0, 1, exclude_max=True))
def test_any_shape_has_a_positive_time_that_grows_with_the_draw(
    profile: Profile, signature: Signature, one: float, other: float
) -> None:
    low, high = sorted((one, other))
    charges = [profile.step(signature, draw) for draw in (low, low, high)]
    assert charges[0] == charges[1]
    assert 0 < charges[0].duration_ns <= charges[2].duration_ns
    assert charges[0].source == charges[2].source


@given(st.integers(1, 9), st.integers(1, 5000))
def test_decodes_are_inside_up_to_the_most_that_was_measured_together(profile: Profile, n: int, context: int) -> None:
    measured = n <= 8 and n * context <= 8 * 4096
    source = profile.step(decode_only(n, context), MIDDLE).source
    assert source == ("interpolated" if measured else "extrapolated")


@given(st.integers(1, 8), st.integers(1, 4096), st.floats(0, 1, exclude_max=True))
def test_inside_a_time_is_between_those_of_the_shapes_around_it(
    profile: Profile, n: int, context: int, draw: float
) -> None:
    low, high = profile.step(decode_only(1, 1), 0.0), profile.step(decode_only(8, 4096), 0.999999)
    assert low.duration_ns * 0.9 <= profile.step(decode_only(n, context), draw).duration_ns <= high.duration_ns * 1.1
