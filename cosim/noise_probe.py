"""The noise floor of this machine: a fixed piece of work, repeated for some seconds as an engine host repeats steps.

The work resembles a decode step of a small model on a CPU: products of weights that do not fit the nearest caches with
a vector, and some Python around them. `python -m cosim.noise_probe` measures once and prints JSON; `probe` starts
several such processes, since two processes differ (memory pages, hash tables) by what no repetition within one shows.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from dataclasses import dataclass
from statistics import fmean, median, quantiles, stdev
from typing import Any

from cosim.clock import NS_PER_MS, NS_PER_S, monotonic_ns, sleep_s
from cosim.machine_use import MachineUse
from cosim.results.hygiene import MAD_TO_SD, Z_95

PROCESSES = 4
LAYERS, WIDTH = 8, 1024  # 32 MiB of float32.
PYTHON_ITEMS = 4_000
MIN_REPETITIONS = 10
WARM_UP_NS = 100 * NS_PER_MS
MEASURED_NS = 450 * NS_PER_MS
TIMER_S = 0.001
TIMERS = 100
LIMIT_S = 8.0


@dataclass(frozen=True, slots=True)
class Noise:
    """What a probe found; shares and relative standard deviations between 0 and 1, None where the kernel is silent.

    `repeat_sd`: robust sd of repetitions within a process. `process_sd`: sd of the processes' medians.
    """

    kernel_ms: float
    repetitions: int
    repeat_sd: float
    process_sd: float
    cpu_wait_share: float
    timer_late_us: float
    timer_late_p99_us: float
    other_share: float | None
    stolen_share: float | None
    cpus: int

    def resolvable(self, n: int) -> float:
        """Relative difference of the means of two runs of n samples that noise alone exceeds in 5 % of pairs.

        1.96 sqrt(2 (repeat_sd^2 / n + process_sd^2)): two samples, normal approximation; n does not help against what
        differs from process to process.
        """
        return Z_95 * math.sqrt(2 * (self.repeat_sd**2 / n + self.process_sd**2))


def probe() -> Noise | None:
    """Measure for about 3 s; None where numpy is missing or the machine takes longer than LIMIT_S for a process."""
    one_thread = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    use = MachineUse()
    found = []
    for _ in range(PROCESSES):
        try:
            done = subprocess.run(
                [sys.executable, "-m", "cosim.noise_probe"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                env={**os.environ, **one_thread},
                timeout=LIMIT_S,
                check=True,
            )
        except (OSError, subprocess.SubprocessError):
            return None
        found.append(json.loads(done.stdout))
    return combine(found, use.read())


def combine(found: list[dict[str, Any]], use: dict[str, int] | None) -> Noise:
    """Put several processes' measurements together; `use` is MachineUse's reading over all of them."""
    medians = [median(one["duration_ns"]) for one in found]
    residuals = [
        abs(duration / middle - 1)
        for one, middle in zip(found, medians, strict=True)
        for duration in one["duration_ns"]
    ]
    late_us = [late_ns / 1_000 for one in found for late_ns in one["late_ns"]]
    waits = [
        (wait_ns, duration_ns)
        for one in found
        for wait_ns, duration_ns in zip(one["cpu_wait_ns"], one["duration_ns"], strict=True)
        if wait_ns is not None
    ]
    capacity_ns = use["wall_ns"] * use["cpus"] if use else 0
    return Noise(
        kernel_ms=median(medians) / NS_PER_MS,
        repetitions=len(residuals),
        repeat_sd=MAD_TO_SD * median(residuals),
        process_sd=stdev(medians) / fmean(medians),
        cpu_wait_share=sum(wait for wait, _ in waits) / max(1, sum(duration for _, duration in waits)),
        timer_late_us=median(late_us),
        timer_late_p99_us=quantiles(late_us, n=100)[98],
        other_share=max(0, use["busy_ns"] - use["own_ns"]) / capacity_ns if use else None,
        stolen_share=use["stolen_ns"] / capacity_ns if use else None,
        cpus=len(os.sched_getaffinity(0)),
    )


def measure() -> dict[str, list[int | None]]:
    """One process's repetitions: durations and waits for a CPU, and how late timers of TIMER_S woke it."""
    import numpy as np

    from cosim.inference.conditions import ConditionsMeter

    draw = np.random.default_rng(1)
    weights = draw.standard_normal((LAYERS, WIDTH, WIDTH), np.float32)
    start = draw.standard_normal(WIDTH).astype(np.float32)
    meter = ConditionsMeter(threads=1, gpu=False)
    durations: list[int | None] = []
    waits: list[int | None] = []

    def kernel() -> None:
        state = start
        for layer in weights:
            state = layer @ state
            state /= np.abs(state).max()
        counts: dict[int, int] = {}
        for item in range(PYTHON_ITEMS):
            counts[item % 64] = counts.get(item % 64, 0) + item

    began_ns = monotonic_ns()
    while (now_ns := monotonic_ns() - began_ns) < WARM_UP_NS + MEASURED_NS or len(durations) < MIN_REPETITIONS:
        meter.begin()
        start_ns = monotonic_ns()
        kernel()
        duration_ns = monotonic_ns() - start_ns
        conditions = meter.end(duration_ns)
        if now_ns >= WARM_UP_NS:
            durations.append(duration_ns)
            waits.append(conditions.cpu_wait_ns)
    late: list[int | None] = []
    for _ in range(TIMERS):
        start_ns = monotonic_ns()
        sleep_s(TIMER_S)
        late.append(monotonic_ns() - start_ns - int(TIMER_S * NS_PER_S))
    return {"duration_ns": durations, "cpu_wait_ns": waits, "late_ns": late}


if __name__ == "__main__":
    print(json.dumps(measure()))
