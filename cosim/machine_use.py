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
    """Counts from its making on, over the CPUs that this process may use then."""

    def __init__(self, proc: Path = PROC) -> None:
        self._proc = proc
        self._cpus = {f"cpu{number}" for number in os.sched_getaffinity(0)}
        self._start = self._read()

    def read(self) -> dict[str, int] | None:
        """The manifest's `machine_use`: the number of `cpus`, and times in ns since the making.

        `busy_ns`: of all CPUs together. `own_ns`: CPU time of this process and its descendants. `stolen_ns`: what a
        hypervisor took away. All but `wall_ns` are the kernel's, to a clock tick (often 10 ms). None where the kernel
        does not tell: no line or no counts for a CPU that may be used, an unreadable /proc, or counts that went back.
        """
        start, now = self._start, self._read()
        if start is None or now is None:
            return None
        passed = {name: now[name] - start[name] for name in now}
        return None if min(passed.values()) < 0 else {"cpus": len(self._cpus), **passed}

    def _read(self) -> dict[str, int] | None:
        """Counts since the machine's and the processes' start."""
        tick_ns = NS_PER_S // os.sysconf("SC_CLK_TCK")
        try:
            busy, stolen = self._cpu_ticks()
            own = self._own_ticks()
        except (OSError, ValueError, LookupError):  # Another kernel's, or a container's own idea of these files.
            return None
        return {
            "wall_ns": monotonic_ns(),
            "busy_ns": busy * tick_ns,
            "own_ns": own * tick_ns,
            "stolen_ns": stolen * tick_ns,
        }

    def _cpu_ticks(self) -> tuple[int, int]:
        """Busy and stolen ticks of the CPUs. Raises LookupError if one has no line, a short one, or no ticks at all."""
        lines = [line.split() for line in (self._proc / "stat").read_text().splitlines()]
        found = {line[0]: [int(field) for field in line[1:]] for line in lines if line and line[0] in self._cpus}
        fields = [found[cpu] for cpu in self._cpus]
        if not all(any(one) for one in fields):
            raise LookupError("a CPU that has neither worked nor idled is not counted")
        return sum(one[index] for one in fields for index in BUSY_FIELDS), sum(one[STEAL_FIELD] for one in fields)

    def _own_ticks(self) -> int:
        """CPU time of this process, its living descendants and the children that it has waited for.

        Raises LookupError if this process is not among those that /proc shows.
        """
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
        me = os.getpid()
        own, family = ticks.pop(me), {me}
        while young := {pid for pid, parent in parents.items() if parent in family} - family:
            family |= young
        waited = resource.getrusage(resource.RUSAGE_CHILDREN)
        reaped = round((waited.ru_utime + waited.ru_stime) * os.sysconf("SC_CLK_TCK"))
        return own + reaped + sum(ticks.get(pid, 0) for pid in family)
