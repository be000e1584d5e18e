# SPDX-License-Identifier: GPL-2.0-only
"""The C++ of the ns-3 process: built once per source, ns-3 and compiler, cached, and opened beside ns-3's libraries.

`python -m ns3_scenarios.library` builds ahead and says what it did.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

SOURCES = Path(__file__).parent / "cpp"
HEADER = SOURCES / "network.h"
# In the order in which they need one another.
MODULES = ("core", "stats", "network", "bridge", "traffic-control", "internet")
FLAGS = ("-std=c++20", "-O3", "-fPIC", "-fno-plt", "-DNDEBUG")
LIBRARY = "libcosim-ns3.so"


class LibraryError(Exception):
    """The ns-3 wheel or the compiler is missing, or the C++ did not build; the text says what to type."""


@dataclass(frozen=True)
class Ns3:
    """An installed ns-3 wheel."""

    directory: Path
    version: str

    def libraries(self) -> list[Path]:
        """The shared libraries that ours needs, in order. Raises LibraryError if one is missing."""
        found = []
        for module in MODULES:
            matches = sorted(self.directory.glob(f"lib*/libns3*-{module}.so"))
            if not matches:
                raise LibraryError(f"{self.directory} has no library for ns-3's module {module}; {_INSTALL_NS3}")
            found.append(matches[0])
        return found


_INSTALL_NS3 = "type: pip install 'cosim[ns3]'"


def find_ns3() -> Ns3:
    """The wheel, found without importing it (its loader searches whole directory trees and takes seconds).

    Raises LibraryError if it is not installed.
    """
    spec = importlib.util.find_spec("ns3")
    if spec is None or not spec.submodule_search_locations:
        raise LibraryError(f"the ns3 wheel is not installed for {sys.executable}; {_INSTALL_NS3}")
    return Ns3(Path(next(iter(spec.submodule_search_locations))), importlib.metadata.version("ns3"))


def find_compiler() -> tuple[str, str]:
    """Path and version line of $CXX or g++. Raises LibraryError if there is none."""
    name = os.environ.get("CXX") or "g++"
    path = shutil.which(name)
    if path is None:
        raise LibraryError(f"the C++ compiler {name} is not installed; type: apt-get install g++ (or set CXX)")
    version = subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout
    return path, version.splitlines()[0]


def cache_directory() -> Path:
    """$XDG_CACHE_HOME/cosim, or ~/.cache/cosim."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "cosim"


def source_files() -> list[Path]:
    """Headers and sources, in order of name."""
    return sorted((*SOURCES.rglob("*.h"), *SOURCES.rglob("*.cc")))


def library_path(ns3: Ns3, compiler_version: str) -> Path:
    """Where the library of these sources lies; the name changes with anything that goes into it."""
    digest = hashlib.sha256()
    for part in (ns3.version, compiler_version, platform.machine(), *FLAGS):
        digest.update(part.encode() + b"\0")
    for file in source_files():
        digest.update(str(file.relative_to(SOURCES)).encode() + b"\0" + file.read_bytes() + b"\0")
    return cache_directory() / f"ns3-{digest.hexdigest()[:24]}" / LIBRARY


def build(ns3: Ns3) -> Path:
    """The library's path, built if it is not in the cache. Raises LibraryError with the compiler's first errors."""
    compiler, version = find_compiler()
    library = library_path(ns3, version)
    if library.exists():
        return library
    library.parent.mkdir(parents=True, exist_ok=True)
    # A directory of its own and a rename at the end: two processes may build at once.
    with tempfile.TemporaryDirectory(dir=library.parent) as work:
        sources = [file for file in source_files() if file.suffix == ".cc"]
        objects = [Path(work) / f"{'-'.join(file.relative_to(SOURCES).with_suffix('').parts)}.o" for file in sources]

        def compile_one(source: Path, target: Path) -> None:
            _run([compiler, *FLAGS, "-c", "-isystem", str(ns3.directory / "include"), str(source), "-o", str(target)])

        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            list(pool.map(compile_one, sources, objects))
        linked = Path(work) / LIBRARY
        _run([compiler, "-shared", *map(str, objects), "-o", str(linked)])
        linked.replace(library)
    return library


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        errors = "\n".join(done.stderr.splitlines()[:20])
        raise LibraryError(f"this command failed:\n  {shlex.join(command)}\n{errors}")


@cache
def load() -> tuple[Any, dict[str, str]]:
    """The C++ namespace `cosim` and the versions of ns-3 and compiler. Raises LibraryError."""
    ns3 = find_ns3()
    library = build(ns3)
    for file in (*ns3.libraries(), library):
        try:
            ctypes.CDLL(str(file), ctypes.RTLD_GLOBAL)
        except OSError as error:
            raise LibraryError(f"{file} does not load ({error}); {_INSTALL_NS3}") from error
    with warnings.catch_warnings():
        # cppyy misses the headers of its own C API, which nothing here uses.
        warnings.filterwarnings("ignore", message="CPyCppyy API not found")
        import cppyy  # here: what is above works without it, to tell what is missing

    cppyy.include(str(HEADER))
    return cppyy.gbl.cosim, {"ns3": ns3.version, "compiler": find_compiler()[1]}


def main() -> int:
    """Build ahead; returns the exit status."""
    try:
        ns3 = find_ns3()
        compiler, version = find_compiler()
        library = library_path(ns3, version)
        print(f"ns-3 {ns3.version} in {ns3.directory}")
        print(f"{version} ({compiler})")
        print(f"{'already built' if library.exists() else 'building'}: {library}", flush=True)
        build(ns3)
    except LibraryError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
