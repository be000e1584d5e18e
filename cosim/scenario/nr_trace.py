"""SINR traces of UEs in CSV files."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cosim.scenario.errors import MOST_SHOWN, Problem, ScenarioError, shown
from cosim.scenario.files import open_regular
from cosim.scenario.nr_ues import HIGHEST_SINR_DB, LOWEST_SINR_DB
from cosim.scenario.units import LONGEST_DURATION_NS, NS_PER_UNIT

COLUMNS = ("t_s", "sinr_up_db", "sinr_down_db")
MOST_POINTS = 100_000
_NS_PER_S = NS_PER_UNIT["s"]
_LATEST_S = LONGEST_DURATION_NS / _NS_PER_S
_RANGE = f"{LOWEST_SINR_DB:g} to {HIGHEST_SINR_DB:g}"


def read_trace(path: Path, key: str, named_at: tuple[str, int | None]) -> list[dict[str, Any]]:
    """Points as a scenario has them. `key`, `named_at`: which key names the file, and where.

    Raises ScenarioError: a file that cannot be read at the key that names it, any other fault at the file's own line.
    """
    try:
        return _points(path, key)
    except (OSError, ValueError, csv.Error) as error:  # ValueError: bytes that are no text
        why = error.strerror if isinstance(error, OSError) else str(error)
        what = f"{str(path)!r} cannot be read: {why}"
        raise ScenarioError(
            [Problem(*named_at, key, what, f"a CSV file with the columns {','.join(COLUMNS)}")]
        ) from None


def _points(path: Path, key: str) -> list[dict[str, Any]]:
    problems: list[Problem] = []

    def fault(line: int, what: str, allowed: str) -> None:
        problems.append(Problem(str(path), line, key, what, allowed))

    rows = _rows(path)
    _, first = next(rows, (1, []))
    header = [cell.strip() for cell in first]
    if sorted(header) != sorted(COLUMNS):
        fault(1, f"has the columns {shown(','.join(header)) or 'none'}", f"the columns {','.join(COLUMNS)}")
        raise ScenarioError(problems)
    points: list[dict[str, Any]] = []
    last_ns = -1
    for line, row in rows:
        if len(problems) > MOST_SHOWN:
            break
        try:
            t_s, up_db, down_db = (float(dict(zip(header, row, strict=True))[column]) for column in COLUMNS)
        except ValueError:
            fault(line, f"{shown(','.join(row))} is no row of three numbers", f"{','.join(COLUMNS)}")
            continue
        if not 0 <= t_s <= _LATEST_S:
            fault(line, f"{t_s:g} s is no time of a run", f"0 to {_LATEST_S:g}")
        elif round(t_s * _NS_PER_S) <= last_ns:
            what = f"goes back in time: {t_s:g} s after {last_ns / _NS_PER_S:g} s"
            fault(line, what, "times that rise from row to row")
        elif not all(LOWEST_SINR_DB <= db <= HIGHEST_SINR_DB for db in (up_db, down_db)):
            fault(line, f"{up_db:g} or {down_db:g} dB is outside what the model knows", _RANGE)
        elif len(points) == MOST_POINTS:
            fault(line, f"has more than {MOST_POINTS} rows", "fewer: each holds until the next")
            break
        else:
            last_ns = round(t_s * _NS_PER_S)
            points.append({"at": f"{last_ns}ns", "sinr_up": f"{up_db!r}dB", "sinr_down": f"{down_db!r}dB"})
    if not points and not problems:
        fault(1, "has no row", "at least one row")
    if problems:
        raise ScenarioError(problems)
    return points


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Rows that are not empty, each with its 1-based line."""
    with io.TextIOWrapper(open_regular(path), encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        yield from ((reader.line_num, row) for row in reader if row)
