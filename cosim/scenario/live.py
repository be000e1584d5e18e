"""Which keys can change in a run, by dotted path from the root."""

from __future__ import annotations

import re
from typing import Any

LINK_KEYS = ("rate", "delay", "jitter", "loss", "queue", "discipline")

_LINK = rf"({'|'.join(LINK_KEYS)})"
_IN_LINK = (
    r"(jitter{0}\.(mean|shape|hold)|loss{0}\.(good_to_bad|bad_to_good|loss_bad|loss_good)"
    r"|discipline{0}\.(target|interval|quantum|packets))"
)
_NAME = r"[A-Za-z0-9_-]{1,64}"
_SINR = "sinr(_up|_down)?"
_LIVE = [
    rf"network\.access\.(uplink|downlink)\.{_LINK}",
    rf"network\.(core|paths\.{_NAME})\.{_LINK}(_up|_down)?",
    rf"network\.access\.(uplink|downlink)\.{_IN_LINK.format('')}",
    rf"network\.(core|paths\.{_NAME})\.{_IN_LINK.format('(_up|_down)?')}",
    rf"network\.access\.(ues|background)\.{_NAME}\.{_SINR}",
    rf"network\.access\.(ues|background)\.{_NAME}\.geometry\.(position|velocity)\.(x|y)",
    rf"network\.access\.(ues|background)\.{_NAME}\.geometry\.(gnb_power|ue_power|interference_margin|antenna_gain)",
    rf"network\.access\.background\.{_NAME}\.(uplink|downlink)(\.(rate|burst))?",
    r"network\.access\.gnb\.(scheduler|rbg|pf_window)",
    r"network\.access\.gnb\.link_adaptation\.[a-z_]+",
    r"network\.access\.gnb\.uplink\.[a-z_]+",
    r"network\.access\.gnb\.uplink\.(proactive_grant|configured_grant)\.(period|size)",
]
_PATTERN = re.compile("|".join(f"({pattern})" for pattern in _LIVE))

ALLOWED = (
    f"network.paths.NAME.delay and the like ({', '.join(LINK_KEYS)}); of an access link network.access.uplink.delay; "
    "of an NR cell network.access.ues.NAME.sinr, network.access.ues.NAME.geometry.velocity.x, "
    "network.access.background.NAME.downlink, network.access.gnb.scheduler, network.access.gnb.uplink.KEY, "
    "network.access.gnb.link_adaptation.KEY"
)


def is_trace(value: Any) -> bool:
    """Whether a value of a knob is one that begins with the run."""
    return isinstance(value, dict) and value.get("kind") in ("trace", "mahimahi")


def live_section(data: dict[str, Any], path: str) -> dict[str, Any] | None:
    """The section whose last key a path changes; None if that cannot change in a run or is not there."""
    if not _PATTERN.fullmatch(path):
        return None
    *sections, key = path.split(".")
    section: Any = data
    for word in sections:
        section = section.get(word) if isinstance(section, dict) else None
    return section if isinstance(section, dict) and key in section else None


def refusal(data: dict[str, Any], path: str) -> tuple[str, str]:
    """Why `live_section` found none, and what is allowed instead."""
    if not _PATTERN.fullmatch(path):
        return "cannot change in a run", ALLOWED
    section: Any = data
    for depth, word in enumerate(path.split(".")):
        if not isinstance(section, dict) or word not in section:
            there = ", ".join(section) if isinstance(section, dict) and section else "nothing"
            return "is not in this scenario", f"{'.'.join(path.split('.')[:depth])} has {there}"
        section = section[word]
    raise AssertionError("a section that is there was not found")
