"""RLC UM and AM with PDCP (38.322, 38.323): short plays whose log is written out, and properties of random ones.

In a log "3" is SDU 3, "3[10:20]" a segment of it with its PDCP header of 3 bytes, "?" a poll, "<4!1" a status report
that has everything below 4 but 1. A TB sent at t has arrived at t + 1.1 ms. Headers of a PDU take 6 bytes, 8 with SO.
"""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from tests.nr.rig import Cpp
from tests.nr.rlc_play import DOWN, MS, UP, play

SMALL = [100]
ONE = 1009  # room for one SDU of 1000 bytes and its headers


def sdus(count: int, n_bytes: int = 1000, side: int = UP) -> list[tuple[float, int, int]]:
    """All at once, at 0."""
    return [(0, side, n_bytes)] * count


@pytest.mark.parametrize("acknowledged", [False, True])
def test_tb_takes_whole_sdus_and_a_segment(cpp: Cpp, acknowledged: bool) -> None:
    played = play(cpp, sdus(3), rooms=([1500], SMALL), acknowledged=acknowledged)
    poll = "?" if acknowledged else ""
    assert played.log[:6] == [
        "0.0 up sends 0 1[0:485]",
        "0.5 up sends 1[485:1003] 2[0:968]",
        f"1.0 up sends 2[968:1003]{poll}",
        "1.1 up delivers 0",
        "1.6 up delivers 1",
        "2.1 up delivers 2",
    ]
    assert played.log[6:] == (["2.5 down sends <3"] if acknowledged else [])
    assert played.idle
    assert played.inside == [[0, 0, 0], [0, 0, 0]]


def test_no_pdu_without_a_byte_of_payload(cpp: Cpp) -> None:
    assert play(cpp, sdus(1), rooms=([6], SMALL), slots=10).log == []
    assert play(cpp, sdus(1), rooms=([7, 8, 9], SMALL), slots=3).log == [
        "0.0 up sends 0[0:1]",
        "1.0 up sends 0[1:2]",
    ]
    # A header of 6 and the whole of SDU 0 leave 6 bytes: too few for a byte of SDU 1.
    assert play(cpp, sdus(2), rooms=([ONE + 6], SMALL), slots=1).log == ["0.0 up sends 0"]


def test_pending_bytes_include_headers(cpp: Cpp) -> None:
    assert play(cpp, sdus(3), rooms=([1], SMALL), slots=1).inside[UP] == [3000, 0, 3 * ONE]
    assert play(cpp, sdus(3), rooms=([1500], SMALL), slots=1).inside[UP] == [1000, 2000, 518 + 8 + ONE]


def test_full_buffer_refuses(cpp: Cpp) -> None:
    played = play(cpp, sdus(3), rooms=([ONE], SMALL), buffer_bytes=2999)
    assert played.lines("refuses") == ["0.0 up refuses"]
    assert played.delivered(UP) == [0, 1]
    assert play(cpp, sdus(3), rooms=([ONE], SMALL), buffer_bytes=3000).delivered(UP) == [0, 1, 2]


def test_um_gives_up_a_lost_segment_and_goes_on(cpp: Cpp) -> None:
    played = play(cpp, sdus(5), rooms=([1500], SMALL), lost=([1], []), acknowledged=False)
    # t-Reassembly starts at 2.1 when SDU 2's end shows that 1 and 2 have gaps, t-Reordering when SDU 3 is whole.
    assert played.log[4:] == [
        "1.5 up sends 4[442:1003]",
        "37.1 up drops 1",
        "37.1 up drops 2",
        "52.1 up delivers 3",
        "52.1 up delivers 4",
    ]
    assert played.idle


