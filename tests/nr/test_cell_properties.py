"""What holds in every cell, whatever its configuration and traffic: checked on cells drawn at random."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from tests.nr.cells import MS, drive
from tests.nr.random_cells import cell, events
from tests.nr.rig import Cpp

SEEDS = range(40)
TRAFFIC_NS = 300 * MS
END_NS = 3_000 * MS


class Case:
    """A random cell, its events and what came of them."""

    def __init__(self, cpp: Cpp, seed: int) -> None:
        draw = random.Random(seed)
        self.config = cell(draw)
        self.events = events(draw, self.config, TRAFFIC_NS)
        self.outcome = drive(cpp, self.config, self.events, END_NS, record=True)

    def packets(self) -> Iterator[tuple[int, list[Any]]]:
        """Handles and events of packets."""
        return ((handle, event) for handle, event in enumerate(self.events) if event[1] == "packet")

    def slot_ns(self) -> int:
        return int(MS) >> int(self.config["carrier"]["numerology"])


@pytest.fixture(scope="module", params=SEEDS)
def case(request: pytest.FixtureRequest, cpp: Cpp) -> Case:
    return Case(cpp, request.param)


def test_a_packet_arrives_once_or_is_dropped_once_or_waits(case: Case) -> None:
    arrived = [handle for _, handle, _ in case.outcome["arrivals"]]
    ends = arrived + case.outcome["dropped"] + case.outcome["refused"]
    assert len(set(ends)) == len(ends)
    assert set(ends) <= {handle for handle, _ in case.packets()}


def test_bytes_in_are_bytes_out_and_drops_and_what_waits(case: Case) -> None:
    arrived = {handle for _, handle, _ in case.outcome["arrivals"]}
    dropped = {*case.outcome["dropped"], *case.outcome["refused"]}
    expected: dict[tuple[int, bool], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for handle, (_, _, ue, up, _, n_bytes) in case.packets():
        account = expected[ue, up]
        account["sent"] += n_bytes
        account["delivered" if handle in arrived else "dropped" if handle in dropped else "waiting"] += n_bytes
        account["dropped_packets"] += handle in dropped
    accounts = iter(case.outcome["accounts"])
    for ue, values in enumerate(case.config["ues"]):
        for up in (True, False):
            account = next(accounts)
            assert account["sent"] == account["delivered"] + account["dropped"] + account["waiting"]
            if not values["background"]:
                assert account == {name: expected[ue, up][name] for name in account}


def test_what_waits_has_a_reason(case: Case) -> None:
    """Seconds after the last packet AM has brought all; UM may have lost the last ones of a bearer for good."""
    if case.config["rlc"]["acknowledged"]:
        foreground = [index for index, ue in enumerate(case.config["ues"]) if not ue["background"]]
        waiting = [case.outcome["accounts"][2 * ue + side]["waiting"] for ue in foreground for side in (0, 1)]
        assert sum(waiting) == 0


def test_parts_are_exact(case: Case) -> None:
    for t_ns, handle, parts in case.outcome["arrivals"]:
        assert t_ns == case.events[handle][0] + sum(parts)
        assert min(parts) >= 0


def test_no_packet_is_faster_than_its_path(case: Case) -> None:
    """Stacks, decoding, one symbol, and from the decision at a slot's start to the slot of the DCI or PUSCH."""
    timing = case.config["timing"]
    slot_ns = case.slot_ns()
    for t_ns, handle, _ in case.outcome["arrivals"]:
        came_ns, _, _, up, _, _ = case.events[handle]
        decode_ns = timing["gnb_decode_ns" if up else "ue_decode_ns"]
        ahead_slots = 0 if up else timing["schedule_ahead_slots"]
        least_ns = timing["ue_stack_ns"] + timing["gnb_stack_ns"] + decode_ns + slot_ns // 14
        assert t_ns - came_ns >= least_ns + ahead_slots * slot_ns


def test_packets_of_a_bearer_keep_their_order(case: Case) -> None:
    order = defaultdict(list)
    for _, handle, _ in case.outcome["arrivals"]:
        order[tuple(case.events[handle][2:5])].append(handle)
    for handles in order.values():
        assert handles == sorted(handles)


def test_arrivals_come_in_order_of_time(case: Case) -> None:
    times = [t_ns for t_ns, _, _ in case.outcome["arrivals"]]
    assert times == sorted(times)


