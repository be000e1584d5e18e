"""The rows of a trace's file, one after another: CSV with a header or JSON Lines, perhaps gzipped."""

from __future__ import annotations

import csv
import gzip
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgspec

from cosim.scenario.files import open_regular

LONGEST_LINE_BYTES = 16 * 2**20
GZIP_MAGIC = b"\x1f\x8b"


class LineError(Exception):
    """A line that cannot be read; `fatal`: nor can any after it."""

    def __init__(self, line: int, what: str, allowed: str, *, fatal: bool) -> None:
        super().__init__(what)
        self.line, self.allowed, self.fatal = line, allowed, fatal


@dataclass(frozen=True, slots=True)
class Row:
    """Values by column, and the 1-based line on which they end."""

    line: int
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rows:
    """The names of the columns, the line where they stand, and the rows; of JSON Lines the names of the first object.

    `each`: the next row, None after the last. Raises LineError, and OSError if the file cannot be read on.
    """

    header: list[str]
    header_line: int
    each: Callable[[], Row | None]


class _Bytes(Protocol):
    def readline(self, size: int, /) -> bytes: ...


@contextmanager
def open_rows(path: Path) -> Iterator[Rows]:
    """Open a trace. Raises OSError and ValueError where there is no file, LineError if it has no readable header."""
    with open_regular(path) as file:
        if file.peek(len(GZIP_MAGIC)).startswith(GZIP_MAGIC):
            with gzip.GzipFile(fileobj=file) as content:
                yield _rows(_Lines(content))
        else:
            yield _rows(_Lines(file))


class _Lines:
    """Lines of text, each decoded on its own so that a fault has a line; `number`: of the last one, 1-based."""

    def __init__(self, file: _Bytes) -> None:
        self._file = file
        self.number = 0

    def __iter__(self) -> Iterator[str]:
        while (text := self._next()) is not None:
            yield text

    def next_filled(self) -> str | None:
        """The next line that is not blank; None after the last. Raises LineError."""
        return next((text for text in self if text.strip()), None)

    def _next(self) -> str | None:
        self.number += 1
        try:
            raw = self._file.readline(LONGEST_LINE_BYTES + 1)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise self._fault(f"cannot be unpacked: {error}", "a whole gzip file") from None
        if len(raw) > LONGEST_LINE_BYTES:
            raise self._fault("is too long", f"at most {LONGEST_LINE_BYTES} bytes in a line")
        try:
            return raw.decode("utf-8-sig" if self.number == 1 else "utf-8") if raw else None
        except UnicodeDecodeError:
            raise self._fault("is not UTF-8 text", "CSV or JSON Lines in UTF-8") from None

    def _fault(self, what: str, allowed: str) -> LineError:
        return LineError(self.number, what, allowed, fatal=True)


def _rows(lines: _Lines) -> Rows:
    first = lines.next_filled()
    if first is None:
        raise LineError(1, "is empty", "CSV with a header, or JSON Lines", fatal=True)
    return _json_rows(lines, first) if first.lstrip().startswith("{") else _csv_rows(lines, first)


def _json_rows(lines: _Lines, first: str) -> Rows:
    waiting = [_json_row(lines.number, first)]

    def each() -> Row | None:
        if waiting:
            return waiting.pop()
        text = lines.next_filled()
        return None if text is None else _json_row(lines.number, text)

    return Rows(list(waiting[0].values), waiting[0].line, each)


def _json_row(line: int, text: str) -> Row:
    try:
        values = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise LineError(line, f"is not JSON: {error}", "a JSON object in each line", fatal=False) from None
    if not isinstance(values, dict):
        raise LineError(line, "is no JSON object", "a JSON object in each line", fatal=False)
    return Row(line, values)


def _csv_rows(lines: _Lines, first: str) -> Rows:
    header_line = lines.number

    def texts() -> Iterator[str]:
        yield first
        yield from lines

    reader = csv.reader(texts(), strict=True)

    def cells() -> list[str] | None:
        try:
            return next((row for row in reader if any(cell.strip() for cell in row)), None)
        except csv.Error as error:
            raise LineError(lines.number, f"is not CSV: {error}", "RFC 4180", fatal=True) from None

    header = [cell.strip() for cell in cells() or ()]

    def each() -> Row | None:
        row = cells()
        if row is None:
            return None
        if len(row) != len(header):
            what = f"has {len(row)} cells where the header has {len(header)}"
            raise LineError(lines.number, what, "a cell for each column", fatal=False)
        return Row(lines.number, dict(zip(header, row, strict=True)))

    return Rows(header, header_line, each)
