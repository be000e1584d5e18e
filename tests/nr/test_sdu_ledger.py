"""Parts of an SDU's way: what each instant cuts off, and that nothing is negative however the instants lie."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from tests.nr.rig import Cpp
from tests.nr.rlc_play import PARTS

HEADER = Path(__file__).with_name("pdcp_play.h")

CODE = """
cppyy.include(values["header"])
result = [list(nr.PartsOf(*case)) for case in values["cases"]]
"""


def parts_of(cpp: Cpp, *cases: tuple[Any, ...]) -> list[dict[str, int]]:
    """Of each (arrival, (SR end, PUSCH start) or [], first TB, last TB or [] if it is the same, now)."""
    rows = cpp.run(CODE, header=str(HEADER), cases=cases)
    return [{name: value for name, value in zip(PARTS, row, strict=True) if value} for row in rows]


def test_first_transmission(cpp: Cpp) -> None:
    sr, none, configured, joined, waiting = parts_of(
        cpp,
        (100, (130, 170), (200, 250, 290), [], 295),
        (100, [], (200, 250, 290), [], 295),
        (100, (-1, 170), (200, 250, 290), [], 295),
        (150, (130, 170), (200, 250, 290), [], 295),
        (100, (130, -1), (200, 250, 290), [], 295),
    )
    rest = {"air": 50, "harq": 40, "processing": 5}
    assert sr == {"sr_wait": 30, "grant_wait": 40, "queue": 30} | rest
    assert none == {"queue": 100} | rest
    assert configured == {"grant_wait": 70, "queue": 30} | rest
    assert joined == {"grant_wait": 20, "queue": 30} | rest
    assert waiting == {"sr_wait": 30, "queue": 70} | rest


def test_cycle_that_ends_after_the_transmission_began(cpp: Cpp) -> None:
    assert parts_of(cpp, (100, (220, 260), (200, 250, 250), [], 250), (100, (150, 260), (200, 250, 250), [], 250)) == [
        {"sr_wait": 100, "air": 50},
        {"sr_wait": 50, "grant_wait": 50, "air": 50},
    ]


def test_retransmission(cpp: Cpp) -> None:
    recovered, overtaken = parts_of(
        cpp,
        (100, [], (200, 250, 290), (700, 740, 780), 781),
        (100, [], (200, 250, 900), (700, 740, 780), 781),
    )
    assert recovered == {"queue": 100, "air": 50, "harq": 40 + 40, "rlc_recovery": 450, "processing": 1}
    assert overtaken == {"queue": 100, "air": 50, "harq": 490 + 40, "processing": 1}


def test_any_instants_add_up(cpp: Cpp) -> None:
    draw = random.Random(1)
    cases = []
    for _ in range(2000):
        first, last = ([draw.randint(0, 120) for _ in range(3)] for _ in range(2))
        cycle = [draw.randint(-1, 120) for _ in range(2)]
        cases.append((draw.randint(0, 50), draw.choice([[], cycle]), first, draw.choice([[], last]), 100))
    for case, parts in zip(cases, parts_of(cpp, *cases), strict=True):
        assert sum(parts.values()) == 100 - case[0]
        assert min(parts.values(), default=0) >= 0
