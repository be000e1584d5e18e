"""The rows of 5G-LENA's figures and how near a measurement comes to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

REFERENCE = Path(__file__).with_name("lena_reference.yaml")
AT_ONCE = 2
"""Measuring processes."""


@dataclass(frozen=True)
class Tolerance:
    """The larger of a difference and a share of the reference."""

    absolute: float = 0
    share: float = 0

    def allows(self, measured: float, reference: float) -> bool:
        """Whether a measurement is within."""
        return abs(measured - reference) <= max(self.absolute, self.share * reference)

    def __str__(self) -> str:
        parts = [f"{self.absolute:g}"] * bool(self.absolute) + [f"{self.share:.0%}"] * bool(self.share)
        return " or ".join(parts)


@dataclass(frozen=True)
class Row:
    """Arguments of the command, and the figures that 5G-LENA has there by their keys."""

    title: str
    arguments: dict[str, Any]
    expect: dict[str, float]
    tolerance: Tolerance

    @property
    def command(self) -> list[str]:
        """The arguments as they are typed."""
        return [part for name, value in self.arguments.items() for part in (f"--{name}", str(value))]


def rows() -> list[Row]:
    """What the data file holds."""
    data: dict[str, Any] = yaml.safe_load(REFERENCE.read_text())
    tolerances = {name: Tolerance(**value) for name, value in data["tolerances"].items()}
    made = []
    for group in data["groups"]:
        for entry in group["rows"]:
            own = {name: value for name, value in entry.items() if name != "expect"}
            tolerance = tolerances[group["tolerance"]]
            arguments = {**group["arguments"], **own}
            made.append(Row(group["title"], arguments, entry["expect"], tolerance))
    return made


def compare(measure: Callable[[list[str]], dict[str, Any]], write: Callable[[str], None]) -> list[dict[str, Any]]:
    """Measure every row and write it beside the reference; what was found, an entry for each figure."""
    found: list[dict[str, Any]] = []
    title = ""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        chosen = rows()
        for row, measured in zip(chosen, pool.map(lambda row: measure(row.command), chosen), strict=True):
            if row.title != title:
                title = row.title
                write(f"\n{title}, within {row.tolerance}")
                write(f"  {'':46}{'':20}{'model':>9}{'5G-LENA':>9}{'off by':>9}")
            for line, entry in _lines(row, measured):
                write(line)
                found.append(entry)
    return found


def _lines(row: Row, measured: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    name = _name(row.arguments)
    for key, reference in row.expect.items():
        value = _at(measured, key)
        within = value is not None and row.tolerance.allows(value, reference)
        shown = "none" if value is None else f"{value:.2f}"
        off = "" if value is None else _off(row.tolerance, value, reference)
        line = f"  {name:46}{key:20}{shown:>9}{reference:>9g}{off:>9}{'' if within else '  OUT'}"
        found = {"figure": key, "measured": value, "lena": reference, "within": within}
        yield line, {"arguments": row.command, **found}
        name = ""


def _off(tolerance: Tolerance, value: float, reference: float) -> str:
    return f"{value - reference:+.2f}" if tolerance.absolute else f"{value / reference - 1:+.1%}"


def _name(arguments: dict[str, Any]) -> str:
    """What tells a row from others."""
    parts = [str(arguments[key]) for key in ("load", "duplex", "bandwidth", "sinr", "scheduler")]
    named = {"numerology": "numerology {}", "k2": "N2 {}", "dl-layers": "{} layers"}
    return " ".join(parts + [text.format(arguments[key]) for key, text in named.items() if key in arguments])


def _at(measured: dict[str, Any], key: str) -> Any:
    value: Any = measured
    for part in key.split("."):
        value = None if value is None else value[part]
    return value
