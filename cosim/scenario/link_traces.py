"""Files that values of links name, taken into the scenario."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cosim.scenario import mahimahi, rtt_trace
from cosim.scenario.errors import Problem, ScenarioError
from cosim.scenario.link_values import RttTrace
from cosim.scenario.source import KeyPath, Source, dotted
from cosim.scenario.trace_file import TraceFile

_KEYS = [f"{key}{suffix}" for key in ("delay", "jitter", "rate") for suffix in ("", "_up", "_down")]


def take_in(network: dict[str, Any], absolute: Callable[[str, KeyPath], str], source: Source) -> Iterator[Problem]:
    """Put what each file holds in its place; gives every fault. `absolute`: the path of a file that a key names."""
    for keys, link in _links(network):
        for key in _KEYS:
            value = link.get(key)
            if not isinstance(value, dict) or value.get("file") is None:
                continue
            at = ("network", *keys, key, "file")
            path = Path(absolute(value["file"], at))
            is_mahimahi = value["kind"] == "mahimahi"
            wanted = mahimahi.WANTED if is_mahimahi else rtt_trace.WANTED
            file = TraceFile(path, dotted(at), source.place(at), wanted)
            try:
                if is_mahimahi:
                    read: dict[str, Any] = {"opportunities": mahimahi.read_mahimahi(file)}
                else:
                    read = rtt_trace.read_rtt_trace(file, RttTrace.model_validate(value))
            except ScenarioError as error:
                yield from error.problems
            else:
                link[key] = {**value, **read, "file": None, "read_from": path.name}


def _links(network: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Every mapping with values of a link, and the keys that lead to it."""
    for direction in ("uplink", "downlink"):
        if network["access"]["kind"] == "link":
            yield ("access", direction), network["access"][direction]
    yield ("core",), network["core"]
    yield from ((("paths", name), path) for name, path in network["paths"].items())
