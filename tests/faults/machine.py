"""What the machine under a run can be made to do: disks of any size, and clocks that jump."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

# Every reading of the time of day is another day, before or after; CLOCK_MONOTONIC and its kin are left alone.
JUMPING_CLOCK = r"""
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long jump() {
  static long readings = 0;
  long days = ++readings % 1000;
  return (readings % 2 ? days : -days) * 86400;
}
extern "C" int clock_gettime(clockid_t id, struct timespec* t) noexcept {
  int status = syscall(SYS_clock_gettime, id, t);
  if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE) t->tv_sec += jump();
  return status;
}
extern "C" int gettimeofday(struct timeval* t, void*) noexcept {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  t->tv_sec = now.tv_sec;
  t->tv_usec = now.tv_nsec / 1000;
  return 0;
}
extern "C" time_t time(time_t* t) noexcept {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (t) *t = now.tv_sec;
  return now.tv_sec;
}
"""


def jumping_clock(folder: Path) -> Path:
    """A library to preload, compiled here."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("needs g++ to make a clock that jumps")
    source, library = folder / "clock.cc", folder / "clock.so"
    source.write_text(JUMPING_CLOCK)
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", library, source], check=True)
    return library


@contextlib.contextmanager
def disk(options: str) -> Iterator[Path]:
    """A file system in memory, mounted with some options; skips where this user may not mount."""
    place = Path(tempfile.mkdtemp(prefix="faults-disk-", dir="/tmp"))
    try:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"needs to mount a small file system: {done.stderr.strip()}")
        try:
            yield place
        finally:
            subprocess.run(["umount", "--lazy", place], check=True)
    finally:
        with contextlib.suppress(OSError):
            os.rmdir(place)


def resize(place: Path, options: str) -> None:
    """Give a disk other options."""
    subprocess.run(["mount", "-o", f"remount,{options}", place], check=True)
