"""A real vLLM engine host that is killed or stopped, and a cosim that is killed or interrupted beside one."""

from __future__ import annotations

import signal

import pytest

from cosim.environment import vllm_hardware
from tests.faults.rig import check_end, check_remains, injection

pytestmark = [pytest.mark.ns3, pytest.mark.vllm, pytest.mark.many_faults]

HOST = "cosim.inference.host"
PEER = f"engines {vllm_hardware()}"
MODEL = {"kind": "synthetic", "architecture": "qwen3", "hidden_size": 128, "layers": 2}
ENGINE = {"kind": "vllm", "model": MODEL, "args": {"kv_cache_memory_bytes": 32 * 2**20}}
TIERS = {"edge": {"path": "edge", "engine": ENGINE}}
# The host needs most of a run's start to import vLLM and torch.
WITHIN_S = {"start": 15.0, "loop": 1.0}


@pytest.mark.parametrize(("name", "phase"), [("KILL", "start"), ("STOP", "loop")])
def test_an_engine_host_is_hit(name: str, phase: str, seed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {"silence": "2s", "start": "100s"}
    with injection(seed, endless=True, tiers=TIERS, limits=limits) as (run, dice):
        run.reach(phase, dice.uniform(0.5, WITHIN_S[phase]))
        hit = run.signal_child(HOST, signal.Signals[f"SIG{name}"])
        run.expect(hit, "there was no engine host")
        check_end(run, (3,), PEER, "was killed by SIGKILL" if name == "KILL" else "has been silent for", peer=PEER)
        check_remains(run, monkeypatch)


@pytest.mark.parametrize(("name", "code", "phase"), [("KILL", -signal.SIGKILL, "loop"), ("INT", 130, "start")])
def test_cosim_is_hit(name: str, code: int, phase: str, seed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with injection(seed, endless=True, tiers=TIERS) as (run, dice):
        run.reach(phase, dice.uniform(0.5, WITHIN_S[phase]))
        run.process.send_signal(signal.Signals[f"SIG{name}"])
        check_end(run, (code,))
        check_remains(run, monkeypatch)
