"""Runs over a cell: what requests wait for in it, knobs and gaps, a replay, a radio that carries nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from cosim.bridge.nr_messages import ACCESS_PARTS
from cosim.results.terminal import Progress
from cosim.run import RunOptions, execute
from cosim.scenario.load import load
from tests.lockstep import MS, chat, scenario, stub

pytestmark = pytest.mark.ns3

ACCESS = [f"{way}_access_{part}" for way in ("up", "down") for part in ACCESS_PARTS]


def in_cell(**overrides: Any) -> dict[str, Any]:
    """A camera at the edge of a cell and one near its gNB, beside users of the downlink; 2 s."""
    frames = {"kind": "frames", "period": "200ms", "image": {"width": 320, "height": 240}, "output_tokens": 4}
    network = {
        "kind": "ns3",
        "access": {
            "kind": "nr",
            "carrier": {"bandwidth": "20MHz"},
            "ues": {"far": {"sinr": "3dB"}, "near": {"sinr": "25dB"}},
            "background": {"video": {"count": 3, "downlink": {"kind": "poisson", "rate": "5Mbit/s", "burst": "60kB"}}},
            "qos": [{"name": "acknowledgements", "five_qi": 7, "max_packet": "120B"}],
        },
        "core": {"delay": "1ms"},
        "paths": {"edge": {"delay": "2ms"}},
    }
    clients = [{"name": name, "tier": "edge", "timeout": "3s", **frames} for name in ("far", "near")]
    made = scenario(duration="2s", network=network, clients=clients, tiers={"edge": {"path": "edge", "engine": stub()}})
    return {**made, **overrides}


class Run:
    """A run's directory, read."""

    def __init__(self, data: dict[str, Any], directory: Path, *, replay_of: Path | None = None) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        file = directory / "scenario.yaml"
        file.write_text(yaml.safe_dump(data))
        self.directory = directory / "run"
        loaded = load(file, environment={})
        self.summary = execute(loaded, RunOptions(self.directory, False, (), replay_of), Progress("none", 0))

    @property
    def manifest(self) -> dict[str, Any]:
        manifest: dict[str, Any] = json.loads((self.directory / "manifest.json").read_text())
        return manifest

    def requests(self, client: str = "") -> list[dict[str, Any]]:
        lines = (self.directory / "requests.jsonl").read_text().splitlines()
        return [record for record in map(json.loads, lines) if record["client"].startswith(client)]

    def rows(self, metric: str) -> Iterator[tuple[int, dict[str, str], float]]:
        for part in sorted((self.directory / "timeseries").glob("*.parquet")):
            for row in pq.read_table(part).to_pylist():
                if row["metric"] == metric:
                    yield row["t_ns"], json.loads(row["labels"]), row["value"]


def mean(values: list[int]) -> float:
    return sum(values) / len(values)


def test_a_request_names_what_it_waited_for_in_the_cell(tmp_path: Path) -> None:
    data = in_cell()
    run = Run(data, tmp_path)
    records = run.requests()
    assert {record["status"] for record in records} == {"ok"}
    assert not run.manifest["invariants"]["broken"]
    for record in records:
        assert set(ACCESS) < set(record["parts"])
        assert "up_access" not in record["parts"]
        assert sum(record["parts"].values()) == record["e2el_ns"]
        assert min(record["parts"].values()) >= 0
        assert record["parts"]["down_access_sr_wait"] == record["parts"]["down_access_grant_wait"] == 0
    far, near = (mean([record["e2el_ns"] for record in run.requests(name)]) for name in ("far", "near"))
    assert far > near + 10 * MS
    ues = {labels["ue"] for _, labels, _ in run.rows("radio_prb_share") if "ue" in labels}
    assert ues == {"far-0", "near-0", "video-0", "video-1", "video-2"}

    replay = Run(data, tmp_path / "again", replay_of=run.directory)
    assert (replay.directory / "requests.jsonl").read_bytes() == (run.directory / "requests.jsonl").read_bytes()
    for metric in ("radio_delivered_bytes", "radio_mcs_mean", "radio_sr_wait_ms"):
        assert list(replay.rows(metric)) == list(run.rows(metric)) != []


def test_gaps_and_knobs_of_the_scenario_reach_the_cell(tmp_path: Path) -> None:
    data = in_cell(
        timeline=[
            {"at": "1s", "set": {"network.access.ues.far.sinr": "25dB"}},
            {"at": "1s", "set": {"network.access.gnb.uplink.first_grant": "2kB"}},
            {"at": "1s", "set": {"network.access.background.video.downlink": None}},
            {"at": "1s", "set": {"network.paths.edge.delay": "12ms"}},
        ]
    )
    data["network"]["access"]["ues"]["near"]["interruptions"] = [{"at": "400ms", "duration": "400ms"}]
    run = Run(data, tmp_path)
    sinrs = [
        (t_ns, value)
        for t_ns, labels, value in run.rows("radio_sinr_db")
        if labels == {"ue": "far-0", "direction": "down"}
    ]
    # Each of two layers has 3 dB less.
    assert {value for t_ns, value in sinrs if t_ns <= 1000 * MS} == {0.0}
    assert {value for t_ns, value in sinrs if t_ns > 1100 * MS} == {22.0}
    video = [t_ns for t_ns, labels, _ in run.rows("radio_delivered_bytes") if labels.get("ue") == "video-0"]
    assert min(video) < 1000 * MS
    assert max(video) < 1500 * MS
    assert {record["parts"]["up_wan"] for record in run.requests() if record["t_sent_ns"] > 1100 * MS} == {12 * MS}
    held = [record for record in run.requests("near") if 400 * MS <= record["t_sent_ns"] < 600 * MS]
    assert held
    assert all(record["t_end_ns"] > 800 * MS for record in held)


def test_requests_over_a_radio_that_carries_nothing_time_out(tmp_path: Path) -> None:
    data = in_cell(duration="1s", clients=[chat("far", timeout="700ms")])
    data["network"]["access"]["ues"] = {"far": {"sinr": "-10dB"}}
    run = Run(data, tmp_path)
    records = run.requests()
    assert len(records) == 10
    assert {record["status"] for record in records} == {"timeout"}
    assert all(record["e2el_ns"] == 700 * MS for record in records)
    assert run.summary["requests"]["timeout"] == 10
    up = next(entry for entry in run.manifest["links"] if (entry["link"], entry["up"]) == ("access/far-0", True))
    assert up["n_bytes"] == 0
