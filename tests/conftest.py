"""How many faults are injected."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--faults`: all injections instead of a sample; `--faults-seed`: other moments."""
    parser.addoption("--faults", action="store_true", help="inject every fault, not a sample (6 to 9 minutes)")
    parser.addoption("--faults-seed", default="1", help="seed of the moments at which faults are injected")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what only `--faults` runs; that is said in one line and not as a hundred skipped tests."""
    if config.getoption("--faults"):
        return
    chosen = [item for item in items if item.get_closest_marker("many_faults") is None]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen
