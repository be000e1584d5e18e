"""The single requests that a report names."""

from __future__ import annotations

from cosim.results.population import NO_TIER, populate
from cosim.results.slowest import Excess, part_medians_ns, percentile_request, slowest, unusual
from tests.results_factory import MS, S, ended, request


def test_the_p95_request_is_one_that_was_served_and_adds_up() -> None:
    records = [ended(f"r-{k:03d}", k * S, (100 + k) * MS + k) for k in range(40)]
    records += [ended(f"w-{k}", 0, 9 * S, warmup=True) for k in range(9)]
    records += [ended(f"t-{k}", 0, 10 * S, "timeout") for k in range(9)]
    population = populate(records, ["edge"], [])
    place = percentile_request(population, "edge", 0.95)
    assert place is not None
    assert population.request_id[place] == "r-037"  # ceil(0.95 * 40) = the 38th
    assert sum(population.parts_of(place).values()) == population.e2el_ns[place] == 137 * MS + 37
    assert percentile_request(population, "edge", 0.0) == 0
    assert percentile_request(populate([], ["edge"], []), "edge", 0.95) is None


def test_equal_latencies_are_told_apart_by_name() -> None:
    names = ["c", "a", "b"]
    population = populate([ended(name, 0, S) for name in names], ["edge"], [])
    assert population.request_id[percentile_request(population, "edge", 0.5) or 0] == "b"


def test_the_slowest_of_each_tier_come_with_what_stood_out() -> None:
    records = [
        ended(f"{tier}-{k:02d}", k * S, (200 + k) * MS, tier=tier) for tier in ("edge", "far") for k in range(20)
    ]
    records.append(ended("edge-late", 0, 10 * S, "timeout", tier="edge", parts={"up_wan": 10 * S}))
    records.append(ended("edge-gone", 0, 20 * S, "cancelled", tier="edge"))
    records.append(ended("warm", 0, 30 * S, tier="far", warmup=True))
    rows = slowest(populate(records, ["edge", "far", "idle"], []))
    assert [row.request_id for row in rows[:2]] == ["edge-late", "edge-19"]
    assert [row.tier for row in rows] == ["edge"] * 6 + ["far"] * 6
    late, far = rows[0], rows[6]
    assert (late.status, late.e2el_ns, late.parts_ns) == ("timeout", 10 * S, {"up_wan": 10 * S})
    (excess,) = late.unusual or []
    assert (excess.part, excess.value_ns) == ("up_wan", 10 * S)
    assert far.request_id == "far-19"
    assert sum(far.parts_ns.values()) == far.e2el_ns == 219 * MS


def test_what_is_unusual_is_large_against_the_median() -> None:
    medians = {"prefill": 100, "decode": 50, "queue": 0}
    assert unusual({"prefill": 101, "decode": 90, "queue": 60}, medians) == [
        Excess("queue", 60, 0),
        Excess("decode", 90, 50),
    ]
    assert unusual({"prefill": 90, "decode": 50}, medians) == []
    # 5 of 65 ns that exceed a median are not worth a name.
    assert unusual({"prefill": 105, "queue": 60}, medians) == [Excess("queue", 60, 0)]
    assert unusual({"prefill": 90}, {}) is None


def test_a_part_that_only_some_requests_have_is_zero_in_the_others() -> None:
    records = [request("a", parts={"prefill": 10}), request("b", parts={"prefill": 30, "up_access_sr_wait": 8})]
    records.append(request("c", tier=None, status="rejected", parts={}))
    population = populate(records, ["edge"], [])
    assert population.tiers == ["edge", NO_TIER]
    assert population.parts_of(0) == {"prefill": 10}
    assert part_medians_ns(population, "edge") == {"prefill": 20, "up_access_sr_wait": 4}
    assert population.status_of(2) == "rejected"
