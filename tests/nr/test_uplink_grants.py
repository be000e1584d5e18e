"""The uplink by SR, BSR and grant, slot by slot, with 5G-LENA's timing; configured and proactive grants."""

from __future__ import annotations

from typing import Any

import pytest

from tests.nr.cells import DDDSU, FDD, MS, SLOT_NS, delays_ms, drive, lena, merged, one_packet
from tests.nr.rig import Cpp

NEVER = 2**63 - 1
LCGS = [{"name": "tokens", "priority": 1, "lcg": 0}, {"name": "bulk", "priority": 9, "lcg": 1}]


def upload(count: int, t_ns: int = MS, ue: int = 0, bearer: int = 0) -> list[list[Any]]:
    """Packets of 1,428 bytes at once."""
    return [[t_ns, "packet", ue, True, bearer, 1428] for _ in range(count)]


def pusch_slots(outcome: dict[str, Any], ue: int = 0) -> list[int]:
    return [t["slot"] for t in outcome["transmissions"] if t["up"] and t["ue"] == ue]


def test_from_sr_to_pusch_in_fdd(cpp: Cpp) -> None:
    """Data at 10.1 ms; SR in slot 23; decision at slot 24; DCI in 26; PUSCH in the last data symbol of 28."""
    arrival_ns, parts = one_packet(cpp, lena(FDD), 10_100_000, up=True)
    start_ns = 28 * SLOT_NS + 12 * SLOT_NS // 14
    assert parts["sr_wait"] == 24 * SLOT_NS - 10_100_000
    assert parts["grant_wait"] == start_ns - 24 * SLOT_NS
    assert parts["queue"] == 0
    assert arrival_ns == 28 * SLOT_NS + 13 * SLOT_NS // 14 + 100_000


def test_srs_wait_for_a_slot_with_uplink(cpp: Cpp) -> None:
    """Ready for slot 20 of DDDSU: SR in slot 23 (S), decision at 24, PUSCH in slot 29, decided at 25 at the latest."""
    _, parts = one_packet(cpp, lena(DDDSU), 9 * MS, up=True)
    assert parts["sr_wait"] == 24 * SLOT_NS - 9 * MS
    assert 29 * SLOT_NS < 9 * MS + parts["sr_wait"] + parts["grant_wait"] < 30 * SLOT_NS


@pytest.mark.parametrize(("ue", "sr_slot"), [(0, 40), (2, 42), (3, 23), (19, 39)])
def test_srs_have_a_period_and_each_ue_its_offset(cpp: Cpp, ue: int, sr_slot: int) -> None:
    config = lena(FDD, ues=20, grants={"sr_period_slots": 20})
    outcome = drive(cpp, config, [[10_100_000, "packet", ue, True, 0, 92]], 100 * MS)
    ((_, _, parts),) = outcome["arrivals"]
    assert parts[0] == (sr_slot + 1) * SLOT_NS - 10_100_000


def test_sr_prohibit_timer(cpp: Cpp) -> None:
    """The first SR ends at 12 ms; the second packet's is not sent before 32 ms."""
    events = [[10_100_000, "packet", 0, True, 0, 92], [20 * MS, "packet", 0, True, 0, 92]]
    outcome = drive(cpp, lena(FDD, grants={"sr_prohibit_ns": 20 * MS}), events, 100 * MS)
    assert outcome["arrivals"][1][2][0] == 12 * MS


def test_a_small_first_grant_takes_a_second_round(cpp: Cpp) -> None:
    """nr.md A3: at 20 dB one RB of a slot does not hold the packet."""
    config = lena(FDD, sinr_db=20, scheduler={"ofdma": True})
    small = drive(cpp, config, [[MS, "packet", 0, True, 0, 92]], 100 * MS, record=True)
    large = drive(
        cpp, merged(config, {"grants": {"first_grant_bytes": 92}}), [[MS, "packet", 0, True, 0, 92]], 100 * MS
    )
    (first, second) = pusch_slots(small)
    assert second == first + 6  # the BSR is decoded 64 us after the next decision
    assert small["arrivals"][0][0] == large["arrivals"][0][0] + 6 * SLOT_NS


def test_a_bsr_that_is_decoded_at_once_is_used_at_once(cpp: Cpp) -> None:
    config = lena(FDD, timing={"gnb_decode_ns": 0})
    slots = pusch_slots(drive(cpp, config, upload(20), 100 * MS, record=True))
    assert slots[1] == slots[0] + 5


