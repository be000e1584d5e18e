"""What a run would do, as text."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent
from typing import Any

import yaml

from cosim.plan import plan_lines
from cosim.scenario.load import load
from tests.lockstep import chat, scenario, stub
from tests.sharegpt import FILE


def plan(folder: Path, data: dict[str, Any]) -> str:
    file = folder / "s.yaml"
    file.write_text(yaml.safe_dump(data, sort_keys=False))
    return "\n".join(plan_lines(load(file, environment={})))


def test_a_plan_of_doubles(tmp_path: Path) -> None:
    data = scenario(
        warmup="200ms",
        clients=[chat("user", count=3), chat("own", tier="device"), chat("far", tier="cloud")],
        timeline=[{"at": "100ms", "set": {"network.core.delay": "2ms"}}],
    )
    data["tiers"]["device"] = {"engine": stub(time_scale=2, sharing="timeslice"), "per_client": True}
    data["tiers"]["cloud"] = {"path": "cloud", "engine": stub(), "replicas": 2, "balancing": "least-loaded"}
    data["network"]["core"] = {"delay": "1ms", "delay_down": "3ms"}
    data["network"]["paths"]["cloud"] = {"delay": "20ms", "rate_up": "1Gbit/s", "jitter_down": "0.5ms"}
    data["network"]["paths"]["edge"] = {"outages": [{"at": "100ms", "duration": "50ms"}]}
    data["network"]["access"]["uplink"]["jitter"] = "2ms"
    assert plan(tmp_path, data) == dedent("""\
        run: 0.5 s of virtual time (of it 0.2 s warm-up),
          seed 1, clock lockstep
        would start
          cloud: 2 replicas behind a least-loaded load balancer that takes no time
          no process: network and engines are doubles in process
        would send
          user: 3 client(s) of kind chat to edge, over access, core and path edge
            each at 10/s (constant), open loop
          own: 1 client(s) of kind chat to device, local
            each at 10/s (constant), open loop
          far: 1 client(s) of kind chat to cloud, over access, core and path cloud
            each at 10/s (constant), open loop
        network
          access up unlimited, 8 ms, jitter 2 ms; down unlimited, 4 ms
          core up unlimited, 1 ms; down unlimited, 3 ms
          path edge up unlimited, 0 ms; down unlimited, 0 ms
            outage at 0.1 s for 0.05 s
          path cloud up 1000 Mbit/s, 20 ms; down unlimited, 20 ms, jitter 0.5 ms
          changes at 0.1 s
        would measure
          premium: share of requests that end within 500 ms of the time at which they were due
          edge: stub stub, time_scale 1, isolated
            steps: constant times of the scenario
          device/own-0: stub stub, time_scale 2, timeslice
            steps: constant times of the scenario
          cloud/replica-0: stub stub, time_scale 1, isolated
            steps: constant times of the scenario
          cloud/replica-1: stub stub, time_scale 1, isolated
            steps: constant times of the scenario""")


def test_a_plan_names_every_process(tmp_path: Path) -> None:
    model = {"kind": "synthetic", "architecture": "llama"}
    tiers = {
        "edge": {"path": "edge", "engine": {"kind": "vllm", "model": model}},
        "cloud": {"path": "cloud", "engine": {"kind": "vllm", "model": "some/model", "hardware": "gpu:1"}},
    }
    data = scenario(tiers=tiers, clients=[chat("a"), chat("b", tier="cloud")])
    data["network"] = {**data["network"], "kind": "ns3"}
    data["network"]["core"] = {"loss": "0.1%"}
    lines = plan(tmp_path, data).splitlines()
    start = lines.index("would start")
    assert lines[start : lines.index("would send")] == [
        "would start",
        "  network ns3: an ns-3 process",
        "  engines cpu: a process with edge",
        "  engines gpu:1: a process with cloud",
    ]
    assert "  core up unlimited, 0 ms, loss 0.100%; down unlimited, 0 ms, loss 0.100%" in lines
    assert lines[-4:] == [
        "  edge: vllm synthetic-llama-128x2, time_scale 1, isolated",
        "    steps: executed on cpu",
        "  cloud: vllm some/model, time_scale 1, isolated",
        "    steps: executed on gpu:1",
    ]


def test_a_plan_says_what_steps_come_from(tmp_path: Path) -> None:
    executor = {"kind": "profiled", "profile": "gh200-96gb/3g.48gb"}
    model = {"kind": "config", "config": "qwen2.5-vl-3b"}
    tiers = {
        "edge": {"path": "edge", "engine": {"kind": "vllm", "model": model, "executor": executor}},
        "cloud": {"path": "cloud", "engine": {"kind": "replay", "run": str(tmp_path)}},
    }
    lines = plan(tmp_path, scenario(tiers=tiers, clients=[chat("a"), chat("b", tier="cloud")])).splitlines()
    steps = [line.strip() for line in lines if line.startswith("    steps: ")]
    assert steps[0].startswith("steps: predicted by a roofline of gh200-96gb/3g.48gb fp16; KV cache ")
    assert re.search(r"KV cache [1-4]\d\.\d\d GiB, \d{5} blocks$", steps[0])
    assert steps[1] == f"steps: the steps of {tmp_path}"


def test_a_plan_says_where_clients_speak_http2(tmp_path: Path) -> None:
    data = scenario(clients=[chat("a")])
    data["network"]["transport"]["tls"] = True
    data["network"]["paths"]["edge"] = {"gateway": {"http": 2}}
    line = "  a: 1 client(s) of kind chat to edge, over access, core and path edge, HTTP/2 to its gateway"
    assert line in plan(tmp_path, data).splitlines()


def test_a_plan_says_what_clients_ask(tmp_path: Path) -> None:
    base = {"tier": "edge", "prompt_tokens": 9, "output_tokens": 5}
    talk = {**base, "kind": "dialogue", "think_time": "3s"}
    people = {"kind": "sharegpt", "tier": "edge", "file": str(FILE)}
    closed = {"kind": "closed", "think_time": "2s", "think": "constant"}
    rates = {"rate": "2/s", "rate_changes": [{"at": "1s", "rate": "9/s"}]}
    clients = [
        {**base, "name": "a", "kind": "chat", "arrivals": {"kind": "gamma", "burstiness": 0.5, **rates}},
        {**talk, "name": "b", "turns": 3, "count": 2, "join": "1s", "join_every": "2s", "leave": "9s"},
        {**talk, "name": "c", "turns": {"kind": "uniform", "min": 2, "max": 8}, "sessions": 4, "pause": "9s"},
        {**talk, "name": "d", "turns": {"kind": "geometric", "mean": 4}, "system_tokens": 50, "think": "constant"},
        {**people, "name": "e", "arrivals": {"kind": "poisson", "rate": "1/s"}, "leave": "9s"},
        {**people, "name": "f", "arrivals": closed, "multi_turn": True, "moves": [{"turn": 2, "tier": "edge"}]},
    ]
    found = plan(tmp_path, scenario(clients=clients)).splitlines()
    told = [line.strip() for line in found[found.index("would send") : found.index("network")] if line[:4] == "    "]
    assert told == [
        "each at 2/s (gamma of burstiness 0.5), open loop; 9/s from 1 s on",
        "sessions one after another of 3 turn(s), each 9 tokens and an answer of 5",
        "3 s between turns, 3 s between sessions (exponential)",
        "joining at 1 s, one each 2 s, leaving at 9 s",
        "4 session(s) each of 2 to 8 turn(s), each 9 tokens and an answer of 5",
        "3 s between turns, 9 s between sessions (exponential)",
        "sessions one after another of 4 (mean, geometric) turn(s), each 9 tokens and an answer of 5 after a system "
        "prompt of 50 that all share",
        "3 s between turns, 3 s between sessions (constant)",
        "each at 1/s (poisson), open loop",
        f"sessions one after another, of 12 prompts that fit in {FILE}",
        "joining at 0 s, leaving at 9 s",
        "each after an answer and 2 s of thought (constant), closed loop",
        f"sessions one after another, of 12 conversations of 30 turns in all that fit in {FILE}",
        "sessions move to edge from turn 2 on",
    ]
