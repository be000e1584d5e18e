"""When a UE in connected-mode DRX can be reached, in ms."""

from __future__ import annotations

import pytest

from tests.nr.rig import Cpp, CppError

PICTURE = """
config = nr.DrxConfig()
config.cycle_ns, config.on_ns, config.inactivity_ns = (int(ms * 1e6) for ms in values["config"])
drx = nr.Drx(config, int(values["offset"] * 1e6))
events = {}
for t, event in values["events"]:
    events.setdefault(t, []).append(event)
result, wakes = "", []
for t in range(values["until"]):
    for event in events.get(t, []):
        if event == "activity":
            drx.Activity(t * 1000000)
        else:
            drx.SrPending(event == "sr")
    result += "#" if drx.Awake(t * 1000000) else "."
    wakes.append(drx.AwakeFrom(t * 1000000) // 1000000)
result = [result, wakes]
"""

Events = list[tuple[int, str]]


def picture(
    cpp: Cpp, config: tuple[float, float, float], until: int, events: Events | None = None, offset: float = 0
) -> str:
    """Each ms awake or not; checks AwakeFrom against it where nothing happens."""
    awake: str
    awake, wakes = cpp.run(PICTURE, config=config, until=until, events=events or [], offset=offset)
    for t, wake in enumerate(wakes):
        if not events and "#" in awake[t:]:
            assert wake == awake.index("#", t)
    return awake


def test_without_a_cycle_a_ue_is_always_awake(cpp: Cpp) -> None:
    assert picture(cpp, (0, 0, 0), 8) == "########"


def test_an_on_duration_starts_each_cycle(cpp: Cpp) -> None:
    assert picture(cpp, (8, 3, 4), 20) == "###.....###.....###."


def test_cycles_have_an_offset(cpp: Cpp) -> None:
    assert picture(cpp, (8, 3, 4), 20, offset=6) == "#.....###.....###..."
    assert picture(cpp, (8, 3, 4), 20, offset=8 * 3 + 6) == "#.....###.....###..."


def test_a_grant_keeps_the_ue_awake_and_each_starts_the_timer_anew(cpp: Cpp) -> None:
    assert picture(cpp, (16, 2, 4), 20, [(1, "activity")]) == "#####...........##.."
    assert picture(cpp, (16, 2, 4), 20, [(1, "activity"), (3, "activity")]) == "#######.........##.."


def test_a_ue_that_waits_for_a_grant_listens(cpp: Cpp) -> None:
    assert picture(cpp, (16, 2, 4), 20, [(5, "sr"), (8, "none")]) == "##...###........##.."


def test_the_edge_of_an_on_duration_is_exact(cpp: Cpp) -> None:
    code = """
config = nr.DrxConfig()
config.cycle_ns, config.on_ns = 1000, 10
drx = nr.Drx(config)
result = [[drx.Awake(t), drx.AwakeFrom(t)] for t in (9, 10, 999, 1000, 1009, 1010)]
"""
    expected = [[True, 9], [False, 1000], [False, 1000], [True, 1000], [True, 1009], [False, 2000]]
    assert cpp.run(code) == expected


@pytest.mark.parametrize("config", [(-1, 0, 0), (10, 0, 0), (10, 11, 0)])
def test_an_impossible_cycle_is_refused(cpp: Cpp, config: tuple[float, float, float]) -> None:
    with pytest.raises(CppError, match="on-duration"):
        picture(cpp, config, 1)
