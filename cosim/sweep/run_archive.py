"""A run's directory as bytes, to bring it from one machine to another."""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path

INCOMING_PREFIX = ".incoming-"


def packed(directory: Path) -> bytes:
    """The files of a directory."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.add(directory, arcname=".")
    return content.getvalue()


def unpack(content: bytes, directory: Path) -> None:
    """Make a directory of what `packed` returned in place of the one that is there; it appears whole or not at all."""
    incoming = directory.with_name(INCOMING_PREFIX + directory.name)
    shutil.rmtree(incoming, ignore_errors=True)
    incoming.mkdir(parents=True)
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            archive.extractall(incoming, filter="data")
        if directory.exists():
            shutil.rmtree(directory)
        incoming.rename(directory)
    except BaseException:
        shutil.rmtree(incoming, ignore_errors=True)
        raise
