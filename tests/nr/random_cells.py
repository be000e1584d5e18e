"""Cells, packets and disturbances drawn at random, the same for the same seed."""

from __future__ import annotations

import random
from typing import Any

D, S, U = {"dl_symbols": 14, "ul_symbols": 0}, {"dl_symbols": 10, "ul_symbols": 2}, {"dl_symbols": 0, "ul_symbols": 14}
FDD = {"dl_symbols": 14, "ul_symbols": 14}
PATTERNS = {
    "FDD": [FDD],
    "DDDSU": [D, D, D, S, U],
    "DSUUD": [D, {"dl_symbols": 12, "ul_symbols": 0}, U, U, D],
    "7DS2U": [*[D] * 7, {"dl_symbols": 6, "ul_symbols": 4}, U, U],
    "mixed": [D, {"dl_symbols": 5, "ul_symbols": 6}, U],
}
BEARERS = [{"name": "tokens", "priority": 2, "lcg": 1}, {"name": "bulk", "priority": 9, "lcg": 2}]
MS = 1_000_000


def cell(draw: random.Random) -> dict[str, Any]:
    """A configuration with up to six UEs."""
    rbs = draw.choice([24, 51, 106, 273])
    return {
        "seed": draw.randrange(1 << 32),
        "kpi_window_ns": 20 * MS,
        "carrier": {
            "numerology": draw.choice([0, 1, 1, 2]),
            "slots": PATTERNS[draw.choice(sorted(PATTERNS))],
            "dl_rbs": rbs,
            "ul_rbs": rbs,
            "dl_layers": draw.choice([1, 2, 4]),
            "ul_layers": draw.choice([1, 2]),
            "dl_mcs_table": draw.choice([1, 2, 3]),
            "ul_mcs_table": draw.choice([1, 2, 3]),
        },
        "timing": {
            "schedule_ahead_slots": draw.choice([0, 1, 2, 4]),
            "k2_slots": draw.choice([1, 2, 4]),
            "k1_slots": draw.choice([1, 2, 4]),
            "sr_ready_slots": draw.choice([0, 2]),
            "pdu_ahead_slots": draw.choice([0, 1, 2]),
            "gnb_decode_ns": draw.choice([0, MS // 10, 2 * MS]),
            "ue_decode_ns": draw.choice([0, MS // 10, 3 * MS]),
            "ue_stack_ns": draw.choice([0, MS // 3]),
            "gnb_stack_ns": draw.choice([0, MS // 2]),
        },
        "grants": {
            "sr_period_slots": draw.choice([1, 4, 10, 40]),
            "sr_prohibit_ns": draw.choice([0, 2 * MS]),
            "first_grant_bytes": draw.choice([12, 500]),
            "bsr_limit_bytes": draw.choice([0, 5000]),
            "proactive_period_slots": draw.choice([0, 0, 8]),
            "proactive_bytes": 200,
            "configured_period_slots": draw.choice([0, 0, 4]),
            "configured_bytes": 100,
            "power_limited": draw.random() < 0.5,
        },
        "link": {"cqi_delay_ns": draw.choice([0, 5 * MS]), "olla": draw.random() < 0.7},
        "harq": {"processes": draw.choice([1, 2, 16]), "max_transmissions": draw.choice([1, 2, 4])},
        "rlc": {"acknowledged": draw.random() < 0.6, "buffer_bytes": draw.choice([20_000, 4_000_000])},
        "scheduler": {
            "proportional_fair": draw.random() < 0.5,
            "ofdma": draw.random() < 0.6,
            "rbg_rbs": draw.choice([1, 4, 8]),
        },
        "drx": draw.choice([{}, {"cycle_ns": 20 * MS, "on_ns": 4 * MS, "inactivity_ns": 5 * MS}]),
        "bearers": BEARERS,
        "ues": [_ue(draw, index) for index in range(draw.randint(1, 6))],
    }


def _ue(draw: random.Random, index: int) -> dict[str, Any]:
    background = index > 0 and draw.random() < 0.3
    burst = {"kind": 2, "rate_bps": 2_000_000, "burst_bytes": 20_000}
    traffic = {"kind": draw.choice([0, 1, 2])} | ({} if draw.random() < 0.3 else burst)
    if traffic["kind"] > 0:
        traffic |= {"rate_bps": 2_000_000, "burst_bytes": 2_000}
    return {
        "name": f"ue{index}",
        "radio": _radio(draw),
        "background": background,
        "ul_traffic": background and draw.random() < 0.7,
        "dl_traffic": background,
        "ul": traffic,
        "dl": traffic,
    }


def _radio(draw: random.Random) -> dict[str, Any]:
    kind = draw.choice([0, 0, 2])
    if kind == 0:
        return {"kind": 0, "ul_sinr_db": draw.uniform(-4, 30), "dl_sinr_db": draw.uniform(-4, 30)}
    return {"kind": 2, "x_m": draw.uniform(20, 300), "vx_mps": draw.uniform(-5, 20)}


def events(draw: random.Random, config: dict[str, Any], until_ns: int) -> list[list[Any]]:
    """Packets of foreground UEs both ways, in bursts and alone, and changes of knobs and outages among them."""
    foreground = [index for index, ue in enumerate(config["ues"]) if not ue["background"]]
    found: list[list[Any]] = []
    for _ in range(draw.randint(20, 60)):
        t_ns, ue = draw.randrange(until_ns), draw.choice(foreground)
        bearer = draw.choice([0, 1])
        sizes = [draw.choice([40, 92, 1428])] * draw.choice([1, 1, 1, 8, 60])
        up = draw.random() < 0.5
        found += [[t_ns, "packet", ue, up, bearer, n_bytes] for n_bytes in sizes]
    for _ in range(draw.choice([0, 0, 4])):
        t_ns, ue = draw.randrange(until_ns), draw.choice(foreground)
        found.append([t_ns, "interrupt", ue, t_ns + draw.randrange(60 * MS)])
    for _ in range(draw.choice([0, 0, 3])):
        found.append([draw.randrange(until_ns), "radio", draw.choice(foreground), _radio(draw)])
    for _ in range(draw.choice([0, 0, 3])):
        scheduler = {"ofdma": draw.random() < 0.5, "proportional_fair": draw.random() < 0.5}
        found.append([draw.randrange(until_ns), "scheduler", scheduler])
    return sorted(found, key=lambda event: event[0])
