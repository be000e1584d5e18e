"""Whether this machine measures steadily: what disturbs executed steps, how much, and what to do about it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from cosim.check import Check
from cosim.noise_probe import Noise, probe
from cosim.scenario.model import Validity

ROOT = Path("/")
BUSY_SHARE = Validity().max_other_load
WAIT_SHARE = Validity().max_cpu_wait_share
REQUESTS = 80
WHO = "top -b -n 1 -o %CPU | head -15"


def check_cores() -> Check:
    """CPUs that this process may use; with one, engines and network disturb each other's measurements."""
    usable = len(os.sched_getaffinity(0))
    detail = f"{usable} of {os.cpu_count()} usable"
    if usable > 1:
        return Check("cores", True, detail)
    return Check("cores", None, f"{detail}; whatever else runs disturbs each step, two or more are steadier", "nproc")


def check_load(average: float | None = None) -> Check:
    """Processes that wanted a CPU over the last minute, by the load average."""
    wanted = os.getloadavg()[0] if average is None else average
    usable = len(os.sched_getaffinity(0))
    detail = f"{wanted:.1f} process(es) wanted a CPU over the last minute, on {usable} CPU(s)"
    if wanted <= BUSY_SHARE * usable:
        return Check("load", True, detail)
    return Check("load", None, f"{detail}: stop what else runs, or wait a minute if that was a run of yours", WHO)


def check_quota(root: Path = ROOT) -> Check:
    """A cgroup's limit on CPU time: a process that reaches it stands still for up to a period (cgroups(7), cpu.max)."""
    limits: list[float] = []
    throttled = 0
    for folder in _cgroups(root):
        quota, period = _quota(folder)
        if quota is not None and period:
            limits.append(quota / period)
            throttled = max(throttled, int(_fields(folder / "cpu.stat").get("nr_throttled", "0")))
    if not limits:
        return Check("cpu quota", True, "none")
    detail = f"{min(limits):g} CPU(s), reached {throttled} times so far"
    if throttled or min(limits) < 1:
        what = f"{detail}: a step that reaches it stands still; give the container CPUs of its own instead"
        return Check("cpu quota", None, what, "docker run --cpuset-cpus 0-1 (without --cpus)")
    return Check("cpu quota", True, detail)


def check_threads(root: Path = ROOT) -> Check:
    """SMT: what runs on a core's other hardware thread slows a step down without letting it wait."""
    active = _text(root / "sys/devices/system/cpu/smt/active")
    if active != "1":
        return Check("cpu threads", True, "one per core" if active == "0" else "the kernel does not tell")
    return Check(
        "cpu threads",
        None,
        "two or more per core: a busy sibling slows a step without letting it wait",
        "echo off | sudo tee /sys/devices/system/cpu/smt/control",
    )


def check_governor(root: Path = ROOT) -> Check:
    """The cpufreq governor: with `powersave` a step after idle time is slower than one in a row."""
    files = (root / "sys/devices/system/cpu").glob("cpu*/cpufreq/scaling_governor")
    governors = sorted({_text(file) or "unknown" for file in files})
    if not governors:
        return Check("cpu governor", True, "the machine does not tell its frequency")
    if governors == ["performance"]:
        return Check("cpu governor", True, "performance")
    what = f"{', '.join(governors)}: the frequency follows the load, and step times with it"
    return Check("cpu governor", None, what, "sudo cpupower frequency-set -g performance")


def check_battery(root: Path = ROOT) -> Check:
    """A battery that is being used: firmware then lowers clocks as it sees fit."""
    supplies = [file.parent for file in (root / "sys/class/power_supply").glob("*/type") if _text(file) == "Battery"]
    if any(_text(supply / "status") == "Discharging" for supply in supplies):
        return Check("power", None, "on battery: clocks change with its charge; plug the machine in", "acpi -a")
    return Check("power", True, "battery, not in use" if supplies else "no battery")


def check_noise() -> Iterator[Check]:
    """The noise floor, measured for some seconds, and what can be told from it."""
    found = probe()
    if found is None:
        yield Check("noise", None, "could not be measured: numpy is missing or the machine is too busy", WHO)
    else:
        yield from noise_checks(found)


def noise_checks(found: Noise) -> Iterator[Check]:
    """What a probe found, as checks."""
    yield Check(
        "noise",
        True,
        f"the same work of {found.kernel_ms:.1f} ms (like a decode step of a small model, {found.repetitions} times) "
        f"differs by {found.repeat_sd:.1%} (robust sd), by {found.process_sd:.1%} from process to process",
    )
    others = "how much others used the CPUs the kernel does not tell"
    if found.other_share is not None and found.stolen_share is not None:
        others = (
            f"others used {found.other_share:.0%} of {found.cpus} CPU(s), a hypervisor took {found.stolen_share:.0%}"
        )
    late = f"timers are {found.timer_late_us:.0f} us late, 1 in 100 {found.timer_late_p99_us:.0f} us"
    detail = f"{found.cpu_wait_share:.1%} of that time it waited for a CPU, {others}; {late}"
    if (found.other_share or 0) + (found.stolen_share or 0) > BUSY_SHARE or found.cpu_wait_share > WAIT_SHARE:
        yield Check("waiting", None, f"{detail}: a run now would be INVALID; stop what else runs", WHO)
    else:
        yield Check("waiting", True, detail)
    yield Check(
        "resolution",
        True,
        f"two runs of {REQUESTS} requests a tier tell apart means that differ by more than "
        f"{found.resolvable(REQUESTS):.1%} (95 %, 1.96 sqrt(2 ({found.repeat_sd:.1%}^2 / {REQUESTS} + "
        f"{found.process_sd:.1%}^2)), a request noisy like one such piece of work); k runs each: by 1/sqrt(k) of it",
    )


def _cgroups(root: Path) -> Iterator[Path]:
    """Folders of the CPU controller that hold this process, from its own group up to the root."""
    for line in (_text(root / "proc/self/cgroup") or "").splitlines():
        number, controllers, path = line.split(":", 2)
        base = root / "sys/fs/cgroup"
        if number != "0" and "cpu" not in controllers.split(","):
            continue
        if number != "0":
            base /= "cpu"
        group = base / path.lstrip("/")
        yield from (folder for folder in (group, *group.parents) if folder.is_relative_to(base))


def _quota(folder: Path) -> tuple[int | None, int]:
    """Quota and period in us: cpu.max of cgroups v2, or v1's two files; None without a limit."""
    both = (_text(folder / "cpu.max") or "").split()
    if len(both) != 2:
        both = [_text(folder / name) or "" for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us")]
    if not both[0].isdecimal() or not both[1].isdecimal():
        return None, 0
    return int(both[0]), int(both[1])


def _fields(file: Path) -> dict[str, str]:
    return dict(line.split(maxsplit=1) for line in (_text(file) or "").splitlines() if " " in line)


def _text(file: Path) -> str | None:
    try:
        return file.read_text().strip()
    except OSError:
        return None