def test_one_transmission_per_prb_and_symbol(case: Case) -> None:
    taken: dict[tuple[int, int, int], int] = defaultdict(int)  # a bit per RB
    for t in case.outcome["transmissions"]:
        rbs = ((1 << t["rbs"]) - 1) << t["first_rb"]
        for symbol in range(t["first_symbol"], t["first_symbol"] + t["symbols"]):
            place = (t["slot"], t["up"], symbol)
            assert taken[place] & rbs == 0
            taken[place] |= rbs


def test_transmissions_keep_within_the_slots_symbols(case: Case) -> None:
    """DL after the PDCCH, UL before the PUCCH."""
    carrier = case.config["carrier"]
    for t in case.outcome["transmissions"]:
        shape = carrier["slots"][t["slot"] % len(carrier["slots"])]
        last_symbol = t["first_symbol"] + t["symbols"]
        assert t["first_rb"] + t["rbs"] <= carrier["dl_rbs"]
        if t["up"]:
            assert t["first_symbol"] >= 14 - shape["ul_symbols"]
            assert last_symbol <= 13
        else:
            assert t["first_symbol"] >= 1
            assert last_symbol <= shape["dl_symbols"]


def test_harq_keeps_its_limits(case: Case) -> None:
    """Rounds, and TBs in flight: no more new ones than processes within the least round trip, which is a slot."""
    harq = case.config["harq"]
    slots: dict[tuple[int, int], list[int]] = defaultdict(list)
    for t in case.outcome["transmissions"]:
        assert 1 <= t["round"] <= harq["max_transmissions"]
        slots[t["ue"], t["up"]].append(t["slot"])
    if harq["processes"] == 1:
        for used in slots.values():
            assert len(set(used)) == len(used)


def test_samples_count_what_was_delivered(case: Case) -> None:
    delivered: dict[tuple[int, bool], int] = defaultdict(int)
    for sample in case.outcome["samples"]:
        delivered[sample["ue"], sample["up"]] += sample["delivered_bytes"]
        assert 0 <= sample["prb_share"] <= 1 + 1e-9
    for index, account in enumerate(case.outcome["accounts"]):
        assert delivered[index // 2, index % 2 == 0] == account["delivered"]


@pytest.mark.parametrize("seed", [3, 11, 26])
def test_same_seed_same_bytes(cpp: Cpp, seed: int) -> None:
    assert json.dumps(Case(cpp, seed).outcome) == json.dumps(Case(cpp, seed).outcome)


def test_another_seed_draws_other_errors(cpp: Cpp) -> None:
    draw = random.Random(11)
    config = cell(draw)
    packets = events(draw, config, TRAFFIC_NS)
    one, other = (drive(cpp, config | {"seed": seed}, packets, END_NS, record=True) for seed in (1, 2))
    assert one["transmissions"] != other["transmissions"]


def test_one_ues_outage_leaves_the_draws_of_others(cpp: Cpp) -> None:
    """Their errors depend on their own stream: with resources to spare nothing of theirs changes."""
    draw = random.Random(5)
    config = cell(draw) | {"scheduler": {"ofdma": True, "rbg_rbs": 1}, "harq": {}, "grants": {}, "drx": {}}
    config["ues"] = [
        {"name": name, "radio": {"ul_sinr_db": 9.0, "dl_sinr_db": 9.0}, "background": False} for name in ("one", "two")
    ]
    packets: list[list[Any]] = [
        [7 * MS * index + ue, "packet", ue, True, 0, 92] for index in range(1, 40) for ue in (0, 1)
    ]
    quiet = drive(cpp, config, packets, END_NS, record=True)
    outage: list[Any] = [60 * MS, "interrupt", 0, 130 * MS]
    packets_and_outage = sorted([*packets, outage], key=lambda event: event[0])
    loud = drive(cpp, config, packets_and_outage, END_NS, record=True)

    def of_two(outcome: dict[str, Any]) -> list[tuple[int, int, int]]:
        return [(t["slot"], t["round"], t["decoded"]) for t in outcome["transmissions"] if t["ue"] == 1]

    assert of_two(loud) == of_two(quiet)
    assert loud["transmissions"] != quiet["transmissions"]
