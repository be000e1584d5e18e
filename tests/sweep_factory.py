"""Directories of sweeps with made-up runs for the tests of results."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from cosim.results.records import RequestRecord
from cosim.results.summary import write_summary
from cosim.results.sweep_store import SCHEMA_VERSION, SWEEP, Sweep, SweptPoint, run_directory
from tests.results_factory import manifest, step, write_run

Requests = Callable[[dict[str, Any], int], list[RequestRecord]]
"""The requests of a run, from the values of its point and its seed."""


def write_sweep(
    directory: Path, points: Mapping[str, dict[str, Any]], requests: Requests, seeds: Sequence[int] = (1, 2, 3)
) -> Path:
    """A sweep whose runs are all done: values by slug."""
    keys = list(dict.fromkeys(key for values in points.values() for key in values))
    swept = [SweptPoint(k, slug, values, ["abc"] * len(seeds)) for k, (slug, values) in enumerate(points.items())]
    directory.mkdir(parents=True)
    sweep = Sweep(SCHEMA_VERSION, "made-up", keys, list(seeds), True, None, "abc", swept)
    (directory / SWEEP).write_bytes(msgspec.json.encode(sweep))
    for point in swept:
        for number, seed in enumerate(seeds):
            add_run(run_directory(directory, point.slug, number), requests(point.values, seed), seed, point.values)
    return directory


SCENARIO = """\
schema_version: 1
name: made-up
seed: {seed}
clock: {{kind: lockstep}}
tiers: {{edge: {{path: edge, engine: {{kind: stub}}}}}}
clients: [{{name: cam-edge, kind: frames, tier: edge, period: 500ms}}]
"""


def add_run(directory: Path, requests: list[RequestRecord], seed: int, values: Mapping[str, Any]) -> None:
    """A run of tier edge, whose engine is a stub."""
    objectives = manifest()["objectives"]
    objectives |= {"tiers": {"edge": objectives["tiers"]["edge"]}, "loop": {"cam-edge": "open"}}
    lines = [step(source="predicted", conditions=None, wall_start_ns=None, wall_end_ns=None)]
    scenario = SCENARIO.format(seed=seed) + "".join(f"{key}: {value}\n" for key, value in values.items())
    write_run(directory, requests, lines, scenario, seed=seed, objectives=objectives)
    write_summary(directory)
