"""Runs of cosim that benchmarks measure: a scenario with one server behind one access link, and the run's wall time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cosim.clock import NS_PER_S
from cosim.results.store import read_manifest

PATH = "edge"


def behind_a_link(
    name: str, *, network: str, seed: int, seconds: int, tiers: dict[str, Any], clients: list[dict[str, Any]]
) -> dict[str, Any]:
    """A scenario over the path PATH; `network`: `pipe` or `ns3`."""
    return {
        "schema_version": 1,
        "name": name,
        "seed": seed,
        "duration": f"{seconds}s",
        "network": {
            "kind": network,
            "access": {
                "kind": "link",
                "uplink": {"rate": "60Mbit/s", "delay": "8ms"},
                "downlink": {"rate": "300Mbit/s", "delay": "4ms"},
            },
            "core": {"delay": "1ms"},
            "paths": {PATH: {"delay": "0.2ms", "rate": "10Gbit/s"}},
        },
        "tiers": tiers,
        "clients": clients,
        "validity": {"min_requests": 1},
    }


def wall_seconds(directory: Path) -> dict[str, float]:
    """Of a run: virtual seconds, and wall seconds until it was ready, after that, and of the latter's parts."""
    manifest = read_manifest(directory)
    parts: dict[str, int] = manifest["wall_ns_by_part"]
    return {
        "virtual_s": manifest["virtual_ns"] / NS_PER_S,
        "ready_s": parts["startup"] / NS_PER_S,
        "wall_s": (manifest["wall_ns"] - parts["startup"]) / NS_PER_S,
        "engine_wait_s": parts["engine"] / NS_PER_S,
        "network_wait_s": parts["network"] / NS_PER_S,
        "conductor_s": parts["conductor"] / NS_PER_S,
    }