def test_um_gives_up_one_gap_after_another(cpp: Cpp) -> None:
    played = play(cpp, sdus(8), rooms=([1500], SMALL), lost=([1, 4], []), acknowledged=False, t_reordering_ns=200 * MS)
    assert played.lines("sends", "loses")[2:] == [
        "1.0 up sends 2[968:1003] 3 4[0:442]",
        "1.5 up sends 4[442:1003] 5[0:925]",
        "2.0 up loses 5[925:1003] 6 7[0:399]",
        "2.5 up sends 7[399:1003]",
    ]
    assert played.lines("drops")[:4] == ["37.1 up drops 1", "37.1 up drops 2", "72.1 up drops 5", "72.1 up drops 7"]


def test_um_gives_up_a_lost_sdu_when_t_reordering_ends(cpp: Cpp) -> None:
    played = play(cpp, sdus(3), rooms=([ONE], SMALL), lost=([1], []), acknowledged=False, t_reordering_ns=20 * MS)
    assert played.log[-3:] == ["1.1 up delivers 0", "22.1 up drops 1", "22.1 up delivers 2"]


def test_um_keeps_what_nothing_came_after(cpp: Cpp) -> None:
    played = play(cpp, sdus(2), rooms=([ONE], SMALL), lost=([1], []), acknowledged=False)
    assert played.dropped(UP) == []
    assert played.inside[UP] == [0, 1000, 0]


def test_um_takes_a_whole_sdu_after_t_reassembly(cpp: Cpp) -> None:
    late = play(cpp, sdus(3), rooms=([ONE], SMALL), late=({1: 16}, {}), acknowledged=False)
    assert late.delivered(UP) == [0, 1, 2]
    assert late.deliveries[1].t_ns == 41.6 * MS


def test_um_takes_no_segment_after_t_reassembly(cpp: Cpp) -> None:
    late = play(cpp, sdus(3), rooms=([1500], SMALL), late=({1: 16}, {}), acknowledged=False)
    assert late.lines("drops", "delivers") == ["1.1 up delivers 0", "37.1 up drops 1", "37.1 up drops 2"]
    both = play(cpp, sdus(3), rooms=([ONE, 500, 520, ONE], SMALL), late=({1: 16, 2: 16}, {}), acknowledged=False)
    assert both.lines("drops", "delivers") == ["1.1 up delivers 0", "52.6 up drops 1", "52.6 up delivers 2"]


def test_am_recovers_a_lost_middle(cpp: Cpp) -> None:
    played = play(cpp, sdus(4), rooms=([ONE], SMALL), lost=([1], []))
    assert played.log == [
        "0.0 up sends 0",
        "0.5 up loses 1",
        "1.0 up sends 2",
        "1.1 up delivers 0",
        "1.5 up sends 3?",
        "37.5 down sends <4!1",
        "39.0 up sends 1?",
        "40.1 up delivers 1",
        "40.1 up delivers 2",
        "40.1 up delivers 3",
        "47.5 down sends <4",
    ]
    assert played.wakes == ["37.1 down wakes", "38.6 up wakes", "47.5 down wakes"]
    recovered, behind = played.deliveries[1:3]
    assert recovered.parts == {
        "sr_wait": 0,
        "grant_wait": 0,
        "queue": 1 * MS,
        "air": MS // 2,
        "harq": 0,
        "rlc_recovery": 38.5 * MS,
        "pdcp_reorder": 0,
        "processing": MS // 10,
    }
    assert behind.parts["rlc_recovery"] == 0
    assert behind.parts["pdcp_reorder"] == 38 * MS


def test_am_asks_for_the_lost_segments_alone(cpp: Cpp) -> None:
    played = play(cpp, sdus(5), rooms=([1500], SMALL), lost=([1], []))
    assert played.lines("down")[0] == "37.5 down sends <5!1[485:]!2[0:968]"
    assert "39.0 up sends 1[485:1003] 2[0:968]?" in played.log
    assert played.delivered(UP) == [0, 1, 2, 3, 4]


