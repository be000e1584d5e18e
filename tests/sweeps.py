"""A sweep's directory, made run by run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from cosim.results.sweep_store import SCHEMA_VERSION, SWEEP, SWEEP_SCENARIO, Sweep, SweptPoint, run_directory
from cosim.results.sweep_tables import write_tables
from tests.lockstep import chat, scenario
from tests.runs import carry_out

POINTS: dict[str, dict[str, Any]] = {
    "delay=5ms,count=1": {"network.paths.edge.delay": "5ms", "clients.0.count": 1},
    "delay=30ms,count=2": {"network.paths.edge.delay": "30ms", "clients.0.count": 2},
}
SEEDS = [1, 2]


def made_sweep(folder: Path) -> Path:
    """Two points of two runs each: other delays and numbers of clients; the points' slugs say which."""
    folder.mkdir(parents=True, exist_ok=True)
    points = [
        SweptPoint(index, slug, values, ["0"] * len(SEEDS)) for index, (slug, values) in enumerate(POINTS.items())
    ]
    keys = ["network.paths.edge.delay", "clients.0.count"]
    sweep = Sweep(SCHEMA_VERSION, "made", keys, SEEDS, paired=True, shard=None, scenario_hash="0", points=points)
    (folder / SWEEP).write_bytes(msgspec.json.encode(sweep))
    (folder / SWEEP_SCENARIO).write_text("name: made\nduration: 60s\n")
    for point in points:
        for number, seed in enumerate(SEEDS):
            data = scenario(seed=seed, validity={"min_requests": 1})
            data["network"]["paths"]["edge"]["delay"] = point.values[keys[0]]
            data["clients"] = [chat("user", count=point.values[keys[1]], arrivals={"kind": "poisson", "rate": "20/s"})]
            directory = run_directory(folder, point.slug, number)
            carry_out(data, directory.parent, directory.name)
    write_tables(folder)
    return folder
