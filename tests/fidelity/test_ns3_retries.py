"""Retries over ns-3: requests that cross a FIN, connections that TCP gives up, and replay byte for byte."""

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


def cosim(*arguments: str | Path) -> None:
    command = [sys.executable, "-m", "cosim", *map(str, arguments), "--ui", "none"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode in (0, 4), done.stderr


def run(folder: Path, **overrides: Any) -> list[dict[str, Any]]:
    """Run a scenario over ns-3 into `folder`/out; its requests."""
    transport = overrides.pop("transport", {})
    data = scenario(validity={"min_requests": 1}, **overrides)
    data["network"]["kind"] = "ns3"
    data["network"]["transport"] |= transport
    file = folder / "s.yaml"
    file.write_text(yaml.safe_dump(data))
    cosim("run", file, "-o", folder / "out")
    manifest = json.loads((folder / "out" / "manifest.json").read_text())
    assert manifest["invariants"]["broken"] == []
    return [json.loads(line) for line in (folder / "out" / "requests.jsonl").read_text().splitlines()]


def check_replay(folder: Path) -> None:
    cosim("replay", folder / "out", "-o", folder / "again")
    assert (folder / "out" / "requests.jsonl").read_bytes() == (folder / "again" / "requests.jsonl").read_bytes()


@pytest.mark.parametrize("edge", [{}, {"gateway": {"http": 2}}], ids=["http1", "http2"])
def test_requests_that_cross_a_fin_are_retried_and_replay_is_byte_identical(
    tmp_path: Path, edge: dict[str, Any]
) -> None:
    """Lossy links, several users, answers after which the server closes within a few round trips."""
    rough = {"delay": "8ms", "jitter": "3ms", "loss": "3%", "rate": "20Mbit/s"}
    network = {
        "kind": "ns3",
        "access": {"kind": "link", "uplink": rough, "downlink": rough},
        "paths": {"edge": edge},
        "transport": {"tls": True, "keepalive": "100ms", "server_keepalive": "40ms"},
    }
    users = [chat("u", count=4, arrivals={"kind": "poisson", "rate": "15/s"}, prompt_tokens=3000, timeout="3s")]
    users += [chat("v", arrivals={"kind": "poisson", "rate": "15/s"}, timeout="80ms")]
    records = run(tmp_path, network=network, duration="4s", clients=users)
    attempts = [record["attempts"] for record in records]
    assert max(attempts) > 1
    for record in records:
        assert sum(record["parts"].values()) == record["e2el_ns"]
        assert (record["parts"]["up_retry"] > 0) == (record["attempts"] > 1) or record["status"] != "ok"
    check_replay(tmp_path)


def test_a_syn_that_tcp_gives_up_is_tried_again(tmp_path: Path) -> None:
    """The network is dead for 130 s: the first connection is given up at 127 s, the second one's SYN repeats."""
    user = chat("u", arrivals={"kind": "constant", "rate": "1/s"}, timeout="400s", output_tokens=1)
    dead = [
        {"at": "0ms", "set": {"network.access.uplink.loss": "100%"}},
        {"at": "130s", "set": {"network.access.uplink.loss": "0%"}},
    ]
    (record,) = run(tmp_path, duration="1s", clients=[user], timeline=dead)
    assert (record["status"], record["attempts"], record["connection"]) == ("ok", 2, "new")
    assert 127.375 * S <= record["parts"]["up_retry"] <= 127.5 * S
    assert record["parts"]["up_connect"] > 1 * S
    check_replay(tmp_path)


def test_an_attempt_that_tcp_gave_up_leaves_its_engine(tmp_path: Path) -> None:
    """The server cannot send its first chunk, given up about 965 s later; the retry is another request to the engine.

    The step under way then (901 to 1201 s) ends first, without the tokens of either.
    """
    tiers = {"edge": {"path": "edge", "engine": stub(prefill="1s", decode="300s")}}
    user = chat("u", arrivals={"kind": "constant", "rate": "1/s"}, timeout="3000s", output_tokens=6)
    dead = [
        {"at": "1.1s", "set": {"network.access.downlink.loss": "100%"}},
        {"at": "990s", "set": {"network.access.downlink.loss": "0%"}},
    ]
    (record,) = run(tmp_path, duration="1s", tiers=tiers, clients=[user], timeline=dead)
    assert (record["status"], record["attempts"], record["output_tokens"]) == ("ok", 2, 6)
    lines = [json.loads(line) for line in (tmp_path / "out" / "steps.jsonl").read_text().splitlines()]
    batches = [list(line["scheduled"]) for line in lines if line["kind"] == "step"]
    assert batches == [["u-0-000000"]] * 5 + [["u-0-000000-retry1"]] * 6
    check_replay(tmp_path)
