"""Cells for tests, and what comes out of them."""

from __future__ import annotations

import copy
from typing import Any

from tests.nr.rig import Cpp

MS = 1_000_000
SLOT_NS = MS // 2  # numerology 1
DRIVE = "from tests.nr.cell_driver import drive\nresult = drive(nr, **values)"
FDD = [{"dl_symbols": 14, "ul_symbols": 14}]
DDDSU = [
    *[{"dl_symbols": 14, "ul_symbols": 0}] * 3,
    {"dl_symbols": 13, "ul_symbols": 1},
    {"dl_symbols": 0, "ul_symbols": 14},
]
PARTS = ("sr_wait", "grant_wait", "queue", "air", "harq", "rlc_recovery", "pdcp_reorder", "processing")


def lena(slots: list[dict[str, int]], ues: int = 1, sinr_db: float = 30, **sections: Any) -> dict[str, Any]:
    """5G-LENA's timing (facts in nr.md A3) in a cell of 106 RBs; `sections` are merged over it."""
    config: dict[str, Any] = {
        "carrier": {"slots": slots, "dmrs_re_per_rb": 0, "dmrs_re_per_rb_symbol": 1},
        "timing": {"pdu_ahead_slots": 2},
        "link": {"olla": False, "control_sinr_db": -100},
        "rlc": {"acknowledged": False},
        "scheduler": {"ofdma": False, "rbg_rbs": 1},
        "bearers": [{"name": "default"}],
        "ues": [
            {"name": f"ue{index}", "radio": {"ul_sinr_db": sinr_db, "dl_sinr_db": sinr_db}} for index in range(ues)
        ],
    }
    return merged(config, sections)


def merged(config: dict[str, Any], sections: dict[str, Any]) -> dict[str, Any]:
    """The configuration with sections' values over its own; lists are replaced."""
    result = copy.deepcopy(config)
    for name, values in sections.items():
        result[name] = {**result.get(name, {}), **values} if isinstance(values, dict) else values
    return result


def drive(
    cpp: Cpp, config: dict[str, Any], events: list[list[Any]], until_ns: int, *, record: bool = False
) -> dict[str, Any]:
    """Outcome of a cell with these events; a packet's handle is the index of its event."""
    outcome = cpp.run(DRIVE, config=config, events=events, until_ns=until_ns, record=record)
    assert isinstance(outcome, dict)
    return outcome


def delays_ms(events: list[list[Any]], outcome: dict[str, Any]) -> list[float]:
    """Delays of the packets that arrived, in order of arrival."""
    return [(t_ns - events[handle][0]) / MS for t_ns, handle, _ in outcome["arrivals"]]


def one_packet(
    cpp: Cpp, config: dict[str, Any], t_ns: int, *, up: bool, n_bytes: int = 92
) -> tuple[int, dict[str, int]]:
    """When a packet that comes at a time to an idle cell has crossed it, and its parts."""
    outcome = drive(cpp, config, [[t_ns, "packet", 0, up, 0, n_bytes]], t_ns + 1000 * MS)
    ((arrival_ns, _, parts),) = outcome["arrivals"]
    return arrival_ns, dict(zip(PARTS, parts, strict=True))
