"""Reordering in the receiving PDCP entity (38.323 5.2.2)."""

from __future__ import annotations

from pathlib import Path

from tests.nr.rig import Cpp

HEADER = Path(__file__).with_name("pdcp_play.h")

CODE = """
cppyy.include(values["header"])
play = nr.PdcpPlay(values["t_reordering_ns"])
for t_ns, serial in values["receipts"]:
    if serial < 0:
        play.Skip(t_ns, -serial)
    else:
        play.Receive(t_ns, serial)
play.RunTo(10_000)
result = [str(line) for line in play.log]
"""


def log_of(cpp: Cpp, *receipts: tuple[int, int], t_reordering_ns: int = 100) -> list[str]:
    """Of receipts (t_ns, serial); a negative serial is skipped."""
    log: list[str] = cpp.run(CODE, header=str(HEADER), receipts=receipts, t_reordering_ns=t_reordering_ns)
    return log


def test_in_order(cpp: Cpp) -> None:
    assert log_of(cpp, (5, 0), (6, 1)) == ["5 delivers 0 after 0", "6 delivers 1 after 0"]


def test_a_gap_that_is_filled_in_time(cpp: Cpp) -> None:
    assert log_of(cpp, (0, 0), (10, 2), (20, 3), (110 - 1, 1)) == [
        "0 delivers 0 after 0",
        "109 delivers 1 after 0",
        "109 delivers 2 after 99",
        "109 delivers 3 after 89",
    ]


def test_a_gap_that_is_not_filled_in_time(cpp: Cpp) -> None:
    assert log_of(cpp, (10, 1), (20, 2), (111, 0)) == [
        "110 loses 0",
        "110 delivers 1 after 100",
        "110 delivers 2 after 90",
        "111 discards 0",
    ]


def test_a_later_gap_has_its_own_time_from_the_end_of_the_first(cpp: Cpp) -> None:
    # t-Reordering runs from 10 for what is before 2, then from 110 for what is before 4 (RX_REORD).
    assert log_of(cpp, (10, 1), (30, 3)) == [
        "110 loses 0",
        "110 delivers 1 after 100",
        "210 loses 2",
        "210 delivers 3 after 180",
    ]


def test_a_later_gap_has_its_own_time_from_the_filling_of_the_first(cpp: Cpp) -> None:
    assert log_of(cpp, (10, 1), (30, 3), (50, 0)) == [
        "50 delivers 0 after 0",
        "50 delivers 1 after 40",
        "150 loses 2",
        "150 delivers 3 after 120",
    ]


def test_what_was_held_is_delivered_up_to_the_next_gap(cpp: Cpp) -> None:
    assert log_of(cpp, (10, 1), (20, 2), (30, 4)) == [
        "110 loses 0",
        "110 delivers 1 after 100",
        "110 delivers 2 after 90",
        "210 loses 3",
        "210 delivers 4 after 180",
    ]


def test_duplicates_are_discarded(cpp: Cpp) -> None:
    assert log_of(cpp, (0, 0), (1, 0), (2, 2), (3, 2), (4, 1)) == [
        "0 delivers 0 after 0",
        "1 discards 0",
        "3 discards 2",
        "4 delivers 1 after 0",
        "4 delivers 2 after 2",
    ]


def test_nobody_waits_for_a_skipped_one(cpp: Cpp) -> None:
    assert log_of(cpp, (0, 0), (10, 2), (20, -1), (30, 1)) == [
        "0 delivers 0 after 0",
        "20 delivers 2 after 10",
        "30 discards 1",
    ]
    assert log_of(cpp, (0, 0), (10, -1), (20, 2)) == ["0 delivers 0 after 0", "20 delivers 2 after 0"]


def test_without_t_reordering_nothing_is_held(cpp: Cpp) -> None:
    assert log_of(cpp, (10, 1), (11, 0), t_reordering_ns=0) == ["10 loses 0", "10 delivers 1 after 0", "11 discards 0"]
