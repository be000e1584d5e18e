"""The templates of reports: HTML pages that fetch nothing."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Template


@cache
def template(name: str) -> Template:
    """A template by its file name; compiling it takes longer than filling it in."""
    # jinja2 is needed by nothing else of a run.
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("cosim.results"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters.update(num=_number, pct=_percent, thousands=_thousands)
    return environment.get_template(name)


def _number(value: float | None, digits: int = 1) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _percent(value: float | None, digits: int = 1) -> str:
    return "-" if value is None else f"{value:.{digits}%}"


def _thousands(value: float | None) -> str:
    return "-" if value is None else f"{value:,}".replace(",", "\u202f")