def test_am_asks_for_a_gap_within_an_sdu(cpp: Cpp) -> None:
    played = play(cpp, sdus(1), rooms=([256], SMALL), lost=([1, 3], []))
    assert played.lines("sends", "loses") == [
        "0.0 up sends 0[0:250]",
        "0.5 up loses 0[250:498]",
        "1.0 up sends 0[498:746]",
        "1.5 up loses 0[746:994]",
        "2.0 up sends 0[994:1003]?",
        "37.5 down sends <1!0[250:498]!0[746:994]",
        "39.0 up sends 0[250:498]",
        "39.5 up sends 0[746:994]?",
        "47.5 down sends <1",
    ]
    assert played.delivered(UP) == [0]


def test_am_segments_a_retransmission_anew(cpp: Cpp) -> None:
    played = play(cpp, sdus(5), rooms=([3030, 3030, 400], SMALL), lost=([0], []))
    assert [line for line in played.lines("sends") if " up " in line] == [
        "0.5 up sends 3 4?",
        "38.5 up sends 0[0:394]",
        "39.0 up sends 0[394:1003] 1 2?",
    ]
    assert played.lines("down")[0] == "37.0 down sends <5!0+3"
    assert played.delivered(UP) == [0, 1, 2, 3, 4]


def test_am_does_not_queue_twice_what_waits_for_its_retransmission(cpp: Cpp) -> None:
    # Nine SDUs are lost, and the reports each 10 ms ask for those that the small TBs have not brought yet.
    played = play(
        cpp, sdus(10), rooms=([9090, 1100, *[258] * 200], [500]), every=(2, 1), lost=([0], []), t_reassembly_ns=10 * MS
    )
    reports = [line for line in played.lines("down") if "!" in line]
    assert len(reports) >= 4
    assert played.delivered(UP) == list(range(10))
    # Four TBs an SDU, and a few for what a report asks for while it is on the air.
    assert 36 <= len(played.lines("up")) - 2 - 10 <= 40


def test_am_recovers_a_lost_end_by_t_poll_retransmit(cpp: Cpp) -> None:
    played = play(cpp, sdus(2), rooms=([ONE], SMALL), lost=([1], []))
    assert played.log == [
        "0.0 up sends 0",
        "0.5 up loses 1?",
        "1.1 up delivers 0",
        "45.5 up sends 1?",
        "46.6 up delivers 1",
        "47.0 down sends <2",
    ]
    assert played.idle


def test_am_repeats_its_poll_when_the_report_is_lost(cpp: Cpp) -> None:
    played = play(cpp, sdus(2), rooms=([ONE], SMALL), lost=([], [0]))
    assert played.lines("down") == ["2.0 down loses <2", "47.0 down sends <2"]
    assert played.lines("sends")[2] == "45.5 up sends 1?"
    assert played.delivered(UP) == [0, 1]
    assert played.idle


def test_am_survives_a_retransmission_that_overtakes_harq(cpp: Cpp) -> None:
    played = play(cpp, sdus(1), rooms=([ONE], SMALL), late=({0: 20}, {}))
    assert played.lines("delivers") == ["46.1 up delivers 0"]
    assert played.inside[UP] == [0, 0, 0]


def test_am_gives_up_after_max_retransmissions(cpp: Cpp) -> None:
    played = play(
        cpp, sdus(2), rooms=([ONE], SMALL), lost=([0, 2, 3], []), t_reordering_ns=500 * MS, max_retransmissions=2
    )
    assert played.lines("up")[2:] == [
        "38.5 up loses 0?",
        "83.5 up loses 0?",
        "128.5 up drops 0",
        "128.5 up delivers 1",
    ]
    assert played.inside == [[0, 0, 0], [0, 0, 0]]


def test_am_does_not_drop_what_has_arrived_without_a_report(cpp: Cpp) -> None:
    played = play(cpp, sdus(2), rooms=([ONE], SMALL), lost=([], list(range(20))), max_retransmissions=2, slots=1000)
    assert played.delivered(UP) == [0, 1]
    assert played.dropped(UP) == []
    assert played.idle
    assert len(played.lines("up")) == 2 + 2 + 2 * 2  # each sent, delivered, retransmitted twice


