"""One child with the cell's C++ for all tests here."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.nr.rig import Cpp


@pytest.fixture(scope="session")
def cpp() -> Iterator[Cpp]:
    """The child."""
    child = Cpp()
    yield child
    child.close()
