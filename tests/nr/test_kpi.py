"""What the windows of a cell's KPIs say."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.nr.rig import Cpp

MS = 1_000_000
CELL = -1
# DDDSU with 100 RBs: 13 + 13 + 13 + 11 symbols of PDSCH in 2.5 ms, 13 of PUSCH.
DL_PER_WINDOW = 40 * 100 * 50

WINDOWS = """
config = nr.CellConfig()
for dl, ul in [(14, 0)] * 3 + [(12, 2), (0, 14)]:
    shape = nr.SlotShape()
    shape.dl_symbols, shape.ul_symbols = dl, ul
    config.carrier.slots.push_back(shape)
config.carrier.dl_rbs = config.carrier.ul_rbs = 100
config.ues.resize(3)
kpis = nr.RadioKpis(config, nr.Frame(config.carrier, config.timing))
result = []
for name, t, *arguments in values["calls"]:
    if name == "Transmitted":
        transmission = nr.Transmission()
        for key, value in arguments[0].items():
            setattr(transmission, key, value)
        arguments[0] = transmission
    taken = getattr(kpis, name)(t, *arguments)
    if name == "Take":
        result += [
            {key: getattr(sample, key) for key in nr.RadioSample.__dict__ if not key.startswith("_")}
            for sample in taken
        ]