def test_am_gives_up_an_sdu_before_it_is_sent_whole(cpp: Cpp) -> None:
    # A TB each 10 ms: SDU 0 would take 17 of them. Its second one is lost, and so is the retransmission.
    played = play(
        cpp,
        [(0, UP, 4000), (0, UP, 500)],
        rooms=([256], SMALL),
        lost=([1, 6], []),
        every=(20, 1),
        max_retransmissions=1,
    )
    assert played.log[-8:] == [
        "100.0 up sends 0[2234:2482]",
        "106.5 down sends <1!0[250:498]!0[2482:]",
        "107.6 up drops 0",
        "110.0 up sends 1[0:250]",
        "120.0 up sends 1[250:498]",
        "130.0 up sends 1[498:503]?",
        "131.1 up delivers 1",
        "131.5 down sends <2",
    ]
    assert played.inside == [[0, 0, 0], [0, 0, 0]]


def test_window_stalls_new_sdus(cpp: Cpp) -> None:
    # A 12-bit SN has a window of 2048: with SDU 0 lost, SDU 2048 waits until 0 has been acknowledged.
    played = play(cpp, sdus(2100, 10), rooms=([3000], [100]), lost=([0], []), rlc_bytes=2, t_reordering_ns=500 * MS)
    sent = [line for line in played.lines("sends") if " up " in line]
    before = [line for line in sent if float(line.split()[0]) < 30]
    assert before[-1].endswith(" 2047?")
    assert played.inside[UP] == [0, 0, 0]
    answer = next(line for line in played.lines("down") if "!" not in line)
    beyond = next(line for line in sent if " 2048 " in line)
    assert float(beyond.split()[0]) > float(answer.split()[0])
    assert played.delivered(UP) == list(range(2100))


def test_poll_each_64_pdus(cpp: Cpp) -> None:
    # 64 TBs take longer than t-PollRetransmit, which the report on SDU 63 stops.
    played = play(cpp, sdus(150), rooms=([ONE], SMALL), every=(2, 1))
    assert [line.split()[-1] for line in played.lines("up") if "?" in line] == ["63?", "127?", "149?"]


def test_poll_each_500_kilobytes(cpp: Cpp) -> None:
    played = play(cpp, sdus(60, 9000), rooms=([9009], SMALL))
    assert [line.split()[-1] for line in played.lines("up") if "?" in line] == ["55?", "59?"]


def test_status_reports_keep_their_distance(cpp: Cpp) -> None:
    played = play(cpp, [(3.0 * n, UP, 500) for n in range(20)], rooms=([ONE], SMALL))
    reports = played.lines("down")
    times = [float(line.split()[0]) for line in reports]
    assert all(b - a >= 10 for a, b in pairwise(times))
    assert len(times) == 7
    assert reports[-1].endswith("<20")


def test_status_report_that_has_no_room_is_continued(cpp: Cpp) -> None:
    nine = [9]  # MAC subheader, status header, one NACK
    apart = play(cpp, sdus(6), rooms=([ONE], nine), lost=([1, 3], []), late=({2: 1}, {}), t_reordering_ns=200 * MS)
    assert apart.lines("down") == ["38.5 down sends <3!1", "48.5 down sends <6!3", "58.5 down sends <6"]
    run = play(cpp, sdus(6), rooms=([ONE], nine), lost=([1, 2], []), t_reordering_ns=200 * MS)
    assert run.lines("down")[0] == "38.0 down sends <2!1"
    ten = play(cpp, sdus(6), rooms=([ONE], [10]), lost=([1, 2], []), t_reordering_ns=200 * MS)
    assert ten.lines("down")[0] == "38.0 down sends <6!1+2"
    part = play(
        cpp, sdus(5), rooms=([1500], [12, 100]), lost=([1], []), t_reordering_ns=200 * MS, t_poll_retransmit_ns=200 * MS
    )
    assert part.lines("down")[:2] == ["37.5 down sends <1", "47.5 down sends <5!1[485:]!2[0:968]"]


