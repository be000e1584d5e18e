"""Faults at random moments of short runs: how the run ends, what it leaves, and that the next one works."""

from __future__ import annotations

import signal

import pytest

from tests.faults.rig import ENDLESS, NS3, PHASES, check_end, check_remains, injection

pytestmark = pytest.mark.ns3

PEER = "ns-3 network"


def moments(sample: int, **phases: int) -> list[object]:
    """Phase and number of each injection of a kind; all but the first `sample` only with --faults."""
    chosen = [(phase, number) for phase, count in phases.items() for number in range(count)]
    first = chosen[: 2 * sample : 2] if sample else []
    return [
        pytest.param(phase, number, marks=() if (phase, number) in first else pytest.mark.many_faults)
        for phase, number in chosen
    ]


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> str:
    return f"{request.config.getoption('--faults-seed')} {request.node.name}"


@pytest.mark.parametrize(("phase", "number"), moments(1, loop=6, start=6, end=4))
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


@pytest.mark.parametrize(("phase", "number"), moments(1, loop=5, start=3, end=2))
def test_a_stopped_child(phase: str, number: int, seed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is found within limits.silence, and within limits.start before it is ready."""
    with injection(seed, endless=phase in ENDLESS, limits={"silence": "2s", "start": "6s"}) as (run, dice):
        run.reach(phase, dice.uniform(0, PHASES[phase]))
        run.signal_child(NS3, signal.SIGSTOP)
        code = check_end(run, (3,) if phase in ENDLESS else (0, 3), PEER, peer=PEER)
        if code == 3:
            run.expect(any(f"silent for {n} s" in run.errors for n in (2, 6)), "nothing says for how long")
        check_remains(run, monkeypatch)
