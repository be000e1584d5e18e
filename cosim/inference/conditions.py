"""What the machine tells of itself around one executed thing: CPU time, waiting for a CPU, clocks, power.

Everything is read before the measured window begins or after it has ended, by system calls that take some microseconds
together.
"""

from __future__ import annotations

import ctypes
import os
import resource
from pathlib import Path
from typing import Any

from cosim.bridge.engine_messages import Conditions
from cosim.clock import NS_PER_MS, monotonic_ns, process_cpu_ns, thread_cpu_ns

SCHEDSTAT = Path("/proc/thread-self/schedstat")
CPU_DIRECTORY = Path("/sys/devices/system/cpu")
# NVML asks the driver, which can take tens of microseconds; clocks and power move slower than this.
GPU_INTERVAL_NS = 50 * NS_PER_MS


class ConditionsMeter:
    """Call `begin` before the measured window and `end` after it, on the thread that executes.

    `threads`: how many threads compute. With more than one, what the others wait for is not seen and `cpu_wait_ns` is
    None. `gpu`: read the clock and power of CUDA's first device.
    """

    def __init__(
        self, *, threads: int, gpu: bool, schedstat: Path = SCHEDSTAT, cpu_directory: Path = CPU_DIRECTORY
    ) -> None:
        self._one_thread = threads == 1
        self._schedstat = _RunQueue(schedstat)
        self._frequency = _CpuFrequency(cpu_directory)
        self._gpu = Gpu.first() if gpu else None
        self._switches = self._queued_ns = self._process_ns = self._thread_ns = 0

    def begin(self) -> None:
        """Note where the counters stand."""
        self._switches = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
        self._queued_ns = self._schedstat.read_ns()
        self._process_ns = process_cpu_ns()
        self._thread_ns = thread_cpu_ns()

    def end(self, wall_ns: int) -> Conditions:
        """The conditions since `begin`; `wall_ns` is the length of the measured window."""
        thread_ns = thread_cpu_ns() - self._thread_ns
        process_ns = process_cpu_ns() - self._process_ns
        gpu_mhz, gpu_power_w = self._gpu.read() if self._gpu is not None else (None, None)
        return Conditions(
            cpu_ns=process_ns,
            cpu_wait_ns=self._wait_ns(wall_ns - thread_ns),
            cpu_mhz=self._frequency.read_mhz(),
            gpu_mhz=gpu_mhz,
            gpu_power_w=gpu_power_w,
        )

    def _wait_ns(self, off_cpu_ns: int) -> int | None:
        """Time off the CPU was waiting for one if the thread gave it up at no time by itself (ru_nvcsw).

        If it did (a lock, a GPU, a disk), the kernel's own count of time in run queues is used where it is kept; what
        of that came before the window began is more than the time off the CPU.
        """
        if not self._one_thread:
            return None
        off_cpu_ns = max(0, off_cpu_ns)
        if resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw == self._switches:
            return off_cpu_ns
        return min(off_cpu_ns, self._schedstat.read_ns() - self._queued_ns) if self._schedstat.kept else None


class _RunQueue:
    """Time that the thread that made this has spent in run queues (proc(5), schedstat)."""

    def __init__(self, path: Path) -> None:
        self._fd = _open(path)
        # A kernel that keeps no such statistics shows zeros, also for the time on a CPU that this process has had.
        self.kept = self._fd is not None and int(os.pread(self._fd, 64, 0).split()[0]) > 0

    def read_ns(self) -> int:
        return int(os.pread(self._fd, 64, 0).split()[1]) if self.kept and self._fd is not None else 0


class _CpuFrequency:
    """Frequency of the CPU that the calling thread is on, where the kernel has a cpufreq driver."""

    def __init__(self, directory: Path) -> None:
        self._files = {
            int(folder.name.removeprefix("cpu")): fd
            for folder in directory.glob("cpu[0-9]*")
            if (fd := _open(folder / "cpufreq" / "scaling_cur_freq")) is not None
        }
        self._cpu = ctypes.CDLL(None).sched_getcpu

    def read_mhz(self) -> float | None:
        fd = self._files.get(self._cpu()) if self._files else None
        try:
            return None if fd is None else int(os.pread(fd, 32, 0)) / 1_000
        except (OSError, ValueError):  # A driver may say `<unknown>`.
            return None


class Gpu:
    """SM clock and power of a GPU by NVML, read once in GPU_INTERVAL_NS; between, and on errors, None."""

    def __init__(self, nvml: Any, device: Any) -> None:
        self._nvml = nvml
        self._device = device
        self._read_at_ns = 0

    @classmethod
    def first(cls) -> Gpu | None:
        """CUDA's first device; None, with a line in the log, where NVML does not know it."""
        try:
            import torch
            from vllm.third_party import pynvml

            pynvml.nvmlInit()
            return cls(pynvml, pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(0).uuid}"))
        except Exception as error:  # Whatever the driver lacks: a run does not depend on it.
            print(f"no GPU clocks: {type(error).__name__}: {error}", flush=True)
            return None

    def read(self) -> tuple[int | None, float | None]:
        """SM clock in MHz and power in W."""
        now_ns = monotonic_ns()
        if now_ns - self._read_at_ns < GPU_INTERVAL_NS:
            return None, None
        self._read_at_ns = now_ns
        try:
            clock_mhz = int(self._nvml.nvmlDeviceGetClockInfo(self._device, self._nvml.NVML_CLOCK_SM))
            return clock_mhz, self._nvml.nvmlDeviceGetPowerUsage(self._device) / 1_000
        except self._nvml.NVMLError:
            return None, None


def _open(path: Path) -> int | None:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
