"""HARQ: round trips in slots, combining, processes, and giving up."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import pytest

from tests.nr.cells import DDDSU, FDD, MS, SLOT_NS, drive, lena, one_packet
from tests.nr.rig import Cpp

# The gNB has chosen MCS 27 at 30 dB by then: it fails twice, three transmissions together are decoded.
AT_10_DB = [0, "radio", 0, {"ul_sinr_db": 10, "dl_sinr_db": 10}]


def rounds(outcome: dict[str, Any], *, up: bool) -> list[tuple[int, int, int]]:
    return [(t["slot"], t["round"], t["decoded"]) for t in outcome["transmissions"] if bool(t["up"]) == up]


def downlink(count: int = 1) -> list[list[Any]]:
    return [[10 * MS, "packet", 0, False, 0, 1428] for _ in range(count)]


def test_downlink_round_trip_in_fdd(cpp: Cpp) -> None:
    """PDSCH in slot 22, HARQ-ACK in 24, decision at 25, retransmission in 27."""
    outcome = drive(cpp, lena(FDD), [*downlink(), [10_900_000, *AT_10_DB[1:]]], 900 * MS, record=True)
    assert rounds(outcome, up=False) == [(22, 1, 0), (27, 2, 0), (32, 3, 1)]
    ((_, _, parts),) = outcome["arrivals"]
    assert parts[4] == 10 * SLOT_NS


def test_downlink_acks_wait_for_an_uplink_slot(cpp: Cpp) -> None:
    """DDDSU: PDSCH in slot 20, PUCCH in 23 (S), decision at 24, slot 26; its PUCCH in 28, slot 31."""
    events = [[9 * MS, "packet", 0, False, 0, 1428], [9_900_000, *AT_10_DB[1:]]]
    outcome = drive(cpp, lena(DDDSU), events, 900 * MS, record=True)
    assert [slot for slot, _, _ in rounds(outcome, up=False)] == [20, 26, 31]


def test_k1_delays_the_ack(cpp: Cpp) -> None:
    config = lena(FDD, timing={"k1_slots": 4})
    outcome = drive(cpp, config, [*downlink(), [10_900_000, *AT_10_DB[1:]]], 900 * MS, record=True)
    assert [slot for slot, _, _ in rounds(outcome, up=False)] == [22, 29, 36]


def test_uplink_round_trip_in_fdd(cpp: Cpp) -> None:
    """Data at 10.1 ms: PUSCH in slot 28; failed 100 us after it, decision at slot 30, retransmission in 34."""
    events = [[10_100_000, "packet", 0, True, 0, 500], [12_100_000, *AT_10_DB[1:]]]
    outcome = drive(cpp, lena(FDD), events, 900 * MS, record=True)
    assert rounds(outcome, up=True) == [(28, 1, 0), (34, 2, 0), (40, 3, 1)]
    ((_, _, parts),) = outcome["arrivals"]
    assert parts[4] == 12 * SLOT_NS


def test_a_retransmission_is_like_the_first_transmission(cpp: Cpp) -> None:
    outcome = drive(cpp, lena(FDD), [*downlink(3), [10_900_000, *AT_10_DB[1:]]], 900 * MS, record=True)
    first, second, third = (t for t in outcome["transmissions"] if not t["up"])
    for name in ("rbs", "symbols", "mcs", "tb_bits"):
        assert first[name] == second[name] == third[name]


def test_transmissions_are_combined(cpp: Cpp) -> None:
    """At -9 dB MCS 0 needs four of them, at -3 dB one or two."""
    for sinr_db, least, most in ((-9.0, 2, 4), (-3.0, 1, 2)):
        outcome = drive(cpp, lena(FDD, sinr_db=sinr_db), downlink(), 900 * MS, record=True)
        needed = [t["round"] for t in outcome["transmissions"] if t["decoded"] and not t["up"]]
        assert needed
        assert least <= min(needed) <= max(needed) <= most


def test_combining_can_cost(cpp: Cpp) -> None:
    """Retransmissions that lose 30 dB each are of no use."""
    config = lena(FDD, harq={"max_transmissions": 8, "combining_loss_db": 30})
    outcome = drive(cpp, config, [*downlink(), [10_900_000, *AT_10_DB[1:]]], 900 * MS, record=True)
    assert outcome["arrivals"] == []
    assert [t["round"] for t in outcome["transmissions"]] == list(range(1, 9))


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_a_tb_is_given_up_after_its_last_transmission(cpp: Cpp, limit: int) -> None:
    config = lena(FDD, harq={"max_transmissions": limit, "combining_loss_db": 30})
    outcome = drive(cpp, config, [*downlink(), [10_900_000, *AT_10_DB[1:]]], 900 * MS, record=True)
    assert [t["round"] for t in outcome["transmissions"]] == list(range(1, limit + 1))
    assert outcome["arrivals"] == []


def test_rlc_am_recovers_what_harq_gave_up(cpp: Cpp) -> None:
    config = lena(FDD, harq={"max_transmissions": 1}, rlc={"acknowledged": True})
    events = [*downlink(), [10_900_000, *AT_10_DB[1:]], [20 * MS, "radio", 0, {"ul_sinr_db": 30, "dl_sinr_db": 30}]]
    outcome = drive(cpp, config, events, 900 * MS, record=True)
    ((_, _, parts),) = outcome["arrivals"]
    assert parts[5] >= 45 * MS  # t-PollRetransmit
    assert parts[4] == 0


@pytest.mark.parametrize("up", [False, True])
def test_processes_limit_what_is_in_flight(cpp: Cpp, up: bool) -> None:
    """With one process a TB goes every round trip: 5 slots in the downlink, 6 in the uplink."""
    events = [[10 * MS, "packet", 0, up, 0, 1428] for _ in range(200)]
    outcome = drive(cpp, lena(FDD, harq={"processes": 1}), events, 900 * MS, record=True)
    slots = [slot for slot, _, _ in rounds(outcome, up=up)]
    assert {b - a for a, b in pairwise(slots)} == {6 if up else 5}


def test_the_share_of_errors_is_the_target_of_olla(cpp: Cpp) -> None:
    events = [[20 * MS * index, "packet", 0, False, 0, 1428] for index in range(1, 1000) for _ in range(20)]
    config = lena(FDD, sinr_db=13.3, link={"olla": True, "bler_target": 0.1})
    outcome = drive(cpp, config, events, 20_500 * MS, record=True)
    count = Counter(t["decoded"] for t in outcome["transmissions"] if t["round"] == 1)
    assert count[0] / count.total() == pytest.approx(0.1, abs=0.03)


def test_round_trips_do_not_reorder_packets(cpp: Cpp) -> None:
    events = [[10 * MS + 300_000 * index, "packet", 0, False, 0, 400] for index in range(200)]
    outcome = drive(
        cpp,
        lena(FDD, sinr_db=12.3, link={"olla": True, "bler_target": 0.3}, rlc={"acknowledged": True}),
        events,
        900 * MS,
        record=True,
    )
    assert [handle for _, handle, _ in outcome["arrivals"]] == list(range(200))
    assert any(not t["decoded"] for t in outcome["transmissions"])
    assert any(parts[6] > 0 for _, _, parts in outcome["arrivals"])


def test_a_ue_that_decodes_after_its_ack(cpp: Cpp) -> None:
    """The gNB hears of it first; the packet leaves when it has been decoded."""
    config = lena(FDD, timing={"ue_decode_ns": 5 * MS})
    arrival_ns, parts = one_packet(cpp, config, 10 * MS, up=False)
    assert parts["processing"] == 5 * MS
    assert arrival_ns == 11 * MS + 2 * SLOT_NS // 14 + 5 * MS
