# SPDX-License-Identifier: GPL-2.0-only
"""MCS by SINR: against thresholds of Sionna and choices of 5G-LENA, CQI, and the outer loop."""

from __future__ import annotations

from typing import Any

import pytest

from cosim.scenario.nr_presets import PRESETS
from tests.nr.rig import Cpp

MAKE = """
def make_link(table=2, elements=values.get('elements', 106 * 132), up=True, **config):
    settings = nr.LinkAdaptationConfig()
    settings.olla = False
    for name, value in config.items():
        setattr(settings, name, value)
    return nr.LinkAdaptation(settings, table, elements, up)
link = make_link(**values['link'])
"""

# 10 % BLER in AWGN, PDSCH table 2, by Sionna SYS 2.2.0's PHYAbstraction; from 25 dB on it has no MCS 27.
SIONNA = {5: 6, 7: 8, 9: 10, 11: 11, 13: 13, 15: 16, 17: 18, 19: 19, 21: 22, 23: 24, 25: 26}

# What the error model of 5G-LENA costs: the fit by which preset `lena` chooses.
PRESET = PRESETS["lena"]["gnb"]["link_adaptation"]
LENA = {"margin_db": float(PRESET["margin"].removesuffix("dB")), "low_sinr_loss": PRESET["low_sinr_loss"]}
# SINRs from which 5G-LENA v4.0 uses each MCS of table 2 (EESM tables, BLER 10 %), for a symbol of 106 and of 266 RBs.
LENA_THRESHOLDS_DB = {
    106: [
        *(-0.81, 0.72, 2.43, 3.82, 5.05, 7.03, 7.81, 8.61, 9.65, 10.60, 11.08, 12.30, 13.52, 14.15),
        *(15.09, 15.83, 16.95, 18.50, 19.11, 19.80, 21.17, 21.83, 22.75, 23.50, 24.75, 25.33, 26.75, 27.25),
    ],
    266: [
        *(-0.58, 0.39, 2.24, 3.63, 5.05, 6.99, 7.77, 8.73, 9.47, 10.62, 11.23, 12.26, 13.53, 14.55),
        *(14.97, 16.02, 16.99, 18.10, 19.40, 19.97, 20.89, 22.17, 23.17, 23.83, 24.75, 25.75, 26.75, 27.25),
    ],
}
# MCS that it chose in the downlink, by way of CQI.
LENA_DOWNLINK = {0: 0, 2: 1, 5: 3, 8: 5, 10: 7, 12: 9, 13: 11, 15: 13, 17: 15, 20: 19, 23: 21, 25: 23, 26: 25, 30: 27}


def of(cpp: Cpp, expression: str, **link: Any) -> Any:
    return cpp.run(f"{MAKE}result = {expression}", link=link)


@pytest.mark.parametrize("elements", [1000, 106 * 132, 273 * 144])
def test_thresholds_within_1_db_of_sionna(cpp: Cpp, elements: int) -> None:
    for sinr_db, mcs in SIONNA.items():
        least, most = of(cpp, f"[link.McsFor({sinr_db - 1}), link.McsFor({sinr_db + 1})]", elements=elements)
        assert least <= mcs <= most, sinr_db


@pytest.mark.parametrize("rbs", [106, 266])
def test_thresholds_of_5g_lena(cpp: Cpp, rbs: int) -> None:
    found = of(cpp, "[link.ThresholdDb(mcs) for mcs in range(28)]", elements=rbs * 132, **LENA)
    misses = [ours - theirs for ours, theirs in zip(found, LENA_THRESHOLDS_DB[rbs], strict=True)]
    assert max(abs(miss) for miss in misses) < 0.75
    assert abs(sum(misses) / len(misses)) < 0.15
    assert (sum(miss**2 for miss in misses) / len(misses)) ** 0.5 < 0.3


@pytest.mark.parametrize("rbs", [106, 266])
def test_mcs_of_5g_lena(cpp: Cpp, rbs: int) -> None:
    """Each where the step that is next to the SINR lies within 0.5 dB, and all of the multiples of 5 dB."""
    found = of(cpp, "[link.McsFor(sinr) for sinr in range(-5, 31)]", elements=rbs * 132, **LENA)
    for sinr_db, mcs in zip(range(-5, 31), found, strict=True):
        theirs = [max(0, sum(of <= sinr_db + off for of in LENA_THRESHOLDS_DB[rbs]) - 1) for off in (-0.5, 0, 0.5)]
        assert theirs[0] <= mcs <= theirs[2], sinr_db
        if sinr_db % 5 == 0 and sinr_db != 15:  # 14.97 and 15.09 dB
            assert mcs == theirs[1], sinr_db


@pytest.mark.parametrize("rbs", [106, 266])
def test_downlink_mcs_of_5g_lena(cpp: Cpp, rbs: int) -> None:
    link = {**LENA, "cqi_quantised": True, "up": False, "elements": rbs * 132}
    found = of(cpp, f"[link.McsFor(sinr) for sinr in {list(LENA_DOWNLINK)}]", **link)
    assert dict(zip(LENA_DOWNLINK, found, strict=True)) == LENA_DOWNLINK


