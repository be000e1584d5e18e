"""Policies by name, and the one that comes with cosim."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from cosim.placement.base import View, known_policies, load_policy
from cosim.placement.fixed import Fixed


@dataclass(frozen=True)
class Asked:
    request_id: str = "u-0-000000"
    client: str = "u-0"
    tier: str = "edge"


def test_fixed_takes_the_tier_that_the_group_names() -> None:
    for in_flight in ({}, {"edge": 10**6, "cloud": 0}):
        assert Fixed().choose(Asked(), View(0, in_flight)) == "edge"
    assert Fixed().choose(Asked(tier="cloud"), View(10**9, {})) == "cloud"


def test_a_policy_is_found_by_name() -> None:
    assert "fixed" in known_policies()
    assert isinstance(load_policy("fixed", {}), Fixed)


def test_what_nobody_brings_and_what_a_policy_does_not_take() -> None:
    with pytest.raises(KeyError):
        load_policy("nobody", {})
    with pytest.raises(TypeError):
        load_policy("fixed", {"weight": 1})
