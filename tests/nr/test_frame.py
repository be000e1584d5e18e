# SPDX-License-Identifier: GPL-2.0-only
"""Slots in time, what each can carry, and which DCI grants which PUSCH."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.nr.rig import Cpp, CppError

D, U = (14, 0), (0, 14)
FDD = [(14, 14)]

MAKE = """
def make_frame(slots, numerology=1, k2=2, **carrier):
    config = nr.CarrierConfig()
    config.numerology = numerology
    for dl, ul in slots:
        config.slots.push_back(nr.SlotShape(dl, ul))
    for name, value in carrier.items():
        setattr(config, name, value)
    timing = nr.TimingConfig()
    timing.k2_slots = k2
    return nr.Frame(config, timing)
frame = make_frame(**values['frame'])
"""


def of(cpp: Cpp, expression: str, slots: list[tuple[int, int]], **frame: int) -> Any:
    return cpp.run(f"{MAKE}result = {expression}", frame={"slots": slots, **frame})


def uses(cpp: Cpp, slots: list[tuple[int, int]], **frame: int) -> str:
    """Two periods, a line a slot: first symbol and symbols of PDSCH and PUSCH, the slot of the DCI, control, grants."""
    code = MAKE + (
        "result = [(s, frame.DlSymbols(s), frame.FirstDlSymbol(s), frame.UlSymbols(s), frame.FirstUlSymbol(s), "
        "frame.HasPdcch(s), frame.HasPucch(s), frame.DciSlot(s), list(frame.UlSlotsAfter(s))) "
        "for s in range(2 * frame.Period())]"
    )
    lines = []
    for slot, dl, first_dl, ul, first_ul, pdcch, pucch, dci, after in cpp.run(code, frame={"slots": slots, **frame}):
        words = [f"{slot}:"]
        words += ["PDCCH"] * pdcch + [f"PDSCH {first_dl}+{dl}"] * (dl > 0)
        words += [f"PUSCH {first_ul}+{ul} by {dci}"] * (ul > 0) + ["PUCCH"] * pucch
        words += [f"grants {', '.join(str(slot + offset) for offset in after)}"] * bool(after)
        lines.append(" ".join(words))
    return "\n".join(lines)


def test_dddsu(cpp: Cpp) -> None:
    assert uses(cpp, [D, D, D, (10, 2), U], k2=2) == (
        "0: PDCCH PDSCH 1+13\n"
        "1: PDCCH PDSCH 1+13\n"
        "2: PDCCH PDSCH 1+13 grants 4\n"
        "3: PDCCH PDSCH 1+9 PUCCH\n"
        "4: PUSCH 0+13 by 2 PUCCH\n"
        "5: PDCCH PDSCH 1+13\n"
        "6: PDCCH PDSCH 1+13\n"
        "7: PDCCH PDSCH 1+13 grants 9\n"
        "8: PDCCH PDSCH 1+9 PUCCH\n"
        "9: PUSCH 0+13 by 7 PUCCH"
    )


def test_one_slot_grants_several_and_another_a_slot_of_the_next_period(cpp: Cpp) -> None:
    assert uses(cpp, [D, (6, 4), U, U], k2=3) == (
        "0: PDCCH PDSCH 1+13 grants 3\n"
        "1: PDCCH PDSCH 1+5 PUSCH 10+3 by -3 PUCCH grants 5, 6\n"
        "2: PUSCH 0+13 by -3 PUCCH\n"
        "3: PUSCH 0+13 by 0 PUCCH\n"
        "4: PDCCH PDSCH 1+13 grants 7\n"
        "5: PDCCH PDSCH 1+5 PUSCH 10+3 by 1 PUCCH grants 9, 10\n"
        "6: PUSCH 0+13 by 1 PUCCH\n"
        "7: PUSCH 0+13 by 4 PUCCH"
    )


def test_fdd_has_both_directions_in_each_slot(cpp: Cpp) -> None:
    assert uses(cpp, FDD, k2=4) == (
        "0: PDCCH PDSCH 1+13 PUSCH 0+13 by -4 PUCCH grants 4\n1: PDCCH PDSCH 1+13 PUSCH 0+13 by -3 PUCCH grants 5"
    )


@pytest.mark.parametrize(
    ("shape", "dmrs", "expected"),
    [
        (
            (13, 1),
            12,
            (12, 0, True, True),
        ),  # 5G-LENA's special slot: all of the downlink but a symbol of uplink control
        ((12, 2), 0, (11, 1, True, True)),
        ((12, 2), 12, (11, 0, True, True)),  # the one symbol beside PUCCH is all DMRS
        ((2, 3), 12, (0, 2, True, True)),
        ((0, 2), 12, (0, 0, False, True)),
        ((12, 0), 12, (11, 0, True, False)),
    ],
)
def test_special_slot(cpp: Cpp, shape: tuple[int, int], dmrs: int, expected: tuple[int, int, bool, bool]) -> None:
    found = of(
        cpp,
        "[frame.DlSymbols(1), frame.UlSymbols(1), frame.HasPdcch(1), frame.HasPucch(1)]",
        [D, shape, U],
        dmrs_re_per_rb=dmrs,
    )
    assert tuple(found) == expected


def test_control_needs_its_symbols(cpp: Cpp) -> None:
    found = of(
        cpp,
        "[frame.HasPdcch(1), frame.HasPucch(1), frame.FirstDlSymbol(0), frame.DlSymbols(0), frame.UlSymbols(2)]",
        [D, (1, 1), U],
        pdcch_symbols=2,
        pucch_symbols=2,
    )
    assert found == [False, False, 2, 12, 12]


@pytest.mark.parametrize(("numerology", "slot_ns"), [(0, 1_000_000), (1, 500_000), (2, 250_000)])
def test_slots_and_symbols_in_time(cpp: Cpp, numerology: int, slot_ns: int) -> None:
    found = of(
        cpp,
        "[frame.SlotNs(), frame.StartNs(3), frame.SymbolNs(3, 0), frame.SymbolNs(3, 7), frame.SymbolNs(3, 14)]",
        FDD,
        numerology=numerology,
    )
    assert found == [slot_ns, 3 * slot_ns, 3 * slot_ns, 7 * slot_ns // 2, 4 * slot_ns]


@pytest.mark.parametrize(
    ("t_ns", "holding", "following"),
    [(0, 0, 0), (1, 0, 1), (499_999, 0, 1), (500_000, 1, 1), (500_001, 1, 2), (-1, -1, 0), (-500_000, -1, -1)],
)
def test_slot_of_an_instant(cpp: Cpp, t_ns: int, holding: int, following: int) -> None:
    assert of(cpp, f"[frame.SlotAt({t_ns}), frame.SlotFrom({t_ns})]", FDD) == [holding, following]


def test_first_pucch(cpp: Cpp) -> None:
    assert of(cpp, "[frame.PucchFrom(s) for s in range(6)]", [D, D, D, (12, 0), U]) == [4, 4, 4, 4, 4, 9]


def random_pattern(draw: random.Random) -> list[tuple[int, int]]:
    """Downlink slots, at times a special one, uplink slots."""
    dl_symbols = draw.randint(0, 14)
    special = [(dl_symbols, draw.randint(0, 14 - dl_symbols))] * draw.randint(0, 1)
    return [D] * draw.randint(1, 7) + special + [U] * draw.randint(1, 4)


def test_every_pusch_has_the_latest_dci_that_is_early_enough(cpp: Cpp) -> None:
    draw = random.Random(38213)
    for _ in range(40):
        slots, k2 = random_pattern(draw), draw.randint(1, 6)
        code = MAKE + (
            "span = range(8 * frame.Period())\n"
            "result = [[frame.HasPdcch(s) for s in span], [frame.UlSymbols(s) > 0 for s in span], "
            "[frame.DciSlot(s) for s in span], [list(frame.UlSlotsAfter(s)) for s in span]]"
        )
        pdcch, pusch, dci, after = cpp.run(code, frame={"slots": slots, "k2": k2})
        middle = range(3 * len(slots), 5 * len(slots))
        for slot in middle:
            assert dci[slot] == max(s for s in range(slot - k2 + 1) if pdcch[s]), (slots, k2, slot)
            granted = [s - slot for s in range(len(pusch)) if pusch[s] and dci[s] == slot]
            assert after[slot] == granted, (slots, k2, slot)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({"slots": [D]}, "no slot of the pattern has symbols for PUSCH"),
        ({"slots": [D, (12, 1)]}, "no slot of the pattern has symbols for PUSCH"),
        ({"slots": [U]}, "no slot of the pattern has symbols for PDSCH"),
        ({"slots": [D, (10, 5), U]}, "10 downlink and 5 uplink symbols"),
        ({"slots": [(14, 14), U]}, "14 downlink and 14 uplink symbols"),
        ({"slots": FDD, "numerology": 3}, "numerology 3 is not 0, 1 or 2"),
    ],
)
def test_impossible_frames_are_refused(cpp: Cpp, frame: dict[str, Any], message: str) -> None:
    with pytest.raises(CppError, match=message):
        cpp.run(MAKE, frame=frame)
