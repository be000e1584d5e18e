"""A child's log: all of it while it is small, head and tail of a flood, whoever dies when."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cosim.bridge.kept_log import KeptLog
from cosim.bridge.log_keeper import HEAD_BYTES, TAIL_BYTES, keep
from cosim.clock import monotonic_s, sleep_s

HEAD, TAIL = 1000, 100


def kept(file: Path, chunks: Sequence[bytes], *, flags: int = 0) -> bytes:
    """What is in a log after a writer has written some chunks and gone."""
    source, writer = os.pipe()
    log = os.open(file, os.O_CREAT | os.O_WRONLY | os.O_TRUNC | flags)
    keeper = threading.Thread(target=keep, args=(source, log), kwargs={"head_bytes": HEAD, "tail_bytes": TAIL})
    keeper.start()
    for chunk in chunks:
        os.write(writer, chunk)
    os.close(writer)
    keeper.join()
    os.close(source)
    os.close(log)
    return file.read_bytes()


def expected(content: bytes) -> bytes:
    left_out = len(content) - HEAD - TAIL
    if left_out <= 0:
        return content
    return content[:HEAD] + f"\n[cosim left out {left_out} bytes here]\n".encode() + content[-TAIL:]


@given(st.lists(st.binary(max_size=400), max_size=8))
def test_all_of_a_small_log_head_and_tail_of_a_large_one(
    tmp_path_factory: pytest.TempPathFactory, chunks: list[bytes]
) -> None:
    assert kept(tmp_path_factory.mktemp("log") / "log", chunks) == expected(b"".join(chunks))


@pytest.mark.parametrize("size", [HEAD - 1, HEAD, HEAD + 1, HEAD + TAIL, HEAD + TAIL + 1, 5 * HEAD, 60 * HEAD])
def test_at_the_limits(tmp_path: Path, size: int) -> None:
    content = bytes(65 + index % 26 for index in range(size))
    assert kept(tmp_path / "log", [content[:700], content[700:]]) == expected(content)


def test_a_file_system_without_splice(tmp_path: Path) -> None:
    """`splice` takes no file that is opened for appending."""
    assert kept(tmp_path / "log", [b"a" * 400, b"b" * 400], flags=os.O_APPEND) == b"a" * 400 + b"b" * 400


def test_a_full_disk_does_not_stop_the_writer() -> None:
    source, writer = os.pipe()
    log = os.open("/dev/full", os.O_WRONLY)
    keeper = threading.Thread(target=keep, args=(source, log), kwargs={"head_bytes": HEAD, "tail_bytes": TAIL})
    keeper.start()
    for _ in range(100):
        os.write(writer, b"a" * 4000)
    os.close(writer)
    keeper.join(20)
    assert not keeper.is_alive()


def wait_for(file: Path, content: bytes) -> None:
    give_up_s = monotonic_s() + 20
    while content not in file.read_bytes():
        assert monotonic_s() < give_up_s
        sleep_s(0.01)


def child(log: KeptLog, program: str) -> subprocess.Popen[bytes]:
    with log.writer() as output:
        return subprocess.Popen([sys.executable, "-c", program], stdout=output)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[KeptLog]:
    log = KeptLog(tmp_path / "child.log")
    yield log
    log.close()


def test_what_a_living_child_wrote_is_in_its_log(log: KeptLog, tmp_path: Path) -> None:
    process = child(log, "import time; print('a line', flush=True); time.sleep(3600)")
    wait_for(tmp_path / "child.log", b"a line\n")
    process.kill()
    process.wait()


def test_the_last_lines_of_a_killed_child_are_in_its_log(log: KeptLog, tmp_path: Path) -> None:
    """Also those after a flood, whose tail is written when it is quiet or over."""
    flood = "import os, signal; [os.write(1, b'x' * 2**20) for _ in range(40)]; os.write(1, b'last words\\n');"
    process = child(log, f"{flood} os.kill(os.getpid(), signal.SIGKILL)")
    assert process.wait() == -signal.SIGKILL
    log.settle()
    content = (tmp_path / "child.log").read_bytes()
    assert content.endswith(b"xlast words\n")
    note = re.search(rb"\n\[cosim left out (\d+) bytes here\]\n", content)
    assert note
    assert note.start() == HEAD_BYTES
    assert int(note[1]) == 40 * 2**20 + 11 - HEAD_BYTES - TAIL_BYTES


def test_a_flood_that_pauses_shows_its_last_lines(log: KeptLog, tmp_path: Path) -> None:
    flood = "import os, time; [os.write(1, b'x' * 2**20) for _ in range(20)]; os.write(1, b'last words\\n');"
    process = child(log, f"{flood} time.sleep(3600)")
    wait_for(tmp_path / "child.log", b"last words\n")
    process.kill()
    process.wait()


def test_the_disk_holds_no_more_than_head_and_tail_during_a_flood(log: KeptLog, tmp_path: Path) -> None:
    process = child(log, "import os; b = b'x' * 2**20; [os.write(1, b) for _ in range(2048)]")
    largest = 0
    while process.poll() is None:
        largest = max(largest, (tmp_path / "child.log").stat().st_size)
        sleep_s(0.001)
    assert HEAD_BYTES < largest <= HEAD_BYTES + TAIL_BYTES + 100


def test_it_leaves_a_child_of_the_child_alone_and_ends_itself(tmp_path: Path) -> None:
    """A process that has got away holds the pipe; the log does not wait for it."""
    log = KeptLog(tmp_path / "child.log")
    away = "import subprocess; print(subprocess.Popen(['sleep', '3600'], start_new_session=True).pid, flush=True)"
    assert child(log, away).wait() == 0
    log.close()
    pid = int((tmp_path / "child.log").read_text())
    os.kill(pid, signal.SIGKILL)


PARENT = """
import subprocess, sys, os
from pathlib import Path
from cosim.bridge.kept_log import KeptLog
log = KeptLog(Path(sys.argv[1]))
with log.writer() as output:
    subprocess.Popen([sys.executable, "-c", sys.argv[2], str(os.getpid())], stdout=output)
print("started", flush=True)
sys.stdin.read()
"""
ORPHAN = """
import os, time
while os.getppid() == int(__import__("sys").argv[1]):
    time.sleep(0.01)
print("after cosim", flush=True)
"""


def test_what_is_written_after_cosim_was_killed_is_kept_too(tmp_path: Path) -> None:
    file = tmp_path / "child.log"
    command = [sys.executable, "-c", PARENT, str(file), ORPHAN]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"started\n"
        parent.kill()
    wait_for(file, b"after cosim\n")
