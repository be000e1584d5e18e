"""One run of a sweep in its worker: who may execute steps, and what is left of a failure."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
from pathlib import Path

import pytest

from cosim.sweep.work import LOCKS, executing_alone


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "cosim" / LOCKS


def is_held(lock: Path) -> bool:
    handle = os.open(lock, os.O_RDWR)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def test_a_machine_that_executes_steps_is_held(cache: Path) -> None:
    """Whatever hardware of it; a machine of its own is one with another engine host."""
    with executing_alone(("cpu", "gpu:0", "tcp://10.0.0.1:5555")):
        locks = sorted(cache.iterdir())
        assert len(locks) == 2
        assert all(map(is_held, locks))
    assert not any(map(is_held, locks))


def test_a_run_that_executes_nothing_waits_for_nobody(cache: Path) -> None:
    with executing_alone(()):
        assert not cache.exists()


def _hold(entered: object) -> None:
    with executing_alone(("cpu",)):
        entered.set()  # type: ignore[attr-defined]


def test_another_process_waits(cache: Path) -> None:
    context = multiprocessing.get_context("spawn")
    entered = context.Event()
    other = context.Process(target=_hold, args=(entered,))
    with executing_alone(("gpu",)):
        other.start()
        assert not entered.wait(2)
    assert entered.wait(60)
    other.join()
