"""A cell as a whole: delays that follow from its timing, knobs, outages, priorities, background traffic, idling."""

from __future__ import annotations

import statistics
from typing import Any

import pytest

from tests.nr.cells import DDDSU, FDD, MS, SLOT_NS, delays_ms, drive, lena, merged, one_packet
from tests.nr.rig import Cpp, CppError

NEVER = 2**63 - 1


def spread(count: int, *, up: bool, n_bytes: int = 92) -> list[list[Any]]:
    """Lone packets to all parts of the TDD period."""
    return [[50 * MS * index + index * 5 * SLOT_NS // count, "packet", 0, up, 0, n_bytes] for index in range(1, count)]


@pytest.mark.parametrize(
    ("slots", "ofdma", "up", "expected_ms"),
    [
        (FDD, False, False, 1.42),
        (FDD, True, False, 1.85),
        (DDDSU, False, False, 1.53),
        (FDD, False, True, 4.34),
        (FDD, True, True, 4.34),
        (DDDSU, False, True, 5.36),
        (DDDSU, True, True, 5.36),
    ],
)
def test_delays_of_small_packets_are_those_of_5g_lena(
    cpp: Cpp, slots: list[dict[str, int]], ofdma: bool, up: bool, expected_ms: float
) -> None:
    """nr.md A3, to a fifth of a slot."""
    events = spread(100, up=up)
    outcome = drive(cpp, lena(slots, scheduler={"ofdma": ofdma}), events, 6000 * MS)
    assert len(outcome["arrivals"]) == len(events)
    assert statistics.mean(delays_ms(events, outcome)) == pytest.approx(expected_ms, abs=0.1)


def test_parts_of_a_downlink_packet(cpp: Cpp) -> None:
    config = lena(FDD, timing={"gnb_stack_ns": 300_000, "ue_stack_ns": 50_000})
    # In the RLC at 10.3 ms: decided at 10.5 ms, sent in symbol 1 of the slot at 11.5 ms, 100 us to decode.
    arrival_ns, parts = one_packet(cpp, config, 10 * MS, up=False)
    start_ns, end_ns = 11_500_000 + SLOT_NS // 14, 11_500_000 + 2 * SLOT_NS // 14
    assert parts == {
        "sr_wait": 0,
        "grant_wait": 0,
        "queue": start_ns - 10_300_000,
        "air": end_ns - start_ns,
        "harq": 0,
        "rlc_recovery": 0,
        "pdcp_reorder": 0,
        "processing": 450_000,
    }
    assert arrival_ns == end_ns + 150_000


def test_an_idle_cell_has_nothing_to_do(cpp: Cpp) -> None:
    outcome = drive(cpp, lena(DDDSU, ues=20), [], 1000 * MS)
    assert (outcome["next_ns"], outcome["wakes"]) == (NEVER, 0)


def test_after_a_packet_a_cell_is_idle_again(cpp: Cpp) -> None:
    outcome = drive(cpp, lena(DDDSU), [[MS, "packet", 0, True, 0, 92]], 1000 * MS)
    assert outcome["next_ns"] == NEVER
    assert outcome["wakes"] < 20


def test_packets_wait_for_the_end_of_an_outage(cpp: Cpp) -> None:
    events = [[MS, "interrupt", 0, 101 * MS], [2 * MS, "packet", 0, True, 0, 92], [2 * MS, "packet", 0, False, 0, 92]]
    outcome = drive(cpp, lena(FDD), events, 1000 * MS)
    assert all(101 * MS < t_ns < 107 * MS for t_ns, _, _ in outcome["arrivals"])
    assert len(outcome["arrivals"]) == 2


def test_what_is_on_the_air_when_an_outage_begins_fails(cpp: Cpp) -> None:
    """The PDSCH of slot 23 ends 71 us after its start; HARQ brings the packet after the outage."""
    events = [[10 * MS, "packet", 0, False, 0, 92], [11 * MS + 50_000, "interrupt", 0, 31 * MS]]
    outcome = drive(cpp, lena(FDD), events, 1000 * MS, record=True)
    assert [transmission["decoded"] for transmission in outcome["transmissions"]] == [0, 1]
    ((arrival_ns, _, parts),) = outcome["arrivals"]
    assert 31 * MS < arrival_ns < 34 * MS
    assert parts[4] > 19 * MS  # HARQ


LOSSY = {"low_sinr_loss": 1.0, "olla": False}  # else four transmissions together are decoded at -10 dB


@pytest.mark.parametrize("acknowledged", [False, True])
def test_nothing_gets_through_at_minus_10_db(cpp: Cpp, acknowledged: bool) -> None:
    events = [[10 * MS * index, "packet", 0, up, 0, 1428] for index in range(1, 50) for up in (True, False)]
    config = lena(FDD, sinr_db=-10, link=LOSSY, rlc={"acknowledged": acknowledged, "buffer_bytes": 20_000})
    outcome = drive(cpp, config, events, 10_000 * MS, record=True)
    assert outcome["arrivals"] == []
    assert not any(transmission["decoded"] for transmission in outcome["transmissions"])
    assert outcome["wakes"] < 10 * 20_000  # of 20,000 slots
    for account in outcome["accounts"]:
        assert account["sent"] == account["dropped"] + account["waiting"] == 49 * 1428


def test_am_gives_up_at_minus_10_db(cpp: Cpp) -> None:
    events = [[10 * MS, "packet", 0, up, 0, 40] for up in (True, False)]
    config = lena(FDD, sinr_db=-10, link=LOSSY, rlc={"acknowledged": True, "max_retransmissions": 4})
    outcome = drive(cpp, config, events, 10_000 * MS)
    assert (outcome["arrivals"], outcome["next_ns"]) == ([], NEVER)
    assert sorted(outcome["dropped"]) == [0, 1]


def test_tokens_pass_the_same_ues_bulk(cpp: Cpp) -> None:
    bearers = [{"name": "tokens", "priority": 1, "lcg": 0}, {"name": "bulk", "priority": 9, "lcg": 1}]
    events: list[list[Any]] = [[MS, "packet", 0, False, 1, 1428] for _ in range(1000)]
    events += [[20 * MS + 10 * MS * index, "packet", 0, False, 0, 92] for index in range(5)]
    outcome = drive(cpp, lena(DDDSU, bearers=bearers), events, 1000 * MS)
    delays = {handle: t_ns - events[handle][0] for t_ns, handle, _ in outcome["arrivals"]}
    assert max(delays[handle] for handle in range(1000)) > 60 * MS  # 1.4 MB at 170 Mbit/s
    assert max(delays[handle] for handle in range(1000, 1005)) < 3 * MS


def test_a_full_buffer_refuses(cpp: Cpp) -> None:
    events = [[MS, "packet", 0, up, 0, 1000] for up in (True, False) for _ in range(20)]
    config = lena(FDD, rlc={"buffer_bytes": 10_000}, timing={"ue_stack_ns": MS, "gnb_stack_ns": MS})
    outcome = drive(cpp, config, events, 1000 * MS)
    assert outcome["refused"] == [*range(9, 20), *range(29, 40)]  # 9 SDUs with PDCP's headers
    assert [account["dropped_packets"] for account in outcome["accounts"]] == [11, 11]
    assert len(outcome["arrivals"]) == 18


def test_background_traffic_takes_its_share(cpp: Cpp) -> None:
    """A saturated downlink halves the rate of a transfer beside it."""
    full = {"name": "full", "background": True, "dl_traffic": True, "radio": {"dl_sinr_db": 30, "ul_sinr_db": 30}}
    events = [[MS, "packet", 0, False, 0, 1428] for _ in range(1000)]
    alone = drive(cpp, lena(DDDSU), events, 1000 * MS)
    config = lena(DDDSU)
    config["ues"].append(full)
    beside = drive(cpp, config, events, 1000 * MS)
    assert max(delays_ms(events, beside)) == pytest.approx(2 * max(delays_ms(events, alone)), rel=0.1)
    assert beside["accounts"][3]["delivered"] > 10_000_000


def test_background_traffic_can_be_switched_on_and_off(cpp: Cpp) -> None:
    config = lena(DDDSU)
    config["ues"].append({"name": "other", "background": True})
    events = [[100 * MS, "traffic", 1, up, True, {"kind": 1, "rate_bps": 8_000_000}] for up in (True, False)]
    events += [[600 * MS, "traffic", 1, up, False, {}] for up in (True, False)]
    outcome = drive(cpp, config, events, 1000 * MS)
    assert outcome["next_ns"] == NEVER
    for account in outcome["accounts"][2:]:
        assert account["delivered"] == pytest.approx(500_000, rel=0.02)


def test_a_knob_of_the_radio_holds_from_its_time_on(cpp: Cpp) -> None:
    events: list[list[Any]] = [[MS, "packet", 0, False, 0, 1428] for _ in range(2000)]
    events.insert(0, [0, "radio", 0, {"ul_sinr_db": 30, "dl_sinr_db": 30}])
    events.append([30 * MS, "radio", 0, {"ul_sinr_db": 5, "dl_sinr_db": 5}])
    outcome = drive(cpp, lena(DDDSU), events, 2000 * MS, record=True)
    # Decided up to the knob, sent up to two slots later.
    first = [t for t in outcome["transmissions"] if t["round"] == 1]
    before = {t["mcs"] for t in first if t["slot"] < 60}
    after = {t["mcs"] for t in first if t["slot"] > 62}
    assert min(before) > 25
    assert max(after) < 10


def test_the_gnb_knows_the_sinr_late(cpp: Cpp) -> None:
    events: list[list[Any]] = [[MS, "packet", 0, False, 0, 1428] for _ in range(2000)]
    events.append([30 * MS, "radio", 0, {"ul_sinr_db": 30, "dl_sinr_db": 10}])
    config = lena(DDDSU, link={"cqi_delay_ns": 20 * MS}, rlc={"acknowledged": True})
    outcome = drive(cpp, config, events, 2000 * MS, record=True)
    first = [t for t in outcome["transmissions"] if t["round"] == 1 and not t["up"]]
    assert not any(t["decoded"] for t in first if 60 <= t["slot"] < 102)
    assert all(t["decoded"] for t in first if t["slot"] < 60)
    assert sum(t["decoded"] for t in first if t["slot"] > 102) > 50


def test_layers_cost_sinr(cpp: Cpp) -> None:
    """Twice the bits of the MCS at 3 dB less."""
    events = [[MS, "packet", 0, False, 0, 1428] for _ in range(500)]
    two = drive(cpp, lena(FDD, sinr_db=20, carrier={"dl_layers": 2}), events, 500 * MS, record=True)
    less = drive(cpp, lena(FDD, sinr_db=17), events, 500 * MS, record=True)
    assert two["transmissions"][0]["mcs"] == less["transmissions"][0]["mcs"]
    assert two["transmissions"][0]["tb_bits"] == pytest.approx(2 * less["transmissions"][0]["tb_bits"], rel=0.01)


def test_a_sleeping_ue_is_reached_in_its_on_duration(cpp: Cpp) -> None:
    """The first cycle's on-duration is over at 2 ms, the next one begins at 40 ms; an SR needs none."""
    drx = {"cycle_ns": 40 * MS, "on_ns": 2 * MS, "inactivity_ns": 5 * MS}
    down, _ = one_packet(cpp, lena(FDD, drx=drx), 10 * MS, up=False)
    up, _ = one_packet(cpp, lena(FDD, drx=drx), 10 * MS, up=True)
    assert 40 * MS < down < 41 * MS
    assert up < 15 * MS


def test_kpis_tell_of_waits_and_bytes(cpp: Cpp) -> None:
    events = [[20 * MS * index + MS, "packet", 0, True, 0, 92] for index in range(10)]
    outcome = drive(cpp, lena(FDD), events, 200 * MS)
    up = [sample for sample in outcome["samples"] if sample["ue"] == 0 and sample["up"]]
    assert sum(sample["delivered_bytes"] for sample in up) == 920
    assert all(sample["sr_wait_ms_mean"] == pytest.approx(1.5) for sample in up)
    assert all(sample["grant_wait_ms_mean"] == pytest.approx(2 + 12 / 28) for sample in up)


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ({"bearers": []}, "at least one bearer"),
        ({"bearers": [{"name": "x", "lcg": 8}]}, "lcg of a bearer"),
        ({"harq": {"processes": 0}}, "at least one process"),
        ({"timing": {"k1_slots": -1}}, "number of slots"),
        ({"timing": {"gnb_decode_ns": -1}}, "no time"),
    ],
)
def test_what_a_cell_cannot_carry_is_refused(cpp: Cpp, section: dict[str, Any], says: str) -> None:
    with pytest.raises(CppError, match=says):
        drive(cpp, merged(lena(FDD), section), [], 0)


@pytest.mark.parametrize(("dl_sinr_db", "decoded"), [(-8.0, True), (-8.1, False)])
def test_a_ue_that_decodes_no_dci_is_out_of_reach_both_ways(cpp: Cpp, dl_sinr_db: float, decoded: bool) -> None:
    far = {"name": "far", "radio": {"ul_sinr_db": 20.0, "dl_sinr_db": dl_sinr_db}}
    config = merged(lena(FDD), {"ues": [far], "link": {"control_sinr_db": -8.0}})
    events = [[10 * MS, "packet", 0, up, 0, 100] for up in (True, False)]
    outcome = drive(cpp, config, events, 900 * MS, record=True)
    assert {bool(t["up"]) for t in outcome["transmissions"]} == {True, False}
    assert any(t["decoded"] for t in outcome["transmissions"] if t["up"]) == decoded
    if not decoded:
        assert not any(t["decoded"] for t in outcome["transmissions"])
