"""Link use in a run's time series: the manifest's account, and a replay's rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest
import yaml

from cosim.bridge.messages import LinkCounters
from cosim.results.terminal import Progress
from cosim.run import RunOptions, execute
from cosim.scenario.load import load
from tests.link_rows import Row, check_sums, check_windows
from tests.lockstep import chat, scenario, stub


def wavering(kind: str) -> dict[str, Any]:
    """Two tiers behind links whose rate, loss and queue change; a client gives up now and then."""
    uplink: dict[str, Any] = {"delay": "8ms", "rate": "3Mbit/s"}
    path: dict[str, Any] = {"delay": "20ms", "rate": "20Mbit/s", "jitter": "1ms"}
    timeline: list[dict[str, Any]] = [
        {"at": "600ms", "set": {"network.access.uplink.rate": "500kbit/s"}},
        {"at": "1400ms", "set": {"network.access.uplink.rate": "50Mbit/s", "network.paths.cloud.rate": "1Mbit/s"}},
    ]
    if kind == "ns3":
        uplink["queue"] = "8kB"
        timeline.append({"at": "1s", "set": {"network.paths.cloud.loss": "5%"}})
    frames = {"kind": "frames", "period": "150ms", "image": {"width": 96, "height": 64}, "output_tokens": 4}
    return scenario(
        duration="2s",
        network={
            "kind": kind,
            "access": {"kind": "link", "uplink": uplink, "downlink": {"delay": "4ms"}},
            "core": {"delay": "1ms"},
            "paths": {"edge": {}, "cloud": path},
        },
        tiers={"edge": {"path": "edge", "engine": stub()}, "cloud": {"path": "cloud", "engine": stub()}},
        clients=[
            chat("user", count=2, prompt_tokens=2_000, timeout="400ms"),
            {"name": "cam", "tier": "cloud", "count": 2, "timeout": "5s", **frames},
        ],
        timeline=timeline,
        seed=2,  # with 1 a segment is lost twice, and nothing is sent in the last two seconds
    )


def link_rows(directory: Path) -> list[Row]:
    return [
        (row["t_ns"], row["source"], row["metric"], json.loads(row["labels"]), row["value"])
        for part in sorted((directory / "timeseries").glob("*.parquet"))
        for row in pq.read_table(part).to_pylist()
        if row["metric"].startswith("link_")
    ]


@pytest.mark.parametrize("kind", ["pipe", pytest.param("ns3", marks=pytest.mark.ns3)])
def test_rows_add_up_to_the_manifest_and_a_replay_has_the_same(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "scenario.yaml"
    file.write_text(yaml.safe_dump(wavering(kind)))
    first, second = tmp_path / "run", tmp_path / "replay"
    execute(load(file, environment={}), RunOptions(first, False, ()), Progress("none", 0))
    resolved = load(first / "scenario.resolved.yaml", environment={})
    execute(resolved, RunOptions(second, False, (), first), Progress("none", 0))

    rows = link_rows(first)
    manifest = json.loads((first / "manifest.json").read_text())
    counters = msgspec.convert(manifest["links"], list[LinkCounters])
    check_sums(rows, counters)
    check_windows(rows, manifest["virtual_ns"])
    assert max(t_ns for t_ns, *_ in rows) > manifest["virtual_ns"] - 100_000_000
    assert all(entry.n_bytes > 0 for entry in counters)
    if kind == "ns3":
        assert sum(entry.dropped_queue for entry in counters) > 0
        assert sum(entry.dropped_loss for entry in counters) > 0
    assert link_rows(second) == rows
