"""What makes a machine measure unsteadily is seen, and each finding says what to do."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from cosim import noise_probe, steadiness
from cosim.noise_probe import Noise, combine, probe
from cosim.steadiness import noise_checks

MS = 1_000_000


def tree(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text + "\n")
    return folder


def noise(**changes: Any) -> Noise:
    values: dict[str, Any] = {
        "kernel_ms": 3.0,
        "repetitions": 500,
        "repeat_sd": 0.021,
        "process_sd": 0.0,
        "cpu_wait_share": 0.004,
        "timer_late_us": 60.0,
        "timer_late_p99_us": 200.0,
        "other_share": 0.01,
        "stolen_share": 0.0,
        "cpus": 2,
    }
    return Noise(**(values | changes))


def test_one_cpu_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3})
    assert steadiness.check_cores().ok is None
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 3})
    assert steadiness.check_cores().ok is True


def test_a_load_of_a_quarter_of_the_cpus_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 3})
    assert steadiness.check_load(1.0).ok is True
    busy = steadiness.check_load(1.1)
    assert busy.ok is None
    assert busy.detail.startswith("1.1 process(es) wanted a CPU over the last minute, on 4 CPU(s)")
    assert busy.mend is not None
    assert steadiness.check_load().ok in (True, None)


@pytest.mark.parametrize(
    ("files", "detail"),
    [
        ({"proc/self/cgroup": "0::/"}, "none"),
        ({"proc/self/cgroup": "0::/a/b", "sys/fs/cgroup/a/b/cpu.max": "max 100000"}, "none"),
        (
            {"proc/self/cgroup": "0::/a/b", "sys/fs/cgroup/a/cpu.max": "150000 100000"},
            "1.5 CPU(s), reached 0 times so far",
        ),
        (
            {"proc/self/cgroup": "4:memory:/x\n2:cpu,cpuacct:/", "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1"},
            "none",
        ),
    ],
)
def test_a_quota_that_is_not_reached(tmp_path: Path, files: dict[str, str], detail: str) -> None:
    check = steadiness.check_quota(tree(tmp_path, files))
    assert (check.ok, check.detail) == (True, detail)


@pytest.mark.parametrize(
    ("files", "detail"),
    [
        (
            {
                "proc/self/cgroup": "0::/a/b",
                "sys/fs/cgroup/a/b/cpu.max": "max 100000",
                "sys/fs/cgroup/a/cpu.max": "200000 100000",
                "sys/fs/cgroup/a/cpu.stat": "usage_usec 9\nnr_periods 80\nnr_throttled 7\nthrottled_usec 70000",
            },
            "2 CPU(s), reached 7 times so far",
        ),
        (
            {
                "proc/self/cgroup": "2:cpu,cpuacct:/docker/x\n0::/",
                "sys/fs/cgroup/cpu/docker/x/cpu.cfs_quota_us": "50000",
                "sys/fs/cgroup/cpu/docker/x/cpu.cfs_period_us": "100000",
            },
            "0.5 CPU(s), reached 0 times so far",
        ),
    ],
)
def test_a_quota_that_stops_steps(tmp_path: Path, files: dict[str, str], detail: str) -> None:
    check = steadiness.check_quota(tree(tmp_path, files))
    assert check.ok is None
    assert check.detail.startswith(detail)
    assert check.mend is not None


def test_smt_governor_and_battery(tmp_path: Path) -> None:
    bare = tree(tmp_path / "bare", {"proc/stat": ""})
    looks = (steadiness.check_threads, steadiness.check_governor, steadiness.check_battery)
    assert [look(bare).ok for look in looks] == [True] * 3
    laptop = tree(
        tmp_path / "laptop",
        {
            "sys/devices/system/cpu/smt/active": "1",
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "powersave",
            "sys/devices/system/cpu/cpu1/cpufreq/scaling_governor": "performance",
            "sys/class/power_supply/AC/type": "Mains",
            "sys/class/power_supply/BAT0/type": "Battery",
            "sys/class/power_supply/BAT0/status": "Discharging",
        },
    )
    assert [look(laptop).ok for look in looks] == [None] * 3
    assert all(look(laptop).mend for look in looks)
    assert steadiness.check_governor(laptop).detail.startswith("performance, powersave: ")
    tree(
        laptop,
        {
            "sys/devices/system/cpu/smt/active": "0",
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "performance",
            "sys/class/power_supply/BAT0/status": "Charging",
        },
    )
    assert [look(laptop).ok for look in looks] == [True] * 3


def test_what_can_be_told_apart_by_hand() -> None:
    # 1.96 sqrt(2 / 80) 2.1 % = 0.65 %; a spread of 1 % from process to process adds 1.96 sqrt(2) 1 % = 2.77 %.
    assert noise().resolvable(80) == pytest.approx(0.0065, abs=0.0001)
    assert noise(repeat_sd=0.0, process_sd=0.01).resolvable(80) == pytest.approx(0.0277, abs=0.0001)
    assert noise(process_sd=0.01).resolvable(10**9) == pytest.approx(0.0277, abs=0.0001)
    (_, _, resolution) = noise_checks(noise())
    assert "two runs of 80 requests a tier tell apart means that differ by more than 0.7%" in resolution.detail


def test_a_busy_machine_is_said() -> None:
    assert [check.ok for check in noise_checks(noise())] == [True] * 3
    for busy in (noise(other_share=0.3), noise(other_share=0.2, stolen_share=0.1), noise(cpu_wait_share=0.2)):
        _, waiting, _ = noise_checks(busy)
        assert waiting.ok is None
        assert waiting.mend is not None


def test_others_that_the_kernel_does_not_tell_of_are_not_known() -> None:
    one = {"duration_ns": [9 * MS, 10 * MS], "cpu_wait_ns": [0, 0], "late_ns": [50_000] * 99}
    found = combine([one, one], None)
    assert found.other_share is found.stolen_share is None
    _, waiting, _ = noise_checks(found)
    assert waiting.ok is True
    assert "how much others used the CPUs the kernel does not tell" in waiting.detail


def test_processes_are_put_together_by_hand() -> None:
    first = {"duration_ns": [9 * MS, 10 * MS, 11 * MS], "cpu_wait_ns": [0, None, 3 * MS], "late_ns": [50_000] * 99}
    second = {"duration_ns": [18 * MS, 20 * MS, 22 * MS], "cpu_wait_ns": [0, 0, 0], "late_ns": [50_000, 9_000_000]}
    use = {"cpus": 2, "wall_ns": 100, "busy_ns": 150, "own_ns": 90, "stolen_ns": 10}
    found = combine([first, second], use)
    assert (found.kernel_ms, found.repetitions) == (15.0, 6)
    assert found.repeat_sd == pytest.approx(1.4826 * 0.1)
    assert found.process_sd == pytest.approx(50**0.5 / 15)
    assert found.cpu_wait_share == pytest.approx(3 / 80)
    assert found.timer_late_us == 50
    assert found.timer_late_p99_us > 50
    assert (found.other_share, found.stolen_share) == (0.3, 0.05)


def test_a_machine_too_slow_for_the_time_still_repeats_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise_probe, "WARM_UP_NS", 0)
    monkeypatch.setattr(noise_probe, "MEASURED_NS", 0)
    measured = noise_probe.measure()
    assert len(measured["duration_ns"]) == len(measured["cpu_wait_ns"]) == noise_probe.MIN_REPETITIONS


def test_a_real_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise_probe, "LIMIT_S", 120.0)
    found = probe()
    assert found is not None
    assert found.repetitions >= noise_probe.PROCESSES * noise_probe.MIN_REPETITIONS
    assert found.kernel_ms > 0
    assert found.repeat_sd > 0
    assert found.process_sd > 0
    assert 0 <= found.cpu_wait_share < 1
    assert found.timer_late_us > 0


def test_a_probe_that_cannot_run_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise_probe, "LIMIT_S", 0.001)
    (check,) = steadiness.check_noise()
    assert check.ok is None
    assert "could not be measured" in check.detail
