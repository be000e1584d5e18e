"""The bounded store of small files: what was put, nothing else, within its limit."""

from __future__ import annotations

import multiprocessing
import os
import random
from pathlib import Path

from cosim.entry_store import EntryStore

LARGE = 1 << 30
SHARDS = 256


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_what_was_put_is_there_for_another_process_too(tmp_path: Path) -> None:
    EntryStore(tmp_path, limit_bytes=LARGE).put(b"key", b"content")
    store = EntryStore(tmp_path, limit_bytes=LARGE)
    assert store.get(b"key") == b"content"
    assert store.get(b"other") is None
    store.put(b"key", b"")
    assert store.get(b"key") == b""


def test_a_damaged_entry_is_not_there_until_it_is_put_again(tmp_path: Path) -> None:
    store = EntryStore(tmp_path, limit_bytes=LARGE)
    store.put(b"key", b"content")
    [file] = files(tmp_path)
    whole = file.read_bytes()
    damaged = [whole[:-1], whole[:8], b"", whole + b"x", bytes([whole[0] ^ 1]) + whole[1:], whole[:-1] + b"?"]
    for content in damaged:
        file.write_bytes(content)
        assert store.get(b"key") is None
    store.put(b"key", b"content")
    assert store.get(b"key") == b"content"


def test_an_entry_under_another_s_name_is_not_there(tmp_path: Path) -> None:
    store = EntryStore(tmp_path, limit_bytes=LARGE)
    store.put(b"one", b"1")
    [one] = files(tmp_path)
    store.put(b"two", b"2")
    [two] = [path for path in files(tmp_path) if path != one]
    two.write_bytes(one.read_bytes())
    assert store.get(b"two") is None


def test_the_limit_holds_and_what_was_used_last_stays(tmp_path: Path) -> None:
    wide = EntryStore(tmp_path, limit_bytes=LARGE)
    for index in range(SHARDS * 10):
        wide.put(index.to_bytes(4, "big"), bytes(1000))
    for path in files(tmp_path):
        os.utime(path, ns=(0, 0))
    used = [index.to_bytes(4, "big") for index in range(0, SHARDS * 10, 40)]
    assert all(wide.get(key) for key in used)
    limit = SHARDS * 8 * 4096
    narrow = EntryStore(tmp_path, limit_bytes=limit)
    for index in range(SHARDS * 20):
        narrow.put(b"new" + index.to_bytes(4, "big"), bytes(1000))
        if index == SHARDS * 5:
            # Nearly every shard has been written into, so that it was counted.
            assert sum(narrow.get(key) is not None for key in used) > 0.9 * len(used)
    # A shard may grow by what is written between two counts.
    assert sum(path.stat().st_blocks * 512 for path in files(tmp_path)) <= limit + SHARDS * 16 * 4096


def test_a_folder_that_cannot_be_written_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = EntryStore(tmp_path / "file", limit_bytes=LARGE)
    store.put(b"key", b"content")
    assert store.get(b"key") is None


def write_and_read(folder: Path, seed: int) -> None:
    store, chance = EntryStore(folder, limit_bytes=256 * 4 * 4096), random.Random(seed)
    for _ in range(2000):
        key = chance.randrange(64).to_bytes(1, "big")
        store.put(key, key * 500)
        found = store.get(chance.randrange(64).to_bytes(1, "big"))
        assert found is None or (len(found) == 500 and len(set(found)) == 1)


def test_processes_that_write_at_once_never_see_half_an_entry(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_and_read, args=(tmp_path, seed)) for seed in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(120)
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    assert len(files(tmp_path)) <= 64