def test_grants_follow_what_bsrs_told(cpp: Cpp) -> None:
    """150 kB at 25 dB: the first symbol's TB, then full slots one after another, and none that has nothing to carry."""
    outcome = drive(cpp, lena(FDD, sinr_db=25), upload(108), 100 * MS, record=True)
    slots = pusch_slots(outcome)
    assert slots[1:] == list(range(slots[0] + 6, slots[0] + 6 + len(slots) - 1))
    tb_bytes = [t["tb_bits"] // 8 for t in outcome["transmissions"]]
    assert sum(tb_bytes[:-1]) < 108 * (1428 + 9) + 2 * len(slots) < sum(tb_bytes)


def test_a_bsr_that_is_older_than_another_is_forgotten(cpp: Cpp) -> None:
    """The first full slot's TB fails; its retransmission brings a BSR of what has been sent since."""
    events = upload(40)
    quiet = drive(cpp, lena(FDD, sinr_db=25), events, 100 * MS, record=True)
    failing_ns = pusch_slots(quiet)[1] * SLOT_NS
    events += [[failing_ns, "radio", 0, {"ul_sinr_db": 12}], [failing_ns + SLOT_NS, "radio", 0, {"ul_sinr_db": 25}]]
    disturbed = drive(cpp, lena(FDD, sinr_db=25, link={"cqi_delay_ns": 999 * MS}), events, 100 * MS, record=True)
    first = [t["slot"] for t in disturbed["transmissions"] if t["round"] == 1]
    assert sorted(set(pusch_slots(disturbed)) - set(first)) == [first[1] + 6]
    assert first == pusch_slots(quiet)


def test_a_bsr_tells_no_more_than_its_limit(cpp: Cpp) -> None:
    events = upload(108)
    free = drive(cpp, lena(FDD, sinr_db=25), events, 1000 * MS)
    limited = drive(cpp, lena(FDD, sinr_db=25, grants={"bsr_limit_bytes": 3000}), events, 1000 * MS, record=True)
    assert max(t["tb_bits"] // 8 for t in limited["transmissions"]) < 4500  # 3,000 in whole symbols
    assert max(delays_ms(events, limited)) > 4 * max(delays_ms(events, free))


@pytest.mark.parametrize(("pdu_ahead_slots", "puschs"), [(2, 2), (0, 1)])
def test_data_that_comes_after_the_mac_pdu_was_built_misses_it(cpp: Cpp, pdu_ahead_slots: int, puschs: int) -> None:
    """The PUSCH is in slot 28, its DCI in slot 26."""
    events = [[10_100_000, "packet", 0, True, 0, 92], [13_200_000, "packet", 0, True, 0, 92]]
    config = lena(FDD, timing={"pdu_ahead_slots": pdu_ahead_slots})
    outcome = drive(cpp, config, events, 100 * MS, record=True)
    assert len(pusch_slots(outcome)) == puschs
    # What missed it asks for itself: ready for slot 29, since it came in slot 26.
    late = outcome["arrivals"][1]
    assert (late[2][0] > 0) == (puschs == 2)


def test_data_that_a_bsr_covers_sends_no_sr(cpp: Cpp) -> None:
    """A packet amid an upload goes with the next MAC PDU that has room."""
    events = [*upload(100), [20 * MS, "packet", 0, True, 0, 92]]
    outcome = drive(cpp, lena(DDDSU, sinr_db=25), events, 1000 * MS)
    assert outcome["arrivals"][-1][1] == 100
    assert outcome["arrivals"][-1][2][:2] == [0, 0]


def test_tokens_pass_the_same_ues_upload(cpp: Cpp) -> None:
    """Their logical channel comes first in each MAC PDU, at most a TDD period and what it takes to build one ahead."""
    events = [*upload(400, bearer=1), *([50 * MS + 7 * MS * index, "packet", 0, True, 0, 92] for index in range(5))]
    outcome = drive(cpp, lena(DDDSU, sinr_db=20, bearers=LCGS), events, 1000 * MS)
    delays = {handle: t_ns - events[handle][0] for t_ns, handle, _ in outcome["arrivals"]}
    assert max(delays[handle] for handle in range(400)) > 140 * MS
    assert max(delays[handle] for handle in range(400, 405)) < 5 * MS


def test_ues_with_urgent_data_come_before_others(cpp: Cpp) -> None:
    """One UE uploads, the other one's SR is answered at once and in full."""
    events = [*upload(400, bearer=1), [50 * MS, "packet", 1, True, 0, 92]]
    outcome = drive(cpp, lena(FDD, ues=2, sinr_db=20, bearers=LCGS), events, 1000 * MS)
    ((arrival_ns, _, _),) = (arrival for arrival in outcome["arrivals"] if arrival[1] == 400)
    assert arrival_ns - 50 * MS < 5 * MS


def test_a_power_limited_ue_has_more_sinr_in_fewer_rbs(cpp: Cpp) -> None:
    """106 RBs at -3 dB; one RB has 20.3 dB more, but no more than the cap."""
    config = lena(FDD, sinr_db=-3, scheduler={"ofdma": True}, link={"margin_db": 1})
    limited = {"power_limited": True, "first_grant_bytes": 12}
    events = [[MS, "packet", 0, True, 0, 92]]
    mcs = {
        cap: drive(cpp, merged(config, {"grants": {**limited, "power_cap_db": cap}}), events, 200 * MS, record=True)[
            "transmissions"
        ][0]["mcs"]
        for cap in (30, 10, -10)
    }
    assert mcs[30] > mcs[10] > mcs[-10]
    assert drive(cpp, config, events, 200 * MS, record=True)["transmissions"][0]["mcs"] == mcs[-10]


def test_a_power_limited_ue_gets_through_at_the_mcs_chosen(cpp: Cpp) -> None:
    config = lena(FDD, sinr_db=0, scheduler={"ofdma": True}, grants={"power_limited": True}, link={"margin_db": 1})
    events = upload(40)
    outcome = drive(cpp, config, events, 2000 * MS, record=True)
    assert len(outcome["arrivals"]) == 40
    assert sum(t["decoded"] for t in outcome["transmissions"]) >= 0.9 * len(outcome["transmissions"])


def test_power_limited_ues_that_share_a_slot_have_more_sinr_each(cpp: Cpp) -> None:
    config = lena(FDD, ues=2, sinr_db=5, scheduler={"ofdma": True}, grants={"power_limited": True})
    alone = drive(cpp, config, upload(100), 60 * MS, record=True)
    both = drive(cpp, config, [*upload(100), *upload(100, ue=1)], 60 * MS, record=True)
    wide = {t["mcs"] for t in alone["transmissions"] if t["rbs"] == 106}
    half = {t["mcs"] for t in both["transmissions"] if t["rbs"] == 53}
    assert max(wide) < min(half)


CONFIGURED = {"configured_period_slots": 10, "configured_bytes": 120, "sr_period_slots": 160}


def test_a_configured_grant_needs_no_sr(cpp: Cpp) -> None:
    """Occasions of UE 0 in slots 0, 10, 20, ..., of UE 1 in 1, 11, 21, ...; MAC PDUs are built two slots before."""
    config = lena(FDD, ues=2, grants=CONFIGURED)
    events = [[10_100_000, "packet", ue, True, 0, 92] for ue in (0, 1)]
    outcome = drive(cpp, config, events, 200 * MS, record=True)
    assert [(t["ue"], t["slot"]) for t in outcome["transmissions"]] == [(0, 30), (1, 31)]
    for _, _, parts in outcome["arrivals"]:
        assert parts[0] == 0


def test_an_idle_cell_with_configured_grants_has_nothing_to_do(cpp: Cpp) -> None:
    outcome = drive(cpp, lena(FDD, grants=CONFIGURED), [[MS, "packet", 0, True, 0, 92]], 500 * MS, record=True)
    assert outcome["next_ns"] == NEVER
    assert len(outcome["transmissions"]) == 1
    assert outcome["wakes"] < 20


def test_nobody_else_has_the_resources_of_a_configured_grant(cpp: Cpp) -> None:
    """Used or not; UE 1 has none to send."""
    grants = {**CONFIGURED, "configured_period_slots": 1, "configured_bytes": 3000, "sr_period_slots": 1}
    config = lena(FDD, ues=2, sinr_db=20, scheduler={"ofdma": True}, grants=grants)
    outcome = drive(cpp, config, upload(200), 1000 * MS, record=True)
    dynamic = [t for t in outcome["transmissions"] if t["up"] and t["first_rb"] == 0]
    assert {t["ue"] for t in outcome["transmissions"]} == {0}
    assert max(t["rbs"] for t in dynamic) < 106 / 2


@pytest.mark.parametrize("ofdma", [False, True])
def test_proactive_grants_are_padded(cpp: Cpp, ofdma: bool) -> None:
    """While the cell is busy with UE 0, UE 1 sends padding in every tenth slot."""
    grants = {"proactive_period_slots": 10, "proactive_bytes": 100}
    config = lena(FDD, ues=2, sinr_db=10, grants=grants, scheduler={"ofdma": ofdma})
    outcome = drive(cpp, config, upload(200), 1000 * MS, record=True)
    padded = pusch_slots(outcome, ue=1)
    assert len(padded) >= 5
    assert {slot % 10 for slot in padded} == {1}
    assert outcome["next_ns"] == NEVER


def test_a_proactive_grant_saves_the_sr(cpp: Cpp) -> None:
    config = lena(FDD, grants={"proactive_period_slots": 2, "proactive_bytes": 120, "sr_period_slots": 160})
    arrival_ns, parts = one_packet(cpp, config, 10_100_000, up=True)
    assert parts["sr_wait"] == 0
    assert arrival_ns < 13 * MS


def test_knobs_of_grants_hold_from_their_time_on(cpp: Cpp) -> None:
    events = [
        [10_100_000, "packet", 0, True, 0, 92],
        [20 * MS, "grants", {"sr_period_slots": 40}],
        [30_100_000, "packet", 0, True, 0, 92],
    ]
    outcome = drive(cpp, lena(FDD), events, 200 * MS)
    assert [parts[0] for _, _, parts in outcome["arrivals"]] == [1_900_000, 81 * SLOT_NS - 30_100_000]


@pytest.mark.parametrize(("bsr_bytes", "rounds"), [(0, 1), (5, 2)])
def test_a_grant_of_one_rb_has_the_mcs_of_the_last_one(cpp: Cpp, bsr_bytes: int, rounds: int) -> None:
    """At 26 dB 5G-LENA has MCS 21 for one RB, whose 101 bytes hold the packet with 2 bytes of BSR and not with 5."""
    config = lena(
        DDDSU,
        sinr_db=26,
        scheduler={"ofdma": True},
        link={"margin_db": 2.1, "low_sinr_loss": 1.4, "by_last_rbs": True, "short_block_margin_db": 2.6},
        rlc={"pdcp_bytes": 2, "rlc_bytes": 2, "bsr_bytes": bsr_bytes},
    )
    events = [[t_ns, "packet", 0, True, 0, 92] for t_ns in (MS, 41 * MS)]
    pusch = [t for t in drive(cpp, config, events, 100 * MS, record=True)["transmissions"] if t["up"]]
    assert [(t["rbs"], t["mcs"]) for t in pusch] == [(1, 25)] + [(1, 21)] * rounds


def test_srs_symbols_carry_no_pusch(cpp: Cpp) -> None:
    """Two UEs, each with an SRS every 10th uplink slot: slots 4 and 9, 54 and 59, ... of DDDSU lose two symbols."""
    config = lena(DDDSU, ues=2, sinr_db=5, carrier={"srs_symbols": 2, "srs_period_slots": 10})
    outcome = drive(cpp, config, upload(200), 300 * MS, record=True)
    symbols = {t["slot"]: t["first_symbol"] + t["symbols"] for t in outcome["transmissions"] if t["up"]}
    assert len(symbols) > 50
    assert all(end == (11 if slot % 50 in (4, 9) else 13) for slot, end in symbols.items())


def test_a_ue_may_have_no_pusch_beside_its_srs(cpp: Cpp) -> None:
    config = lena(DDDSU, ues=2, sinr_db=5)
    config["carrier"] |= {"srs_symbols": 2, "srs_period_slots": 10, "srs_excludes_pusch": True}
    events = sorted(upload(200) + upload(200, ue=1))
    outcome = drive(cpp, config, events, 300 * MS, record=True)
    own = [{slot % 50 for slot in pusch_slots(outcome, ue)} for ue in (0, 1)]
    assert own == [set(range(9, 50, 5)), {4, *range(14, 50, 5)}]
