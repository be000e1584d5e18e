"""What a sweep says at its end: a line for each point, tier and SLA class."""

from __future__ import annotations

import csv
from pathlib import Path

from cosim.results.sweep_store import SUMMARY_TABLE

MOST_ROWS = 40
HEADER = ("point", "tier", "class", "runs", "n", "hit rate", "95 % across seeds", "p95 e2el of all")
LEFT = 3


def closing_lines(sweep_directory: Path) -> list[str]:
    """The table as text, from summary.csv; what is left out is said."""
    path = sweep_directory / SUMMARY_TABLE
    with path.open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["n"] not in ("", "0")]
    if not rows:
        return [f"no run has counted requests with an SLA class; the figures are in {path}"]
    table = [HEADER, *(_cells(row) for row in rows[:MOST_ROWS])]
    widths = [max(len(cells[column]) for cells in table) for column in range(len(HEADER))]
    lines = ["  ".join(_aligned(cells, widths)).rstrip() for cells in table]
    more = len(rows) - MOST_ROWS
    return [*lines, f"and {more} more rows in {path}"] if more > 0 else lines


def _cells(row: dict[str, str]) -> tuple[str, ...]:
    low, high = row["sla_hit_rate_low"], row["sla_hit_rate_high"]
    interval = f"{100 * float(low):.1f}-{100 * float(high):.1f} %" if low and high else "-"
    hit_rate = f"{100 * float(row['sla_hit_rate']):.1f} %" if row["sla_hit_rate"] else "-"
    p95 = f"{float(row['p95_e2el_of_all_ms']):.0f} ms" if row["p95_e2el_of_all_ms"] else "-"
    return row["point"], row["tier"], row["class"], row["runs"], row["n"], hit_rate, interval, p95


def _aligned(cells: tuple[str, ...], widths: list[int]) -> list[str]:
    return [
        f"{cell:<{width}}" if column < LEFT else f"{cell:>{width}}"
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
