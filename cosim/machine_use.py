"""How much of the machine's CPUs a run used, and how much everything else did.

Waiting inside a step does not show every load: a scheduler lets a process that sleeps between short steps run first.
"""

from __future__ import annotations

import os
import resource
from pathlib import Path

from cosim.clock import NS_PER_S, monotonic_ns

PROC = Path("/proc")
# Fields of /proc/stat's cpu lines (proc(5)): user nice system idle iowait irq softirq steal; user includes guest.
BUSY_FIELDS = (0, 1, 2, 5, 6)
STEAL_FIELD = 7


class MachineUse:
    """Counts from its making on, over the CPUs that this process may use."""

    def __init__(self, proc: Path = PROC) -> None:
        self._proc = proc
        self._start = self._read()

    def read(self) -> dict[str, int]:
        """The manifest's `machine_use`: the number of `cpus`, and times in ns since the making.

        `busy_ns`: of all CPUs together. `own_ns`: CPU time of this process and its descendants. `stolen_ns`: what a
        hypervisor took away. All but `wall_ns` are the kernel's, to a clock tick (often 10 ms).
        """
        now = self._read()
        cpus = len(os.sched_getaffinity(0))
        return {"cpus": cpus, **{name: now[name] - self._start[name] for name in now}}

    def _read(self) -> dict[str, int]:
        tick_ns = NS_PER_S // os.sysconf("SC_CLK_TCK")
        busy = stolen = 0
        usable = {f"cpu{number}" for number in os.sched_getaffinity(0)}
        for line in (self._proc / "stat").read_text().splitlines():
            name, *fields = line.split()
            if name in usable:
                busy += sum(int(fields[index]) for index in BUSY_FIELDS)
                stolen += int(fields[STEAL_FIELD])
        return {
            "wall_ns": monotonic_ns(),
            "busy_ns": busy * tick_ns,
            "own_ns": self._own_ticks() * tick_ns,
            "stolen_ns": stolen * tick_ns,
        }

    def _own_ticks(self) -> int:
        """CPU time of this process, its living descendants and the children that it has waited for."""
        parents: dict[int, int] = {}
        ticks: dict[int, int] = {}
        for folder in self._proc.iterdir():
            if folder.name.isdecimal():
                try:
                    # The name in parentheses may hold spaces; fields are counted from what follows it.
                    fields = (folder / "stat").read_text().rpartition(")")[2].split()
                except OSError:
                    continue  # It ended while the folder was read.
                parents[int(folder.name)] = int(fields[1])
                ticks[int(folder.name)] = int(fields[11]) + int(fields[12])
        family = {os.getpid()}
        while young := {pid for pid, parent in parents.items() if parent in family} - family:
            family |= young
        waited = resource.getrusage(resource.RUSAGE_CHILDREN)
        reaped = round((waited.ru_utime + waited.ru_stime) * os.sysconf("SC_CLK_TCK"))
        return reaped + sum(ticks.get(pid, 0) for pid in family)
