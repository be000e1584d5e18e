"""A connection that TCP gives up while the network's work was put off ends in time, not before it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lockstep import chat, scenario, stub

pytestmark = pytest.mark.ns3

S = 1_000_000_000


def run(folder: Path, **overrides: Any) -> list[dict[str, Any]]:
    data = scenario(validity={"min_requests": 1}, **overrides)
    data["network"]["kind"] = "ns3"
    file = folder / "s.yaml"
    file.write_text(yaml.safe_dump(data))
    command = [sys.executable, "-m", "cosim", "run", str(file), "-o", str(folder / "out"), "--ui", "none"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode in (0, 4), done.stderr
    return [json.loads(line) for line in (folder / "out" / "requests.jsonl").read_text().splitlines()]


def test_an_answer_that_never_arrives_is_reset_before_the_long_step_ends(tmp_path: Path) -> None:
    tiers = {"edge": {"path": "edge", "engine": stub(decode="1500s")}}
    user = chat("u", arrivals={"kind": "constant", "rate": "0.1/s"}, output_tokens=3, timeout="4000s")
    lost = [{"at": "9.9s", "set": {"network.access.downlink.loss": "100%"}}]
    records = run(tmp_path, duration="10s", tiers=tiers, clients=[user], timeline=lost)
    assert [record["status"] for record in records] == ["error"]
    assert "gave the connection up" in records[0]["error"]
    # Its answer had begun: the openai SDK does not ask again.
    assert records[0]["attempts"] == 1
    # The second chunk leaves at 1,503 s; the step after it ends at 3,003 s, and nothing else happens in between.
    assert 1_600 * S < records[0]["t_end_ns"] < 2_900 * S


def test_an_idle_connection_that_cannot_be_closed_does_not_take_time_back(tmp_path: Path) -> None:
    tiers = {"edge": {"path": "edge", "engine": stub()}, "device": {"engine": stub()}}
    rare = chat("u", arrivals={"kind": "constant", "rate": "0.005/s"}, timeout="20s")
    often = chat("d", tier="device", arrivals={"kind": "constant", "rate": "1/s"})
    lost = [{"at": "100s", "set": {"network.access.uplink.loss": "100%"}}]
    records = run(tmp_path, duration="700s", seed=4, tiers=tiers, clients=[rare, often], timeline=lost)
    assert [record["t_end_ns"] for record in records] == sorted(record["t_end_ns"] for record in records)
    assert {record["status"] for record in records if record["client"] == "d-0"} == {"ok"}