def test_what_t_reassembly_has_waited_for_delays_no_later_report(cpp: Cpp) -> None:
    # SDU 1 and its retransmission are lost; the report on SDU 3 asks for it once more.
    played = play(cpp, [*sdus(3), (60, UP, 1000)], rooms=([ONE], SMALL), lost=([1, 3], []), t_reordering_ns=200 * MS)
    assert played.lines("sends", "loses")[3:] == [
        "37.5 down sends <3!1",
        "39.0 up loses 1?",
        "60.0 up sends 3?",
        "61.5 down sends <4!1",
        "63.0 up sends 1?",
        "71.5 down sends <4",
    ]


def test_status_comes_before_data(cpp: Cpp) -> None:
    played = play(cpp, [*sdus(1), (1.5, DOWN, 1000)], rooms=([ONE], [600]))
    assert played.lines("down")[0] == "1.5 down sends <1 0[0:588]"


def test_pdcp_gives_up_before_am_does(cpp: Cpp) -> None:
    played = play(cpp, sdus(3), rooms=([ONE], SMALL), lost=([1], []), t_reordering_ns=30 * MS)
    assert played.lines("drops", "delivers") == ["1.1 up delivers 0", "32.1 up drops 1", "32.1 up delivers 2"]
    assert played.inside[UP] == [0, 0, 0]
    assert len(played.lines("sends")) == 2 + 1 + 2  # RLC recovered it all the same


def test_both_directions_at_once(cpp: Cpp) -> None:
    played = play(cpp, [*sdus(30, 700), *sdus(30, 900, DOWN)], lost=([1], [2]))
    assert played.delivered(UP) == list(range(30))
    assert played.delivered(DOWN) == list(range(30))
    assert played.inside == [[0, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize("acknowledged", [False, True])
@pytest.mark.parametrize("loss", [0.0, 0.05, 0.3])
def test_random_plays(cpp: Cpp, acknowledged: bool, loss: float) -> None:
    """Order, parts and balance are checked by `play`; here, that what must arrive does and nothing stays for ever."""
    for seed in range(25):
        draw = random.Random(f"{seed} {acknowledged} {loss}")
        traffic = sorted(
            (draw.uniform(0, 400), draw.choice([UP, DOWN]), draw.randint(40, 1500))
            for _ in range(draw.choice([5, 50, 500]))
        )
        lost, late = ([], []), ({}, {})  # type: tuple[list[int], list[int]], tuple[dict[int, int], dict[int, int]]
        for side in (UP, DOWN):
            lost[side].extend(tb for tb in range(1500) if draw.random() < loss)
            late[side].update({tb: draw.randint(1, 3) for tb in range(1500) if draw.random() < 0.2})
        patient = seed % 2 == 0
        played = play(
            cpp,
            traffic,
            slots=40_000,
            rooms=([draw.randint(20, 4000) for _ in range(50)], [draw.randint(20, 4000) for _ in range(50)]),
            lost=lost,
            late=late,
            every=(draw.choice([1, 5]), draw.choice([1, 3])),
            acknowledged=acknowledged,
            rlc_bytes=draw.choice([2, 3]),
            max_retransmissions=32 if patient else 1,
            t_reordering_ns=(5000 if patient else 40) * MS,
        )
        assert played.idle
        for side in (UP, DOWN):
            waiting, unsettled, pending = played.inside[side]
            assert (waiting, pending) == (0, 0)
            count = sum(sdu[1] == side for sdu in traffic)
            settled = set(played.delivered(side) + played.dropped(side))
            assert settled >= set(range(max(played.delivered(side), default=0)))
            if acknowledged or loss == 0:
                assert unsettled == 0
                assert settled == set(range(count))
            if (acknowledged and patient) or loss == 0:
                assert played.dropped(side) == []
