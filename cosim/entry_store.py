"""What cosim keeps between runs: the user's cache, and bounded stores of small files in it, shared by processes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path

_SEAL_BYTES = 16
_SHARDS = 256
# Files of a shard are counted when a process first writes into it and after so many writes.
_WRITES_BETWEEN_COUNTS = 16


def user_cache() -> Path:
    """The folder of what can be made again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cosim"


class EntryStore:
    """Bytes by key; an entry that is damaged is not there.

    `limit_bytes` of disk space; beyond it the entries that were not used for longest go. Entries are spread over 256
    folders by key and each has its share of the limit, so that a count reads few files. Nothing is raised for a file
    system that does not let us write: what is not kept is made again.
    """

    def __init__(self, folder: Path, *, limit_bytes: int) -> None:
        self._folder = folder
        self._shard_limit_bytes = limit_bytes // _SHARDS
        self._writes: dict[Path, int] = {}

    def get(self, key: bytes) -> bytes | None:
        """What was put under a key; None if nothing was, or if it is not what was put."""
        path = self._path(key)
        try:
            found = path.read_bytes()
            os.utime(path)
        except OSError:
            return None
        content = found[_SEAL_BYTES:]
        return content if found[:_SEAL_BYTES] == _seal(key, content) else None

    def put(self, key: bytes, content: bytes) -> None:
        """Keep an entry, in place of any other under its key."""
        path = self._path(key)
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, draft = tempfile.mkstemp(dir=path.parent)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(_seal(key, content) + content)
                # Others see the entry whole or not at all.
                os.replace(draft, path)
            except OSError:
                Path(draft).unlink(missing_ok=True)
                raise
            writes = self._writes.get(path.parent, 0)
            self._writes[path.parent] = writes + 1
            if writes % _WRITES_BETWEEN_COUNTS == 0:
                self._shrink(path.parent)

    def _path(self, key: bytes) -> Path:
        name = hashlib.blake2b(key, digest_size=16).hexdigest()
        return self._folder / name[:2] / name[2:]

    def _shrink(self, shard: Path) -> None:
        """Remove the oldest files of a shard until it is within its limit, and then an eighth more."""
        files = []
        for entry in os.scandir(shard):
            # Another process may have removed it.
            with contextlib.suppress(FileNotFoundError):
                found = entry.stat()
                files.append((found.st_mtime_ns, found.st_blocks * 512, entry.path))
        total = sum(size for _, size, _ in files)
        if total <= self._shard_limit_bytes:
            return
        for _, size, path in sorted(files):
            if total <= self._shard_limit_bytes * 7 // 8:
                return
            Path(path).unlink(missing_ok=True)
            total -= size


def _seal(key: bytes, content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=_SEAL_BYTES, key=hashlib.blake2b(key, digest_size=32).digest()).digest()
