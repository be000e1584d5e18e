"""Where in the scenario a knob is: dotted paths from its root, and what they name in a network.

`network.access.uplink`, `network.core.downlink`, `network.paths.NAME.uplink`: a direction of a link. `network.access`:
the whole cell. `network.access.ues.NAME`: a UE of the cell, with packets or in the background.
"""

from __future__ import annotations

CELL = "network.access"


def direction_path(link: str, *, up: bool) -> str:
    """The path of a direction of a link (`access`, `core`, `paths.NAME`)."""
    return f"network.{link}.{'uplink' if up else 'downlink'}"


def ue_path(name: str) -> str:
    """The path of a UE of the cell."""
    return f"{CELL}.ues.{name}"


def direction_at(path: str) -> tuple[str, bool]:
    """The link that a path names, and whether it is its uplink. Raises ValueError for a path of something else."""
    root, _, rest = path.partition(".")
    link, _, direction = rest.rpartition(".")
    if root != "network" or not link or direction not in ("uplink", "downlink"):
        raise ValueError(f"{path} is no direction of a link; take network.access.uplink, network.paths.NAME.downlink")
    return link, direction == "uplink"


def ue_at(path: str) -> str:
    """The UE that a path names. Raises ValueError for a path of something else."""
    name = path.removeprefix(f"{CELL}.ues.")
    if not name or name == path:
        raise ValueError(f"{path} is no UE of a cell; take {ue_path('NAME')}")
    return name