def test_one_rb_needs_more_in_5g_lena(cpp: Cpp) -> None:
    """SINRs from which it uses an MCS for one symbol of one RB: 88 to 256 bits in base graph 2."""
    theirs_db = {20: 23.67, 21: 25.2, 22: 26.5, 24: 29.33, 25: 30.75}
    link = {**LENA, "short_block_margin_db": float(PRESET["short_block_margin"].removesuffix("dB"))}
    least = "min(n / 20 for n in range(400, 700) if link.McsFor(n / 20, 11) >= mcs)"
    found = of(cpp, f"[{least} for mcs in {list(theirs_db)}]", **link)
    misses = [ours - theirs for ours, theirs in zip(found, theirs_db.values(), strict=True)]
    assert max(abs(miss) for miss in misses) < 1.5
    assert abs(sum(misses) / len(misses)) < 0.5


def test_another_allocation_has_thresholds_of_its_own(cpp: Cpp) -> None:
    sweep = "[link.McsFor(n / 4{}) for n in range(140)]"
    assert of(cpp, sweep.format(", 106 * 132")) == of(cpp, sweep.format(""))
    assert sum(of(cpp, sweep.format(", 11"))) < sum(of(cpp, sweep.format(""))) - 20


CQI_LADDERS = {
    1: [0, 2, 4, 6, 8, 11, 13, 15, 18, 20, 22, 24, 26, 28],
    2: [0, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27],
    3: [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28],
}


@pytest.mark.parametrize("table", [1, 2, 3])
def test_cqi_leaves_these_mcs_of_the_downlink_only(cpp: Cpp, table: int) -> None:
    sweep = "sorted({link.McsFor(-20 + n / 20) for n in range(1200)})"
    assert of(cpp, sweep, table=table, up=False, cqi_quantised=True) == CQI_LADDERS[table]
    steps = of(cpp, sweep, table=table, up=True, cqi_quantised=True)
    assert len(steps) > 25


@pytest.mark.parametrize("table", [1, 2, 3])
def test_the_greatest_mcs_within_the_bler_target(cpp: Cpp, table: int) -> None:
    code = MAKE + (
        "table = values['link']['table']\n"
        "def bler(mcs, sinr):\n"
        "    modulation = nr.Mcs(table, mcs)\n"
        "    return nr.TransportBlockBler(sinr, modulation, nr.TransportBlockBits(106 * 132, modulation, 1))\n"
        "result = [(link.McsFor(n / 4), [bler(mcs, n / 4) for mcs in range(nr.MaxMcs(table) + 1)])"
        " for n in range(-60, 140)]"
    )
    for mcs, blers in cpp.run(code, link={"table": table}):
        within = [index for index, bler in enumerate(blers) if bler <= 0.1]
        assert mcs == max(within, default=0)


def test_a_lower_target_and_a_margin_choose_less(cpp: Cpp) -> None:
    sweep = "sum(link.McsFor(n / 10) for n in range(-50, 300))"
    plain = of(cpp, sweep)
    assert of(cpp, sweep, bler_target=0.001) < plain
    assert of(cpp, sweep, margin_db=3) == of(cpp, "sum(link.McsFor(n / 10 - 3) for n in range(-50, 300))") < plain


def test_the_outer_loop_meets_the_target(cpp: Cpp) -> None:
    """A receiver that needs 2.3 dB more than the gNB thinks."""
    code = MAKE + (
        "draws, errors = cppyy.gbl.cosim.RandomStream(1, 'olla'), 0\n"
        "for step in range(40_000):\n"
        "    mcs = link.McsFor(20)\n"
        "    modulation = nr.Mcs(2, mcs)\n"
        "    bits = nr.TransportBlockBits(106 * 132, modulation, 1)\n"
        "    decoded = draws.Uniform() >= nr.TransportBlockBler(17.7, modulation, bits)\n"
        "    link.Feedback(mcs, decoded)\n"
        "    errors += step >= 2000 and not decoded\n"
        "result = [errors / 38_000, link.OffsetDb()]"
    )
    bler, offset_db = cpp.run(code, link={"olla": True})
    assert bler == pytest.approx(0.1, abs=0.01)
    assert -3.5 < offset_db < -1.5


def test_the_outer_loop_steps_by_the_target(cpp: Cpp) -> None:
    code = MAKE + (
        "offsets = []\n"
        "for decoded in (False, True, True):\n"
        "    link.Feedback(10, decoded)\n"
        "    offsets.append(link.OffsetDb())\n"
        "result = offsets"
    )
    assert cpp.run(code, link={"olla": True, "olla_step_db": 0.9}) == pytest.approx([-0.9, -0.8, -0.7])


def test_the_offset_does_not_wind_up(cpp: Cpp) -> None:
    code = MAKE + (
        "for _ in range(1000): link.Feedback(27, True)\n"
        "for _ in range(1000): link.Feedback(0, False)\n"
        "result = link.OffsetDb()"
    )
    assert cpp.run(code, link={"olla": True}) == 0


def test_without_the_outer_loop_there_is_no_offset(cpp: Cpp) -> None:
    code = MAKE + (
        "link.Feedback(10, False)\n"
        "before = link.OffsetDb()\n"
        "off = nr.LinkAdaptationConfig()\n"
        "off.olla = False\n"
        "link.Set(off)\n"
        "link.Feedback(10, False)\n"
        "result = [before, link.OffsetDb()]"
    )
    assert cpp.run(code, link={"olla": True, "olla_step_db": 0.5}) == [-0.5, 0]
