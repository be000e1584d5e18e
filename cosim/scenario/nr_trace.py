"""SINR traces of UEs in CSV files."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

from cosim.scenario.errors import Problem, ScenarioError, shown
from cosim.scenario.nr_ues import HIGHEST_SINR_DB, LOWEST_SINR_DB

COLUMNS = ("t_s", "sinr_up_db", "sinr_down_db")
MOST_POINTS = 1_000_000


def read_trace(path: Path, key: str) -> list[dict[str, Any]]:
    """Points as a scenario has them. Raises ScenarioError with the file and line of each fault; `key`: who names it."""
    problems: list[Problem] = []

    def fault(line: int, what: str, allowed: str) -> None:
        problems.append(Problem(str(path), line, key, what, allowed))

    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ScenarioError([Problem(str(path), None, key, f"cannot be read: {error}", "a CSV file")]) from None
    header = [cell.strip() for cell in rows[0]] if rows else []
    if sorted(header) != sorted(COLUMNS):
        fault(1, f"has the columns {shown(','.join(header)) or 'none'}", f"the columns {','.join(COLUMNS)}")
        raise ScenarioError(problems)
    points: list[dict[str, Any]] = []
    last_s = -math.inf
    for line, row in enumerate(rows[1:], 2):
        if not row:
            continue
        try:
            t_s, up_db, down_db = (float(dict(zip(header, row, strict=True))[column]) for column in COLUMNS)
        except ValueError:
            fault(line, f"{shown(','.join(row))} is no row of three numbers", f"{','.join(COLUMNS)}")
            continue
        if not (math.isfinite(t_s) and t_s >= 0):
            fault(line, f"{t_s:g} s is no time of the run", "0 or later")
        elif t_s <= last_s:
            fault(line, f"goes back in time: {t_s:g} s after {last_s:g} s", "times that rise from row to row")
        elif not all(LOWEST_SINR_DB <= db <= HIGHEST_SINR_DB for db in (up_db, down_db)):
            fault(line, f"{up_db:g} or {down_db:g} dB is outside what the model knows", _RANGE)
        else:
            points.append({"at": f"{round(t_s * 1e9)}ns", "sinr_up": f"{up_db!r}dB", "sinr_down": f"{down_db!r}dB"})
            last_s = t_s
    if not points and not problems:
        fault(1, "has no row", "at least one row")
    if len(points) > MOST_POINTS:
        fault(MOST_POINTS + 2, f"has {len(points)} rows", f"at most {MOST_POINTS}")
    if problems:
        raise ScenarioError(problems)
    return points


_RANGE = f"{LOWEST_SINR_DB:g} to {HIGHEST_SINR_DB:g}"
