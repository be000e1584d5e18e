"""What a recorded engine ran on, for the head of its profile."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

from cosim.environment import machine
from cosim.profile.records import RecordedHardware

ASK_LIMIT_S = 5
_ASKED = ("name", "driver_version", "clocks.mem", "power.limit")


def recorded_hardware(hardware: str, conditions: dict[str, float | None]) -> RecordedHardware:
    """This machine; `hardware`: cpu, gpu or gpu:N. `conditions`: clocks and power while steps were executed."""
    here = machine()
    cpu, cores = here["cpu"], len(os.sched_getaffinity(0))
    if hardware == "cpu":
        name = cpu or f"a CPU ({here['architecture']})"
        return RecordedHardware(name, cpu=cpu, cores=cores, cpu_mhz=conditions["cpu_mhz"])
    index = hardware.partition(":")[2] or _visible()
    gpu, driver, memory_mhz, limit_w = _ask(index)
    mig = next((found[1] for line in here["gpus"] if (found := re.search(r"\bMIG (\S+)", line))), None)
    return RecordedHardware(
        name=" ".join(filter(None, [gpu or "GPU", mig])),
        cpu=cpu,
        cores=cores,
        cpu_mhz=conditions["cpu_mhz"],
        gpu=gpu,
        mig_slice=mig,
        driver=driver,
        gpu_mhz=conditions["gpu_mhz"],
        gpu_memory_mhz=_number(memory_mhz),
        gpu_power_w=conditions["gpu_power_w"],
        gpu_power_limit_w=_number(limit_w),
    )


def _visible() -> str:
    """The first GPU that CUDA sees; an id of a MIG slice stands for the GPU that nvidia-smi names first."""
    first = os.environ.get("CUDA_VISIBLE_DEVICES", "0").partition(",")[0]
    return first if first.isdecimal() or first.startswith("GPU-") else "0"


def _ask(index: str) -> tuple[str | None, ...]:
    """What nvidia-smi says of a GPU; None for what it does not."""
    command = ["nvidia-smi", f"--id={index}", f"--query-gpu={','.join(_ASKED)}", "--format=csv,noheader,nounits"]
    nothing = (None,) * len(_ASKED)
    if shutil.which(command[0]) is None:
        return nothing
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=ASK_LIMIT_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return nothing
    values = [value.strip() for value in done.stdout.partition("\n")[0].split(",")]
    known = tuple(None if value in ("", "[N/A]") else value for value in values)
    return known if len(known) == len(_ASKED) else nothing


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
