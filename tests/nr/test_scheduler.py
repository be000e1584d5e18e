"""Who gets which part of a slot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.nr.rig import Cpp

# A TB of bytes that a reader can work out: its first symbol is DMRS; MCS m carries m + 1 bits per RE.
SIZES = """
#include <functional>
namespace scheduler_test {
inline std::function<int64_t(int32_t, int32_t, int32_t)> Sizes() {
    return [](int32_t mcs, int32_t rbs, int32_t symbols) {
        return symbols > 1 ? int64_t{12} * rbs * (symbols - 1) * (mcs + 1) / 8 : 0;
    };
}
}
"""

SLOTS = """
config = nr.SchedulerConfig()
for key, value in values["config"].items():
    setattr(config, key, value)
scheduler = nr.Scheduler(config, values["ues"], cppyy.gbl.scheduler_test.Sizes())
allocations = cppyy.gbl.std.vector[nr.Allocation]()
allocations.push_back(nr.Allocation())
result = []
for resources, demands in values["slots"]:
    part = nr.Resources()
    for key, value in resources.items():
        setattr(part, key, value)
    asked = cppyy.gbl.std.vector[nr.Demand]()
    for fields in demands:
        demand = nr.Demand()
        for key, value in fields.items():
            setattr(demand, key, value)
        asked.push_back(demand)
    scheduler.Allocate(part, asked, allocations)
    keys = ("ue", "harq_process", "retransmission", "mcs", "first_rb", "rbs", "first_symbol", "symbols", "tb_bytes")
    result.append([{key: getattr(allocation, key) for key in keys} for allocation in allocations])
