"""The rows of Linux's figures and how near a measurement comes to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

REFERENCE = Path(__file__).with_name("linux_reference.yaml")


@dataclass(frozen=True)
class Tolerance:
    """The larger of a time and a share of the Linux figure."""

    ms: float
    share: float

    def allows(self, measured_ms: float, linux_ms: float) -> bool:
        """Whether a measurement is within."""
        return abs(measured_ms - linux_ms) <= max(self.ms, self.share * linux_ms)

    def __str__(self) -> str:
        parts = [f"{self.ms:g} ms"] * bool(self.ms) + [f"{self.share:.0%}"] * bool(self.share)
        return " or ".join(parts)


@dataclass(frozen=True)
class Row:
    """Arguments of the command, what Linux took, and how near is near enough.

    `earlier_ms`: what an earlier measurement of Linux had, where a later one corrects it; shown, not judged by.
    """

    arguments: list[str]
    linux_ms: list[float]
    tolerance: Tolerance
    earlier_ms: list[float] | None


def rows() -> list[Row]:
    """What the data file holds."""
    data: dict[str, Any] = yaml.safe_load(REFERENCE.read_text())
    tolerances = {name: Tolerance(**value) for name, value in data["tolerances"].items()}
    made = []
    for entry in data["rows"]:
        row = dict(entry)
        linux_ms, tolerance = row.pop("linux_ms"), tolerances[row.pop("tolerance")]
        earlier_ms = row.pop("earlier_ms", None)
        arguments = ["--messages", str(len(linux_ms))]
        for name, value in row.items():
            arguments += [f"--{name.replace('_', '-')}", str(value)]
        made.append(Row(arguments, linux_ms, tolerance, earlier_ms))
    return made


def compare(measure: Callable[[list[str]], list[float]], write: Callable[[str], None]) -> list[dict[str, Any]]:
    """Measure every row and write it beside Linux's; what was found, with `within` for each message."""
    found = []
    for row in rows():
        measured_ms = measure(row.arguments)
        within = [row.tolerance.allows(m, linux) for m, linux in zip(measured_ms, row.linux_ms, strict=True)]
        write(_title(row.arguments))
        write("  measured " + "".join(f"{value:9.1f}" for value in measured_ms) + "  ms")
        write("  Linux    " + "".join(f"{value:9.1f}" for value in row.linux_ms) + f"  ms, within {row.tolerance}")
        if row.earlier_ms is not None:
            write("  earlier  " + "".join(f"{value:9.1f}" for value in row.earlier_ms) + "  ms (see the data file)")
        write("           " + "".join(f"{'within' if ok else 'OUT':>9}" for ok in within))
        found.append(
            {"arguments": row.arguments, "message_ms": measured_ms, "linux_ms": row.linux_ms, "within": within}
        )
    return found


def _title(arguments: list[str]) -> str:
    names = (name.removeprefix("--") for name in arguments[2::2])
    return ", ".join(f"{name} {value}" for name, value in zip(names, arguments[3::2], strict=True))
