"""Keys and an engine host for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from cosim.bridge.keys import make_keys
from tests.remote.rig import EngineHostProcess, engine_host


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    make_keys(tmp_path / "keys")
    return tmp_path / "keys"


@pytest.fixture
def host(tmp_path: Path, keys: Path) -> Iterator[EngineHostProcess]:
    """An engine host whose engines are doubles; it leaves nothing behind."""
    with engine_host(tmp_path, keys) as host:
        yield host
    assert list(host.temporary.glob("cosim-*")) == []
    assert "Traceback" not in host.output


@pytest.fixture
def context() -> Iterator[zmq.Context[zmq.Socket[bytes]]]:
    context = zmq.Context()
    yield context
    context.destroy(linger=0)
