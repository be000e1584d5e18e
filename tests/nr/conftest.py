"""One child with the cell's C++ for all tests here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.nr.rig import Cpp


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The library with the cell is the one that needs the ns3 wheel."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.ns3)


@pytest.fixture(scope="session")
def cpp() -> Iterator[Cpp]:
    """The child."""
    child = Cpp()
    yield child
    child.close()