"""

Fields = dict[str, Any]
Slot = tuple[Fields, list[Fields]]
Allocate = Callable[..., list[list[Fields]]]

DOWN: Fields = {"rbs": 100, "first_symbol": 1, "symbols": 13}
UP: Fields = {"rbs": 100, "first_symbol": 0, "symbols": 13, "from_end": True}
ENDLESS = 10**9
LEAST_TB_BYTES = 32
TDMA = {"ofdma": False}
OFDMA = {"ofdma": True, "rbg_rbs": 8}


def tb_bytes(mcs: int, rbs: int, symbols: int) -> int:
    return 12 * rbs * (symbols - 1) * (mcs + 1) // 8 if symbols > 1 else 0


@pytest.fixture(scope="module")
def allocate(cpp: Cpp) -> Allocate:
    """Allocations of one slot after the other, by one scheduler."""
    cpp.run("cppyy.cppdef(values['text']); result = None", text=SIZES)

    def call(slots: list[Slot], **config: Any) -> list[list[Fields]]:
        ues = 1 + max((demand["ue"] for _, demands in slots for demand in demands), default=0)
        answer: list[list[Fields]] = cpp.run(SLOTS, slots=slots, ues=ues, config=config)
        return answer

    return call


def new(ue: int, n_bytes: int = ENDLESS, **fields: Any) -> Fields:
    return {"ue": ue, "n_bytes": n_bytes, "mcs": 7, **fields}


def again(ue: int, rbs: int, symbols: int, **fields: Any) -> Fields:
    return {"ue": ue, "retransmission": True, "rbs": rbs, "symbols": symbols, "mcs": 3, **fields}


def spans(allocations: list[Fields]) -> list[tuple[int, int, int]]:
    return [(part["ue"], part["first_symbol"], part["symbols"]) for part in allocations]


def bands(allocations: list[Fields]) -> list[tuple[int, int, int]]:
    return [(part["ue"], part["first_rb"], part["rbs"]) for part in allocations]


def shares(slots: list[list[Fields]]) -> dict[int, float]:
    """Share of all RB-symbols that each UE got."""
    got: Counter[int] = Counter()
    for part in (part for slot in slots for part in slot):
        got[part["ue"]] += part["rbs"] * part["symbols"]
    return {ue: amount / got.total() for ue, amount in got.items()}


def test_tdma_gives_whole_symbols_from_the_first_on_as_many_as_a_demand_needs(allocate: Allocate) -> None:
    enough = tb_bytes(7, 100, 3)
    [slot] = allocate([(DOWN, [new(0, enough), new(1, enough + 1), new(2, 1)])], **TDMA)
    assert {(ue, symbols) for ue, _, symbols in spans(slot)} == {(0, 3), (1, 4), (2, 2)}
    assert spans(slot) == [(0, 1, 3), (1, 4, 4), (2, 8, 2)]
    assert all((part["first_rb"], part["rbs"]) == (0, 100) for part in slot)
    assert [part["tb_bytes"] for part in slot] == [tb_bytes(7, 100, symbols) for symbols in (3, 4, 2)]


def test_the_uplink_fills_from_its_last_symbol_back(allocate: Allocate) -> None:
    [slot] = allocate([(UP, [new(0, tb_bytes(7, 100, 3)), new(1)])], **TDMA)
    assert spans(slot) == [(0, 10, 3), (1, 0, 10)]


def test_ofdma_gives_rbgs_over_all_symbols(allocate: Allocate) -> None:
    [slot] = allocate([(DOWN, [new(0, tb_bytes(7, 8, 13)), new(1, tb_bytes(7, 8, 13) + 1), new(2)])], **OFDMA)
    assert bands(slot) == [(0, 0, 8), (1, 8, 16), (2, 24, 76)]
    assert all((part["first_symbol"], part["symbols"]) == (1, 13) for part in slot)


def test_no_tb_is_empty(allocate: Allocate) -> None:
    slots = allocate([(DOWN, [new(ue) for ue in range(13)])] * 3, proportional_fair=False, **TDMA)
    assert [len(slot) for slot in slots] == [6, 6, 6]
    assert all(part["tb_bytes"] > 0 for slot in slots for part in slot)


@pytest.mark.parametrize("shape", [TDMA, OFDMA])
def test_round_robin_takes_turns_over_slots(allocate: Allocate, shape: Fields) -> None:
    demands = [new(ue, mcs=ue) for ue in range(20)]
    got = shares(allocate([(DOWN, demands)] * 200, proportional_fair=False, **shape))
    assert all(share == pytest.approx(1 / 20, rel=0.05) for share in got.values())


def test_round_robin_gives_an_odd_symbol_to_whom_was_served_longest_ago(allocate: Allocate) -> None:
    first, second = allocate([(DOWN, [new(0), new(1)])] * 2, proportional_fair=False, **TDMA)
    assert spans(first) == [(0, 1, 7), (1, 8, 6)]
    assert spans(second) == [(1, 1, 7), (0, 8, 6)]


@pytest.mark.parametrize("shape", [TDMA, OFDMA])
def test_proportional_fair_gives_equal_resources_to_unequal_ues(allocate: Allocate, shape: Fields) -> None:
    demands = [new(0, mcs=3), new(1, mcs=15), new(2, mcs=27)]
    got = shares(allocate([(DOWN, demands)] * 600, pf_window_slots=50, **shape)[200:])
    assert all(share == pytest.approx(1 / 3, rel=0.05) for share in got.values())


def test_proportional_fair_serves_a_ue_when_it_is_better_than_usual(allocate: Allocate) -> None:
    """Two UEs whose channels alternate: each gets most of the slots in which it is the better one."""
    slots: list[Slot] = [(DOWN, [new(0, mcs=27 - 14 * (k % 2)), new(1, mcs=13 + 14 * (k % 2))]) for k in range(600)]
    got = allocate(slots, pf_window_slots=100, **TDMA)[200:]
    assert shares(got[0::2])[0] > 0.9
    assert shares(got[1::2])[1] > 0.9


def test_what_a_ue_gains_in_a_slot_counts_at_once(allocate: Allocate) -> None:
    slots = allocate([(DOWN, [new(ue) for ue in range(4)])] * 50, **TDMA)
    assert all(sorted(symbols for _, _, symbols in spans(slot)) == [3, 3, 3, 4] for slot in slots[1:])


def test_an_average_knows_slots_with_new_data_alone(allocate: Allocate) -> None:
    """UE 0 had the cell for itself, then nothing to send; UE 1 comes first when both have something, however late."""
    before: list[Slot] = [(DOWN, [new(0)])] * 100
    idle: list[Slot] = [(DOWN, [new(1, 1)])] * 500
    *_, slot = allocate([*before, *idle, (DOWN, [new(0), new(1)])], pf_window_slots=50, **TDMA)
    assert spans(slot) == [(1, 1, 13)]


def test_a_slot_without_a_grant_lowers_the_average(allocate: Allocate) -> None:
    """UE 1 hogs a higher priority for a while; UE 0 waits meanwhile, and has it made up afterwards."""
    served: list[Slot] = [(DOWN, [new(0), new(2)])] * 100
    waits: list[Slot] = [(DOWN, [new(0), new(1, priority=1)])] * 100
    *_, slot = allocate([*served, *waits, (DOWN, [new(0), new(2)])], pf_window_slots=50, **TDMA)
    assert spans(slot) == [(0, 1, 13)]


@pytest.mark.parametrize("fair", [True, False])
def test_urgent_data_come_first_and_share_the_ues_one_allocation(allocate: Allocate, fair: bool) -> None:
    token = tb_bytes(7, 100, 2)
    demands = [
        new(0),
        new(1, priority=5, n_bytes=token, harq_process=4),
        new(1, priority=9, harq_process=4),
        new(2, priority=5, n_bytes=token),
    ]
    [slot] = allocate([(DOWN, demands)], proportional_fair=fair, **TDMA)
    assert [part["ue"] for part in slot] == [1, 2, 0]
    assert sum(part["symbols"] for part in slot) == 13
    assert slot[0]["symbols"] > 2
    assert slot[0]["harq_process"] == 4
    assert slot[1]["symbols"] == 2


def test_urgent_data_may_take_everything(allocate: Allocate) -> None:
    [slot] = allocate([(DOWN, [new(0), new(1, priority=2), new(1, priority=3), new(2, priority=3)])], **TDMA)
    assert spans(slot) == [(1, 1, 13)]


def test_demands_of_one_priority_add_up(allocate: Allocate) -> None:
    half = tb_bytes(7, 100, 3) // 2
    [slot] = allocate([(DOWN, [new(0, half), new(0, half), new(1, 1)])], **TDMA)
    assert sorted(spans(slot)) == [(0, 1, 3), (1, 4, 2)]


@pytest.mark.parametrize(
    ("shape", "resources", "place"),
    [(TDMA, DOWN, (0, 1)), (TDMA, UP, (0, 9)), (OFDMA, DOWN, (0, 1)), (OFDMA, UP, (0, 0))],
)
def test_a_retransmission_comes_first_with_its_size(
    allocate: Allocate, shape: Fields, resources: Fields, place: tuple[int, int]
) -> None:
    [slot] = allocate([(resources, [new(0, priority=1), again(1, 40, 4, harq_process=6), new(1)])], **shape)
    repeated, fresh = slot
    assert repeated["retransmission"]
    assert not fresh["retransmission"]
    assert (repeated["ue"], repeated["harq_process"], repeated["mcs"]) == (1, 6, 3)
    assert (repeated["rbs"], repeated["symbols"]) == (40, 4)
    assert (repeated["first_rb"], repeated["first_symbol"]) == place
    assert fresh["ue"] == 0


@pytest.mark.parametrize("shape", [TDMA, OFDMA])
def test_a_retransmission_that_does_not_fit_waits(allocate: Allocate, shape: Fields) -> None:
    special = {**DOWN, "symbols": 6}
    demands = [again(0, 60, 8), again(1, 60, 6), again(2, 60, 6), again(3, 40, 6)]
    [slot] = allocate([(special, demands)], **shape)
    assert [part["ue"] for part in slot] == ([1] if shape == TDMA else [1, 3])


@pytest.mark.parametrize("shape", [TDMA, OFDMA])
def test_a_ue_has_one_allocation(allocate: Allocate, shape: Fields) -> None:
    [slot] = allocate([(DOWN, [again(0, 8, 2, harq_process=1), again(0, 8, 2, harq_process=2), new(0)])], **shape)
    assert [part["harq_process"] for part in slot] == [1]


def test_nothing_of_the_last_slot_is_left(allocate: Allocate) -> None:
    slots = allocate([(DOWN, [new(0)]), (DOWN, []), ({**DOWN, "symbols": 0}, [new(0)]), (DOWN, [new(0, 1)])], **TDMA)
    assert [spans(slot) for slot in slots] == [[(0, 1, 13)], [], [], [(0, 1, 2)]]


DEMANDS = st.lists(
    st.one_of(
        st.builds(
            lambda ue, n_bytes, mcs, priority: new(ue, n_bytes, mcs=mcs, priority=priority),
            st.integers(0, 7),
            st.integers(1, 60_000),
            st.integers(0, 27),
            st.sampled_from([5, 9]),
        ),
        st.builds(again, st.integers(0, 7), st.integers(1, 106), st.integers(1, 13)),
    ),
    max_size=12,
)
SLOT_PARTS = st.builds(
    lambda rbs, first, symbols, from_end: {
        "rbs": rbs,
        "first_symbol": first,
        "symbols": symbols,
        "from_end": from_end,
    },
    st.integers(1, 275),
    st.integers(0, 2),
    st.integers(1, 12),
    st.booleans(),
)


@settings(max_examples=60, deadline=None)
@given(
    slots=st.lists(st.tuples(SLOT_PARTS, DEMANDS), min_size=1, max_size=4),
    fair=st.booleans(),
    ofdma=st.booleans(),
    rbg_rbs=st.sampled_from([1, 4, 16]),
)
def test_any_slot_is_shared_without_overlap_and_to_the_last_need(
    allocate: Allocate, slots: list[Slot], fair: bool, ofdma: bool, rbg_rbs: int
) -> None:
    for slot in slots:
        # A UE has one MCS for all its new data.
        mcs_of = {demand["ue"]: demand["mcs"] for demand in slot[1]}
        for demand in slot[1]:
            demand["mcs"] = mcs_of[demand["ue"]]
    answers = allocate(slots, proportional_fair=fair, ofdma=ofdma, rbg_rbs=rbg_rbs)
    for (resources, demands), parts in zip(slots, answers, strict=True):
        taken = [
            (symbol, rb)
            for part in parts
            for symbol in range(part["first_symbol"], part["first_symbol"] + part["symbols"])
            for rb in range(part["first_rb"], part["first_rb"] + part["rbs"])
        ]
        assert len(set(taken)) == len(taken)
        first, last = resources["first_symbol"], resources["first_symbol"] + resources["symbols"]
        assert all(first <= symbol < last and 0 <= rb < resources["rbs"] for symbol, rb in taken)
        assert len({part["ue"] for part in parts}) == len(parts)
        fresh = {part["ue"]: part for part in parts if not part["retransmission"]}
        for part in fresh.values():
            assert part["tb_bytes"] == tb_bytes(part["mcs"], part["rbs"], part["symbols"]) > 0
        used = sum(part["rbs"] if ofdma else part["symbols"] for part in parts)
        free = (resources["rbs"] if ofdma else resources["symbols"]) - used
        for ue in {demand["ue"] for demand in demands if "n_bytes" in demand} - {
            part["ue"] for part in parts if part["retransmission"]
        }:
            needs = sum(demand.get("n_bytes", 0) for demand in demands if demand["ue"] == ue)
            gained = fresh[ue]["tb_bytes"] if ue in fresh else 0
            # What is left over would not hold a TB that is worth its headers, or all that is needed.
            mcs = mcs_of_new(demands, ue)
            left = tb_bytes(mcs, free, resources["symbols"]) if ofdma else tb_bytes(mcs, resources["rbs"], free)
            least = max(1, min(LEAST_TB_BYTES, needs, tb_bytes(mcs, resources["rbs"], resources["symbols"])))
            assert gained >= needs or (free == 0 if gained else left < least)


def mcs_of_new(demands: list[Fields], ue: int) -> int:
    return next(int(demand["mcs"]) for demand in demands if demand["ue"] == ue and "n_bytes" in demand)


def test_no_block_is_too_small_for_more_than_headers(allocate: Allocate) -> None:
    """Two symbols of 11 RBs hold 16 bytes at MCS 0, three 33: of 13 symbols four UEs get three each, nobody one."""
    narrow = {"rbs": 11, "first_symbol": 1, "symbols": 13}
    demands = [new(ue, 1_000, mcs=0) for ue in range(6)]
    (served,) = allocate([(narrow, demands)], ofdma=False)
    assert sorted((part["symbols"], part["tb_bytes"]) for part in served) == [(3, 33)] * 3 + [(4, 49)]


def test_a_small_demand_takes_no_more_than_it_needs(allocate: Allocate) -> None:
    narrow = {"rbs": 11, "first_symbol": 1, "symbols": 13}
    (served,) = allocate([(narrow, [new(0, 10, mcs=0)])], ofdma=False)
    assert [(part["symbols"], part["tb_bytes"]) for part in served] == [(2, 16)]
