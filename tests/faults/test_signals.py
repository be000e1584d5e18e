"""cosim itself is killed or told to stop, once or twice, at random moments."""

from __future__ import annotations

import contextlib
import signal
import subprocess

import pytest

from tests.faults.rig import ENDLESS, PHASES, Injection, check_end, check_remains, injection, moments

pytestmark = pytest.mark.ns3

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143}
WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
LONGEST_GAP_S = 0.4


def expected(run: Injection, phase: str, number: signal.Signals) -> tuple[int, ...]:
    """Exit statuses. Where the signal itself ends cosim, a shell shows the same number.

    That is before the handlers are in place, and where Ctrl-C came while a module was being imported: CPython then
    kills itself with SIGINT at its end (unhandled_keyboard_interrupt in pythonrun.c), although it was handled.
    """
    itself = (-number,) if phase == "boot" or number == signal.SIGINT else ()
    return (CODES[number], *itself, *(() if phase in ENDLESS else (0,)))


@pytest.mark.parametrize(("phase", "number"), moments(1, loop=4, boot=2, start=3, end=2, finish=1))
def test_cosim_is_killed(phase: str, number: int, seed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its children are gone within seconds, and the next run sweeps what it left."""
    with injection(seed, endless=phase in ENDLESS) as (run, dice):
        run.reach(phase, dice.uniform(0, PHASES[phase]))
        run.process.kill()
        check_end(run, (-signal.SIGKILL, *(() if phase in ENDLESS else (0,))))
        check_remains(run, monkeypatch)


@pytest.mark.parametrize("name", ["INT", "TERM"])
@pytest.mark.parametrize(("phase", "number"), moments(1, start=2, loop=2, boot=1, end=2, finish=1))
def test_cosim_is_told_to_stop(name: str, phase: str, number: int, seed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told = signal.Signals[f"SIG{name}"]
    with injection(seed, endless=phase in ENDLESS) as (run, dice):
        run.reach("loaded" if phase == "boot" else phase, dice.uniform(0, PHASES[phase]))
        run.process.send_signal(told)
        code = check_end(run, expected(run, phase, told))
        run.expect(code <= 0 or WORDS[told] in run.errors, f"nothing says {WORDS[told]!r}")
        check_remains(run, monkeypatch)


@pytest.mark.parametrize(
    "names", ["INT INT", *(pytest.param(names, marks=pytest.mark.many_faults) for names in ("TERM INT", "INT TERM"))]
)
@pytest.mark.parametrize(("phase", "number"), moments(1, loop=2, start=1, end=1))
def test_cosim_is_told_twice(names: str, phase: str, number: int, seed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second comes during the clean-up and does not disturb it."""
    first, second = (signal.Signals[f"SIG{name}"] for name in names.split())
    with injection(seed, endless=phase in ENDLESS) as (run, dice):
        run.reach(phase, dice.uniform(0, PHASES[phase]))
        run.process.send_signal(first)
        gap_s = dice.choice([0, dice.uniform(0, LONGEST_GAP_S)])
        with contextlib.suppress(subprocess.TimeoutExpired):
            run.process.wait(gap_s)
        run.process.send_signal(second)
        run.moment += f", then {gap_s:.3f} s later"
        codes = {code for told in (first, second) for code in expected(run, phase, told)}
        check_end(run, tuple(codes if gap_s == 0 else {*expected(run, phase, first)}))
        check_remains(run, monkeypatch)
