"""The decision where a request is served."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any, Protocol


class Asked(Protocol):
    """What a router sees of a request."""

    @property
    def request_id(self) -> str:
        """Unique in the run."""

    @property
    def client(self) -> str:
        """Who asks."""

    @property
    def tier(self) -> str:
        """The tier that the client's group names."""


@dataclass(frozen=True, slots=True)
class View:
    """What a real router could know: requests in flight for each tier, as it counted them itself."""

    now_ns: int
    in_flight: dict[str, int]


class PlacementError(Exception):
    """A policy chose what does not exist."""


class Placement(Protocol):
    """A policy; brought by an entry point of the group `cosim.placement`, called with its `options`."""

    def choose(self, request: Asked, view: View) -> str | None:
        """The tier that serves the request; None rejects it."""


def known_policies() -> list[str]:
    """Names that `placement.kind` may have."""
    return sorted({"fixed", *(point.name for point in entry_points(group="cosim.placement"))})


def load_policy(kind: str, options: dict[str, Any]) -> Placement:
    """Make a policy by name. Raises KeyError if no package brings it, TypeError for options that it does not take."""
    if kind == "fixed":
        from cosim.placement.fixed import Fixed

        return Fixed(**options)
    points = {point.name: point for point in entry_points(group="cosim.placement")}
    policy: Placement = points[kind].load()(**options)
    return policy
