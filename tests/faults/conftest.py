"""The seed of an injection: the option `--faults-seed` and the name of the test."""

from __future__ import annotations

import pytest


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> str:
    """Another for each injection; a failure prints it."""
    return f"{request.config.getoption('--faults-seed')} {request.node.name}"
