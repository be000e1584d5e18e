"""What is read of the machine around an executed thing: real counters of this kernel, and files of other machines."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest

from cosim.clock import monotonic_ns, sleep_s, thread_cpu_ns
from cosim.inference import conditions
from cosim.inference.conditions import ConditionsMeter
from tests.load import busy

MS = 1_000_000
NOWHERE = Path("/proc/nowhere")


def meter(threads: int = 1, schedstat: Path = NOWHERE, cpu_directory: Path = NOWHERE) -> ConditionsMeter:
    return ConditionsMeter(threads=threads, gpu=False, schedstat=schedstat, cpu_directory=cpu_directory)


def burn(cpu_ns: int) -> None:
    end_ns = thread_cpu_ns() + cpu_ns
    while thread_cpu_ns() < end_ns:
        pass


def test_cpu_time_and_waiting_make_up_the_wall_time() -> None:
    found = meter()
    found.begin()
    start_ns = monotonic_ns()
    burn(50 * MS)
    wall_ns = monotonic_ns() - start_ns
    read = found.end(wall_ns)
    assert read.cpu_ns >= 50 * MS
    assert read.cpu_wait_ns is not None
    assert 50 * MS + read.cpu_wait_ns == pytest.approx(wall_ns, abs=MS)


def test_a_thread_that_gave_its_cpu_up_did_not_wait_for_one() -> None:
    found = meter()
    found.begin()
    sleep_s(0.01)
    assert found.end(10 * MS).cpu_wait_ns is None


def test_of_many_threads_the_waiting_is_not_known() -> None:
    found = meter(threads=2)
    found.begin()
    burn(MS)
    assert found.end(MS).cpu_wait_ns is None


def test_run_queue_statistics_are_used_where_they_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "schedstat"
    file.write_text("9000000 1000000 5\n")
    found = meter(schedstat=file)
    found.begin()
    sleep_s(0.001)
    file.write_text("9900000 4500000 6\n")
    assert found.end(20 * MS).cpu_wait_ns == 3_500_000
    # What lies before the window: more than the window cannot have been waited in it.
    waited_ns = found.end(2 * MS).cpu_wait_ns
    assert waited_ns is not None
    assert 0 <= waited_ns <= 2 * MS
    file.write_text("0 0 1\n")
    kept_none = meter(schedstat=file)
    kept_none.begin()
    sleep_s(0.001)
    assert kept_none.end(20 * MS).cpu_wait_ns is None


def test_the_frequency_of_the_cpu_that_ran_it(tmp_path: Path) -> None:
    for number in os.sched_getaffinity(0):
        folder = tmp_path / f"cpu{number}" / "cpufreq"
        folder.mkdir(parents=True)
        (folder / "scaling_cur_freq").write_text("2595124\n")
    found = meter(cpu_directory=tmp_path)
    found.begin()
    assert found.end(1).cpu_mhz == 2595.124
    for file in tmp_path.glob("cpu*/cpufreq/scaling_cur_freq"):
        file.write_text("<unknown>\n")
    assert found.end(1).cpu_mhz is None


class Nvml:
    """The calls of NVML that are made, with a clock that rises by 15 MHz a reading."""

    NVML_CLOCK_SM = 1

    class NVMLError(Exception):
        """As NVML's."""

    def __init__(self) -> None:
        self.clocks = itertools.count(1_980, 15)

    def nvmlDeviceGetClockInfo(self, device: object, kind: int) -> int:
        return next(self.clocks)

    def nvmlDeviceGetPowerUsage(self, device: object) -> int:
        return 412_500


def test_gpu_clocks_are_read_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now_ns = 10**12
    monkeypatch.setattr(conditions, "monotonic_ns", lambda: now_ns)
    gpu = conditions.Gpu(Nvml(), object())
    assert gpu.read() == (1_980, 412.5)
    now_ns += conditions.GPU_INTERVAL_NS - 1
    assert gpu.read() == (None, None)
    now_ns += 1
    assert gpu.read() == (1_995, 412.5)


def test_under_load_a_thread_waits_for_most_of_the_time() -> None:
    """Four busy processes on each CPU: a fair scheduler gives the fifth a fifth."""
    with busy(4 * len(os.sched_getaffinity(0))):
        found = meter()
        found.begin()
        start_ns = monotonic_ns()
        burn(300 * MS)
        wall_ns = monotonic_ns() - start_ns
        read = found.end(wall_ns)
    assert read.cpu_wait_ns is not None
    assert read.cpu_wait_ns / wall_ns > 0.4