"""

Sample = dict[str, Any]


def samples(cpp: Cpp, *calls: tuple[Any, ...], until: int = 301) -> dict[tuple[int, int, bool], Sample]:
    """Samples by end of the window (ms), UE and direction."""
    found = cpp.run(WINDOWS, calls=[*calls, ("Take", until * MS, False)])
    by_key = {(sample["t_ns"] / MS, sample["ue"], sample["up"]): sample for sample in found}
    assert len(by_key) == len(found)
    assert [(t, ue, not up) for t, ue, up in by_key] == sorted((t, ue, not up) for t, ue, up in by_key)
    return by_key


def sent(t_ms: float, ue: int = 0, sinr_db: float = 10, **fields: Any) -> tuple[Any, ...]:
    whole = {"up": False, "rbs": 100, "symbols": 13, "mcs": 9, "decoded": True}
    return ("Transmitted", int(t_ms * MS), whole | {"ue": ue} | fields, sinr_db)


def test_an_idle_cell_has_no_samples(cpp: Cpp) -> None:
    assert samples(cpp, ("Take", 50 * MS, False), until=10_000) == {}


def test_a_ue_and_direction_has_a_sample_where_something_was(cpp: Cpp) -> None:
    found = samples(cpp, ("Delivered", 30 * MS, 1, True, 500), ("Delivered", 250 * MS, 2, False, 700))
    assert {key: sample["delivered_bytes"] for key, sample in found.items()} == {
        (100, CELL, True): 500,
        (100, 1, True): 500,
        (300, CELL, False): 700,
        (300, 2, False): 700,
    }
    sample = found[100, 1, True]
    unknown = ("mcs_mean", "bler", "harq_rounds_mean", "sr_wait_ms_mean", "grant_wait_ms_mean")
    assert [sample[key] for key in unknown] == [-1] * len(unknown)
    assert (sample["prb_share"], sample["max_queue_bytes"], sample["dropped_packets"]) == (0, 0, 0)
    assert math.isnan(sample["sinr_db"])


def test_an_instant_on_a_boundary_belongs_to_the_window_that_it_ends(cpp: Cpp) -> None:
    found = samples(cpp, ("Delivered", 100 * MS, 0, True, 1), ("Delivered", 100 * MS + 1, 0, True, 2))
    assert [found[t, 0, True]["delivered_bytes"] for t in (100, 200)] == [1, 2]


def test_the_window_under_way_is_closed_when_time_has_passed_it_or_by_a_cut(cpp: Cpp) -> None:
    calls = [("Delivered", 30 * MS, 0, True, 1)]
    assert samples(cpp, *calls, until=100) == {}
    found = samples(cpp, *calls, ("Take", 60 * MS, True), ("Delivered", 70 * MS, 0, True, 2), until=101)
    assert {key: sample["delivered_bytes"] for key, sample in found.items()} == {
        (60, CELL, True): 1,
        (60, 0, True): 1,
        (100, CELL, True): 2,
        (100, 0, True): 2,
    }


def test_a_full_direction_has_a_share_of_one_between_its_ues(cpp: Cpp) -> None:
    slots = [(k / 2, k % 5) for k in range(1, 601)]
    calls = [
        sent(t, ue=int(t) % 2, symbols={1: 13, 2: 13, 3: 13, 4: 11}[k]) if k else sent(t, ue=2, up=True)
        for t, k in slots
    ]
    found = samples(cpp, *calls)
    for t in (100, 200, 300):
        assert found[t, CELL, False]["prb_share"] == 1
        assert found[t, CELL, True]["prb_share"] == found[t, 2, True]["prb_share"] == 1
        assert found[t, 0, False]["prb_share"] + found[t, 1, False]["prb_share"] == pytest.approx(1)
        assert 0.4 < found[t, 0, False]["prb_share"] < 0.6


def test_shares_of_a_cut_window_are_of_its_own_slots(cpp: Cpp) -> None:
    found = samples(cpp, sent(1), sent(1.5), ("Take", 2 * MS, True), sent(10), sent(550), until=601)
    assert found[2, 0, False]["prb_share"] == 2 * 13 / 50
    assert found[100, 0, False]["prb_share"] == 1_300 / (DL_PER_WINDOW - 5_000)
    assert found[600, 0, False]["prb_share"] == 1_300 / DL_PER_WINDOW


def test_a_cut_within_a_slot_counts_that_slot(cpp: Cpp) -> None:
    found = samples(cpp, sent(2.5, ue=2, up=True), sent(4.9, ue=2, up=True), ("Take", 4_950_000, True), until=101)
    assert [sample["prb_share"] for sample in found.values()] == [1, 1]  # of the cell and of its UE


def test_means_are_over_what_they_say(cpp: Cpp) -> None:
    """MCS and BLER of first transmissions; rounds of TBs that ended, decoded or given up; SINR of all."""
    found = samples(
        cpp,
        sent(1, mcs=10, round=1, decoded=True, sinr_db=6),
        sent(2, mcs=20, round=1, decoded=False, sinr_db=8),
        sent(7, mcs=20, round=2, decoded=False, sinr_db=10),
        sent(12, mcs=20, round=3, decoded=True, sinr_db=12),
        sent(13, mcs=3, round=4, decoded=False, sinr_db=14),
        sent(13.5, mcs=6, ue=1, round=1, decoded=True, sinr_db=30),
    )
    sample, cell = found[100, 0, False], found[100, CELL, False]
    assert (sample["mcs_mean"], sample["bler"], sample["sinr_db"]) == (15, 0.5, 10)
    assert sample["harq_rounds_mean"] == pytest.approx((1 + 3 + 4) / 3)
    assert sample["prb_share"] == 5 * 1_300 / DL_PER_WINDOW
    assert (cell["mcs_mean"], cell["bler"]) == (12, pytest.approx(1 / 3))
    assert cell["harq_rounds_mean"] == pytest.approx((1 + 3 + 4 + 1) / 4)
    assert cell["sinr_db"] == pytest.approx((6 + 8 + 10 + 12 + 14 + 30) / 6)


def test_a_queue_is_seen_until_it_is_empty(cpp: Cpp) -> None:
    calls = [
        ("Queue", 10 * MS, 0, True, 4_000),
        ("Queue", 20 * MS, 1, True, 3_000),
        ("Queue", 30 * MS, 0, True, 1_000),
        ("Queue", 350 * MS, 0, True, 0),
        ("Queue", 360 * MS, 1, True, 0),
    ]
    found = samples(cpp, *calls, until=1_000)
    waiting = {key: sample["max_queue_bytes"] for key, sample in found.items()}
    assert [waiting[t, 0, True] for t in (100, 200, 300, 400)] == [4_000, 1_000, 1_000, 1_000]
    assert [waiting[t, 1, True] for t in (100, 200, 300, 400)] == [3_000] * 4
    assert [waiting[t, CELL, True] for t in (100, 200, 300, 400)] == [7_000, 4_000, 4_000, 4_000]
    assert len(waiting) == 12


def test_a_cut_on_a_boundary_leaves_no_window_of_no_length(cpp: Cpp) -> None:
    calls = [("Queue", 10 * MS, 0, True, 4_000), ("Take", 100 * MS, True), ("Take", 100 * MS, True)]
    assert sorted({t for t, _, _ in samples(cpp, *calls, until=201)}) == [100, 200]


def test_drops_and_waits_are_counted(cpp: Cpp) -> None:
    found = samples(
        cpp,
        ("Dropped", 10 * MS, 0, True),
        ("Dropped", 10 * MS, 0, True, 4),
        ("SrWaited", 11 * MS, 0, 2_000_000),
        ("SrWaited", 12 * MS, 0, 5_000_000),
        ("GrantWaited", 13 * MS, 0, 1_500_000),
        ("GrantWaited", 14 * MS, 1, 2_500_000),
        ("SrWaited", 115 * MS, 2, 0),
    )
    sample, cell = found[100, 0, True], found[100, CELL, True]
    assert (sample["dropped_packets"], cell["dropped_packets"]) == (5, 5)
    assert (sample["sr_wait_ms_mean"], sample["grant_wait_ms_mean"]) == (3.5, 1.5)
    assert (cell["sr_wait_ms_mean"], cell["grant_wait_ms_mean"]) == (3.5, 2)
    assert (found[200, 2, True]["sr_wait_ms_mean"], found[200, 2, True]["grant_wait_ms_mean"]) == (0, -1)
