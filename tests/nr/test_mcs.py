# SPDX-License-Identifier: GPL-2.0-only
"""MCS and CQI tables against the columns of 38.214 from which they are not built: modulation order and efficiency."""

from __future__ import annotations

import pytest

from tests.nr.rig import Cpp, CppError

# Spectral efficiency as 38.214 prints it, by modulation order. Four decimals leave one code rate each.
MCS_EFFICIENCY: dict[int, dict[int, list[float]]] = {
    1: {
        2: [0.2344, 0.3066, 0.3770, 0.4902, 0.6016, 0.7402, 0.8770, 1.0273, 1.1758, 1.3262],
        4: [1.3281, 1.4766, 1.6953, 1.9141, 2.1602, 2.4063, 2.5703],
        6: [2.5664, 2.7305, 3.0293, 3.3223, 3.6094, 3.9023, 4.2129, 4.5234, 4.8164, 5.1152, 5.3320, 5.5547],
    },
    2: {
        2: [0.2344, 0.3770, 0.6016, 0.8770, 1.1758],
        4: [1.4766, 1.6953, 1.9141, 2.1602, 2.4063, 2.5703],
        6: [2.7305, 3.0293, 3.3223, 3.6094, 3.9023, 4.2129, 4.5234, 4.8164, 5.1152],
        8: [5.3320, 5.5547, 5.8906, 6.2266, 6.5703, 6.9141, 7.1602, 7.4063],
    },
    3: {
        2: [
            *(0.0586, 0.0781, 0.0977, 0.1250, 0.1523, 0.1934, 0.2344, 0.3066, 0.3770, 0.4902),
            *(0.6016, 0.7402, 0.8770, 1.0273, 1.1758),
        ],
        4: [1.3281, 1.4766, 1.6953, 1.9141, 2.1602, 2.4063],
        6: [2.5664, 2.7305, 3.0293, 3.3223, 3.6094, 3.9023, 4.2129, 4.5234],
    },
}
CQI_EFFICIENCY = {
    1: [
        *(0.1523, 0.2344, 0.3770, 0.6016, 0.8770, 1.1758, 1.4766, 1.9141),
        *(2.4063, 2.7305, 3.3223, 3.9023, 4.5234, 5.1152, 5.5547),
    ],
    2: [
        *(0.1523, 0.3770, 0.8770, 1.4766, 1.9141, 2.4063, 2.7305, 3.3223),
        *(3.9023, 4.5234, 5.1152, 5.5547, 6.2266, 6.9141, 7.4063),
    ],
    3: [
        *(0.0586, 0.0977, 0.1523, 0.2344, 0.3770, 0.6016, 0.8770, 1.1758),
        *(1.4766, 1.9141, 2.4063, 2.7305, 3.3223, 3.9023, 4.5234),
    ],
}


@pytest.mark.parametrize("table", [1, 2, 3])
def test_modulation_and_code_rate_of_each_mcs(cpp: Cpp, table: int) -> None:
    entries = cpp.run(
        "all = [nr.Mcs(values['table'], i) for i in range(nr.MaxMcs(values['table']) + 1)]\n"
        "result = [(m.bits_per_symbol, m.Efficiency(), m.code_rate) for m in all]",
        table=table,
    )
    expected = [(order, efficiency) for order, column in MCS_EFFICIENCY[table].items() for efficiency in column]
    assert [order for order, _, _ in entries] == [order for order, _ in expected]
    assert [efficiency for _, efficiency, _ in entries] == pytest.approx([of for _, of in expected], abs=5.1e-5)
    assert all((rate * 2048).is_integer() for _, _, rate in entries)


@pytest.mark.parametrize("table", [1, 2, 3])
def test_efficiency_of_each_cqi(cpp: Cpp, table: int) -> None:
    found = cpp.of("[nr.CqiEfficiency(values['table'], cqi) for cqi in range(1, 16)]", table=table)
    assert found == pytest.approx(CQI_EFFICIENCY[table], abs=5.1e-5)


@pytest.mark.parametrize("call", ["nr.Mcs(2, 28)", "nr.Mcs(1, -1)", "nr.Mcs(4, 0)", "nr.CqiEfficiency(1, 0)"])
def test_entries_that_do_not_exist_are_refused(cpp: Cpp, call: str) -> None:
    with pytest.raises(CppError, match="MCS table"):
        cpp.of(call)
