"""A whole run with real ns-3 here and real vLLM engines behind `cosim engine-host`."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from cosim.bridge.keys import make_keys
from tests.live.test_run_real import TINY, TINY_VISION, cosim, engine, write
from tests.remote.rig import engine_host, wait_until_gone

pytestmark = [pytest.mark.ns3, pytest.mark.vllm]


def test_engines_elsewhere_serve_a_run_and_its_replay_needs_none(tmp_path: Path) -> None:
    keys, a, b = tmp_path / "keys", tmp_path / "a", tmp_path / "b"
    make_keys(keys)
    with engine_host(tmp_path, keys, module="cosim engine-host") as host:
        hardware = {"kind": "remote", "address": host.address, "key": "keys"}
        models = {"edge": TINY, "cloud": TINY_VISION}
        tiers = {name: {"path": name, "engine": engine(model, hardware=hardware)} for name, model in models.items()}
        file = write(tmp_path, tiers=tiers)
        done = cosim("run", file, "-o", a)
        assert done.returncode in (0, 4), done.stderr  # 4: this machine is too busy for its steps to be judged.
        manifest = json.loads((a / "manifest.json").read_text())
        role = f"engines {host.address}"
        assert manifest["children"][role]["edge"]["async_scheduling"] is False
        assert manifest["engine_hosts"][role]["versions"]["vllm"]
        assert manifest["engine_hosts"][role]["machine"]["cpu"]
        assert manifest["refused_messages"] == {"network ns3": 0, role: 0}
        records = [json.loads(line) for line in (a / "requests.jsonl").read_text().splitlines()]
        assert {record["status"] for record in records} == {"ok"}
        assert all(sum(record["parts"].values()) == record["e2el_ns"] for record in records)
        wrong = cosim("run", file, "-o", tmp_path / "c", "--set", "tiers.edge.engine.args={max_num_sequences: 4}")
        assert wrong.returncode == 3
        assert "edge: vLLM has no engine argument 'max_num_sequences'; did you mean" in wrong.stderr
        children = host.children()
        os.kill(host.process.pid, signal.SIGKILL)
        wait_until_gone(*children)
    again = cosim("replay", a, "-o", b)
    assert again.returncode in (0, 4), again.stderr
    assert (a / "requests.jsonl").read_bytes() == (b / "requests.jsonl").read_bytes()
