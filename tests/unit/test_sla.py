"""Hit rates and intervals against values computed by hand."""

from __future__ import annotations

import pytest

from cosim.results.records import Status
from cosim.results.sla import SlaTally, met
from tests.results_factory import MS, request


@pytest.mark.parametrize(("e2el_ms", "hit"), [(499, True), (500, True), (501, False)])
def test_the_deadline_itself_is_met(e2el_ms: int, hit: bool) -> None:
    assert met(request(e2el_scheduled_ns=e2el_ms * MS), 500 * MS) is hit


def test_a_late_client_cannot_hide() -> None:
    late = request(e2el_ns=300 * MS, e2el_scheduled_ns=600 * MS)
    assert met(late, 500 * MS) is False


@pytest.mark.parametrize(("status", "hit"), [("error", False), ("timeout", False), ("rejected", False)])
def test_what_is_not_answered_is_a_miss(status: Status, hit: bool) -> None:
    assert met(request(status=status, e2el_scheduled_ns=1), 500 * MS) is hit


def test_a_clients_own_cancel_is_left_out() -> None:
    assert met(request(status="cancelled"), 500 * MS) is None


def test_rows_of_every_tier_and_class() -> None:
    tally = SlaTally({"premium": 500 * MS, "medium": 1000 * MS}, ["edge", "cloud"])
    for k, e2el_ms in enumerate((300, 700, 1200)):
        tally.add(request(f"r-{k}", e2el_scheduled_ns=e2el_ms * MS))
    tally.add(request("r-3", status="cancelled"))
    tally.add(request("r-4", tier=None, status="rejected"))
    tally.add(request("r-5", tier="device", e2el_scheduled_ns=1))
    rows = [(r["tier"], r["class"], r["hits"], r["n"], r["cancelled"]) for r in tally.rows()]
    assert rows == [
        ("edge", "premium", 1, 3, 1),
        ("edge", "medium", 2, 3, 1),
        ("cloud", "premium", 0, 0, 0),
        ("cloud", "medium", 0, 0, 0),
        ("device", "premium", 1, 1, 0),
        ("device", "medium", 1, 1, 0),
        (None, "premium", 0, 1, 0),
        (None, "medium", 0, 1, 0),
    ]
    edge, cloud = tally.rows()[0], tally.rows()[2]
    assert list(edge)[:8] == [
        "tier",
        "class",
        "deadline_ms",
        "n",
        "hits",
        "sla_hit_rate",
        "wilson_low",
        "wilson_high",
    ]
    assert edge["deadline_ms"] == 500.0
    assert edge["sla_hit_rate"] == pytest.approx(1 / 3)
    assert (cloud["sla_hit_rate"], cloud["wilson_low"], cloud["wilson_high"]) == (None, None, None)
