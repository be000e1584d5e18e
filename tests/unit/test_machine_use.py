"""Whose CPU time a run's is: its own and its children's, or another program's."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cosim.clock import NS_PER_S, monotonic_ns
from cosim.machine_use import MachineUse

BURN_NS = 300_000_000
BUSY_LOOP = "import sys\nprint('up', flush=True)\nwhile True: pass"


def burn(process: str) -> None:
    """Use CPU time until a process has used BURN_NS more of it, as the kernel counts."""
    program = f"import time\nend = time.process_time_ns() + {BURN_NS}\nwhile time.process_time_ns() < end: pass"
    if process == "child":
        subprocess.run([sys.executable, "-c", program], check=True)
    else:
        exec(program)


def known(use: dict[str, int] | None) -> dict[str, int]:
    assert use is not None
    return use


@contextmanager
def living_child() -> Iterator[None]:
    """A busy child that has used BURN_NS when the body begins, and lives on."""
    with subprocess.Popen([sys.executable, "-c", BUSY_LOOP], stdout=subprocess.PIPE) as child:
        try:
            stat = Path(f"/proc/{child.pid}/stat")
            while sum(map(int, stat.read_text().rpartition(")")[2].split()[11:13])) < os.sysconf("SC_CLK_TCK") * 0.4:
                pass
            yield
        finally:
            child.kill()


@pytest.mark.parametrize("process", ["itself", "child"])
def test_own_time_is_that_of_the_process_and_of_children_that_have_ended(process: str) -> None:
    use = MachineUse()
    burn(process)
    assert known(use.read())["own_ns"] >= BURN_NS * 0.9


def test_own_time_is_that_of_children_that_live() -> None:
    use = MachineUse()
    with living_child():
        assert known(use.read())["own_ns"] >= BURN_NS


def fake(folder: Path, cpus: dict[str, list[int]], processes: dict[int, tuple[int, int]]) -> Path:
    """A /proc with these CPU lines and these processes: pid -> (parent, ticks of CPU time)."""
    lines = [f"{name} {' '.join(map(str, fields))}" for name, fields in cpus.items()]
    (folder / "stat").write_text("\n".join([*lines, "intr 5 6", ""]))
    for pid, (parent, ticks) in processes.items():
        (folder / str(pid)).mkdir(exist_ok=True)
        rest = ["0"] * 9
        (folder / str(pid) / "stat").write_text(f"{pid} (a (b) c) S {parent} {' '.join(rest)} {ticks - 1} 1 7 7 0\n")
    return folder


def test_all_cpus_that_may_be_used_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 2})
    monkeypatch.setattr(os, "sysconf", lambda name: 100)
    start_ns, me = monotonic_ns(), os.getpid()
    idle = {f"cpu{n}": [0, 0, 0, 1] + [0] * 6 for n in range(3)}
    use = MachineUse(fake(tmp_path, {"cpu": [0] * 10, **idle}, {me: (1, 5), me + 1: (me, 7), me + 2: (1, 9)}))
    busy = {"cpu0": [1, 2, 4, 8, 16, 32, 64, 128, 0, 0], "cpu1": [900] * 10, "cpu2": [1_000] + [0] * 9}
    processes = {me: (1, 8), me + 1: (me, 107), me + 2: (1, 909), me + 3: (me + 1, 1_000)}
    fake(tmp_path, busy, processes)
    found = known(use.read())
    tick_ns = NS_PER_S // 100
    assert found["cpus"] == 2
    assert found["busy_ns"] == (1 + 2 + 4 + 32 + 64 + 1_000) * tick_ns
    assert found["stolen_ns"] == 128 * tick_ns
    assert found["own_ns"] == (3 + 100 + 1_000) * tick_ns
    assert 0 < found["wall_ns"] <= monotonic_ns() - start_ns


COUNTS = "5 0 5 90 0 0 0 0 0 0"


@pytest.mark.parametrize(
    "stat",
    [
        None,
        "",
        f"cpu {COUNTS}\n",
        f"cpu0 {COUNTS}\ncpu1 {COUNTS}\n",
        f"cpu0 {COUNTS}\ncpu2 5 0 5 90\n",
        f"cpu0 {COUNTS}\ncpu2 {'0 ' * 10}\n",
        f"cpu0 {COUNTS}\ncpu2 much of it was busy in its own way\n",
    ],
    ids=["missing", "empty", "all CPUs in one", "numbered otherwise", "four fields", "never counted", "no numbers"],
)
def test_what_the_kernel_does_not_tell_is_not_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stat: str | None
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 2})
    proc = fake(tmp_path, {}, {os.getpid(): (1, 5)})
    (proc / "stat").unlink()
    if stat is not None:
        (proc / "stat").write_text(stat)
    assert MachineUse(proc).read() is None


def test_a_proc_without_this_process_or_with_odd_lines_or_counts_that_went_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0})
    proc = fake(tmp_path, {}, {os.getpid() + 1: (1, 5)})
    (proc / "stat").write_text(f"\n\ncpu0 {COUNTS}\n\n")
    assert MachineUse(proc).read() is None
    process = fake(tmp_path, {}, {os.getpid(): (1, 5)}) / str(os.getpid()) / "stat"
    (proc / "stat").write_text(f"\n\ncpu0 {COUNTS}\n\n")
    use = MachineUse(proc)
    assert known(use.read())["busy_ns"] == 0
    (proc / "stat").write_text("cpu0 4 0 5 95 0 0 0 0 0 0\n")
    assert use.read() is None
    process.write_text("odd\n")
    assert MachineUse(proc).read() is None
