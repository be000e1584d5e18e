"""Children that are killed or stopped, talk nonsense or leave: the run names them and nothing is left."""

from __future__ import annotations

import random
import signal

import pytest

from tests.faults.rig import ENDLESS, NS3, PHASES, check_end, check_remains, injection, misbehaving, moments

pytestmark = pytest.mark.ns3

PEER = "ns-3 network"
SAMPLE = [("garbage", 0), ("exit after", 0)]


@pytest.mark.parametrize(("phase", "number"), moments(1, loop=4, start=4, end=2))
def test_a_killed_child(phase: str, number: int, seed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with injection(seed, endless=phase in ENDLESS) as (run, dice):
        run.reach(phase, dice.uniform(0, PHASES[phase]))
        hit = run.signal_child(NS3, signal.SIGKILL)
        if hit or phase not in ENDLESS:
            check_end(run, (3,) if phase in ENDLESS else (0, 3), PEER, "was killed by SIGKILL", peer=PEER)
        else:
            run.process.terminate()  # Before the child was there: another kind of fault.
            check_end(run, (143,))
        check_remains(run, monkeypatch)


@pytest.mark.parametrize(("phase", "number"), moments(1, loop=3, start=1, end=1))
def test_a_stopped_child(phase: str, number: int, seed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is found within limits.silence, and within limits.start before it is ready."""
    with injection(seed, endless=phase in ENDLESS, limits={"silence": "2s", "start": "6s"}) as (run, dice):
        run.reach(phase, dice.uniform(0, PHASES[phase]))
        run.signal_child(NS3, signal.SIGSTOP)
        code = check_end(run, (3,) if phase in ENDLESS else (0, 3), PEER, peer=PEER)
        if code == 3:
            run.expect(any(f"silent for {n} s" in run.errors for n in (2, 6)), "nothing says for how long")
        check_remains(run, monkeypatch)


def test_a_child_that_does_not_get_ready(seed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """limits.start, where limits.silence would wait for an hour."""
    limits = {"silence": "1h", "start": "2s"}
    with injection(seed, endless=True, environment=misbehaving("silent:1"), limits=limits) as (run, _):
        check_end(run, (3,), PEER, "has been silent for 2 s", peer=PEER)
        check_remains(run, monkeypatch)


MISDEEDS = {
    "garbage": "refused",
    "empty": "refused",
    "cut": "refused",
    "long": "refused",
    "other": "refused",
    "wrong": "answered Stopped instead of",
    "flip": "",
    "exit before": "ended with exit status 0",
    "exit after": "ended with exit status 0",
    "status": "ended with exit status 7",
    "raise": "ended with exit status 1",
    "silent": "has been silent for 2 s",
    "close": "closed its socket",
}
TIMES = {"garbage": 3, "cut": 2, "flip": 2, "exit before": 2, "exit after": 2}


@pytest.mark.parametrize(
    ("kind", "number"),
    [
        pytest.param(kind, number, marks=() if (kind, number) in SAMPLE else pytest.mark.many_faults)
        for kind in MISDEEDS
        for number in range(TIMES.get(kind, 1))
    ],
)
def test_a_misbehaving_child(kind: str, number: int, seed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a random number of replies, the first (it is ready) among them."""
    after = 1 if number == 1 else random.Random(seed).randrange(2, 200)
    with injection(seed, endless=True, environment=misbehaving(f"{kind}:{after}")) as (run, _):
        run.moment = f"at reply {after}"
        last_line = "ValueError: the reason" if kind == "raise" else f"about to misbehave: {kind}"
        check_end(run, (3,), PEER, MISDEEDS[kind], last_line, peer=PEER)
        check_remains(run, monkeypatch)
