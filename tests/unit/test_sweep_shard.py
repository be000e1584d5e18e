"""Which points a shard has, and how it is written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosim.scenario.errors import ScenarioError
from cosim.sweep.shard import Shard, parse_shard


@given(points=st.integers(0, 60), of=st.integers(1, 12))
def test_every_point_is_in_one_shard(points: int, of: int) -> None:
    shards = [Shard((part,), of) for part in range(1, of + 1)]
    assert [sum(shard.holds(index) for shard in shards) for index in range(points)] == [1] * points


def test_a_shard_has_every_nth_point() -> None:
    assert [index for index in range(8) if parse_shard("2/3").holds(index)] == [1, 4, 7]
    assert [index for index in range(8) if parse_shard("1,3/3").holds(index)] == [0, 2, 3, 5, 6]


@pytest.mark.parametrize(("text", "read"), [("2/3", "2/3"), (" 1/1 ", "1/1"), ("3,1/4", "1,3/4"), ("2,2/4", "2/4")])
def test_a_shard_is_written_in_one_way(text: str, read: str) -> None:
    assert str(parse_shard(text)) == read


@pytest.mark.parametrize(("text", "whole"), [("1/1", True), ("1,2/2", True), ("1/2", False), ("1,3/3", False)])
def test_all_parts_are_the_whole(text: str, whole: bool) -> None:
    assert parse_shard(text).is_whole is whole


@pytest.mark.parametrize(
    "text", ["", "2", "2/", "/3", "0/3", "4/3", "1/0", "-1/3", "1.5/3", "1/3/4", "1,/3", "1;2/3", "²/3"]
)
def test_what_is_no_shard_is_refused_with_what_is(text: str) -> None:
    with pytest.raises(ScenarioError, match=r"^--shard: .*; allowed: i/n with i from 1 to n, such as 2/3"):
        parse_shard(text)


def test_a_shard_without_a_point_is_refused() -> None:
    parse_shard("4/7").check_holds_any(4)
    with pytest.raises(ScenarioError, match=r"5/7 holds none of this sweep's 4 point\(s\); allowed: at most 4 shards"):
        parse_shard("5/7").check_holds_any(4)
