"""Cells in trouble: outages, dead links, and knobs that are turned while transmissions are under way."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.nr.cells import FDD, MS, SLOT_NS, drive, lena
from tests.nr.rig import Cpp

NEVER = 2**63 - 1
EACH_SLOT = {"configured_period_slots": 1, "configured_bytes": 100}


def upload(count: int, t_ns: int = MS) -> list[list[Any]]:
    """Packets of 1,428 bytes at once."""
    return [[t_ns, "packet", 0, True, 0, 1428] for _ in range(count)]


def at(*events: list[Any]) -> list[list[Any]]:
    return sorted(events, key=lambda event: event[0])


def test_an_outage_within_another_does_not_end_it(cpp: Cpp) -> None:
    events = at(
        [10 * MS, "interrupt", 0, 100 * MS],
        [20 * MS, "interrupt", 0, 30 * MS],
        [40 * MS, "packet", 0, False, 0, 92],
    )
    ((arrival_ns, _, _),) = drive(cpp, lena(FDD), events, 500 * MS)["arrivals"]
    assert arrival_ns > 100 * MS


@pytest.mark.parametrize("ofdma", [False, True])
def test_configured_grants_that_begin_leave_what_has_been_given_away(cpp: Cpp, ofdma: bool) -> None:
    """The slots from the decision in hand to its PUSCH have their grants already."""
    config = lena(FDD, sinr_db=20, scheduler={"ofdma": ofdma})
    events = at(*upload(200), [10 * MS + SLOT_NS // 2, "grants", EACH_SLOT])
    outcome = drive(cpp, config, events, 1000 * MS, record=True)
    taken = Counter(
        (t["slot"], rb, symbol)
        for t in outcome["transmissions"]
        for rb in range(t["first_rb"], t["first_rb"] + t["rbs"])
        for symbol in range(t["first_symbol"], t["first_symbol"] + t["symbols"])
        if t["up"]
    )
    assert set(taken.values()) == {1}
    assert max(Counter(t["slot"] for t in outcome["transmissions"]).values()) > 1  # the grants have begun


@pytest.mark.parametrize("ofdma", [False, True])
def test_a_retransmission_does_not_wait_for_ever_beside_configured_grants(cpp: Cpp, ofdma: bool) -> None:
    """TBs of the whole carrier fail in an outage; from then on a part of each slot is kept."""
    config = lena(FDD, sinr_db=20, scheduler={"ofdma": ofdma})
    events = at(*upload(200), [10 * MS, "interrupt", 0, 11 * MS], [10 * MS, "grants", EACH_SLOT])
    outcome = drive(cpp, config, events, 1000 * MS, record=True)
    assert any(t["round"] > 1 and t["rbs"] * t["symbols"] == 106 * 13 for t in outcome["transmissions"])
    assert len(outcome["arrivals"]) == 200
    assert outcome["next_ns"] == NEVER


def test_configured_grants_leave_the_srs_alone(cpp: Cpp) -> None:
    carrier = {"slots": FDD, "dmrs_re_per_rb_symbol": 1, "srs_symbols": 2, "srs_period_slots": 1}
    config = lena(FDD, sinr_db=20, scheduler={"ofdma": True}, grants=EACH_SLOT, carrier=carrier)
    outcome = drive(cpp, config, upload(20), 1000 * MS, record=True)
    assert max(t["first_symbol"] + t["symbols"] for t in outcome["transmissions"]) == 14 - 1 - 2


def test_looking_at_the_samples_changes_nothing(cpp: Cpp) -> None:
    """Though it happens when a slot starts, just before a packet comes that this slot still takes."""
    packets = [[10 * MS + 3 * SLOT_NS * index, "packet", 0, False, 0, 1428] for index in range(20)]
    looks = [[t_ns, "look"] for t_ns, *_ in packets]
    unseen = drive(cpp, lena(FDD), packets, 500 * MS)
    seen = drive(cpp, lena(FDD), [event for pair in zip(looks, packets, strict=True) for event in pair], 500 * MS)
    assert [(t_ns, parts) for t_ns, _, parts in seen["arrivals"]] == [
        (t_ns, parts) for t_ns, _, parts in unseen["arrivals"]
    ]
    assert seen["samples"] == unseen["samples"]


@pytest.mark.parametrize("up", [False, True])
def test_what_um_loses_is_dropped(cpp: Cpp, up: bool) -> None:
    """Nothing comes after it that would tell the receiver. DCIs are heard, but not what they announce."""
    config = lena(FDD, sinr_db=-15, link={"control_sinr_db": -30}, grants={"first_grant_bytes": 5000})
    events = [[MS, "packet", 0, up, 0, 1428] for _ in range(30)]
    outcome = drive(cpp, config, events, 5000 * MS)
    assert sorted(outcome["dropped"]) == list(range(30))
    account = outcome["accounts"][0 if up else 1]
    assert (account["dropped"], account["waiting"], account["dropped_packets"]) == (30 * 1428, 0, 30)
    assert outcome["next_ns"] == NEVER
