"""Round-trip times from a CSV file or from what `ping` printed.

Times count from the first sample. A ping without an answer is left out: the round-trip time before it holds on. It is
counted, and no packet is lost for it; `loss` says how many are.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

from cosim.scenario.errors import shown
from cosim.scenario.link_values import RttTrace
from cosim.scenario.series import LONGEST_RTT_NS, MOST_SAMPLES, write_samples
from cosim.scenario.trace_file import TraceFile, is_missing, scaled
from cosim.scenario.units import LONGEST_DURATION_NS

NS_PER_UNIT = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9}
_UNITS = ("", "_ns", "_us", "_ms", "_s")
TIME_COLUMNS = tuple(name + unit for name in ("t", "time", "timestamp") for unit in _UNITS)
RTT_COLUMNS = tuple(name + unit for name in ("rtt", "latency", "ping") for unit in _UNITS)
WANTED = "a CSV file with columns such as t_s,rtt_ms, or what `ping` or `ping -D` printed"

# iputils, busybox, BSD and Windows; -D puts [seconds] before a line.
_ANSWER = re.compile(r"^(?:\[([0-9]+(?:\.[0-9]+)?)\] )?.*?(?:seq[= ]([0-9]+).*?)?\btime[=<]([0-9]+(?:\.[0-9]+)?) ?ms\b")
_NO_ANSWER = re.compile(r"no answer yet|timeout for icmp_seq|timed out|unreachable|time to live exceeded", re.I)
_PING = re.compile(r"^(\[[0-9.]+\] )?(PING |Pinging |[0-9]+ bytes from |Reply from |no answer yet|Request time)", re.I)
_SEQUENCES = 65_536  # icmp_seq has 16 bits
_LINE_BREAK = re.compile(r"\r\n|\n|\r")

_Row = tuple[int, int, int]  # line, time and round-trip time in ns


def read_rtt_trace(file: TraceFile, settings: RttTrace) -> dict[str, Any]:
    """`samples` and `lost` as a scenario has them. `settings`: the section that names the file.

    Raises ScenarioError: a file that cannot be read at the key that names it, any other fault at the file's own line.
    """
    text = file.text()
    lines = _LINE_BREAK.split(text)
    if any(_PING.match(line) for line in lines[:5]):
        rows, lost = _ping_rows(lines, settings.interval)
    else:
        rows, lost = _csv_rows(file, lines, settings)
    if not rows and not file.problems:
        file.fault(1, "has no round-trip time", WANTED)
    samples = _checked(file, rows)
    file.check()
    return {"samples": write_samples(samples), "lost": lost}


def _checked(file: TraceFile, rows: list[_Row]) -> tuple[tuple[int, int], ...]:
    """Samples from 0 on; times that do not rise and what no path has are faults."""
    samples: list[tuple[int, int]] = []
    for line, t_ns, rtt_ns in rows:
        if file.is_hopeless:
            break
        since_ns = t_ns - rows[0][1]
        if not 0 <= rtt_ns <= LONGEST_RTT_NS:
            file.fault(line, f"{rtt_ns / 1e6:g} ms is no round-trip time", f"0 to {LONGEST_RTT_NS / 1e6:g} ms")
        elif samples and since_ns <= samples[-1][0]:
            what = f"{since_ns / 1e9:g} s after the first sample does not come after {samples[-1][0] / 1e9:g} s"
            file.fault(line, what, "times that rise from row to row")
        elif since_ns > LONGEST_DURATION_NS:
            file.fault(line, f"{since_ns / 1e9:g} s after the first sample", f"at most {LONGEST_DURATION_NS / 1e9:g}")
        elif len(samples) == MOST_SAMPLES:
            file.fault(line, f"has more than {MOST_SAMPLES} samples", "fewer: each holds until the next")
            break
        else:
            samples.append((since_ns, rtt_ns))
    return tuple(samples)


def _csv_rows(file: TraceFile, lines: list[str], settings: RttTrace) -> tuple[list[_Row], int]:
    found = [(number, row) for number, row in _numbered(file, lines) if any(cell.strip() for cell in row)]
    if not found:
        return [], 0
    head_line, head = found[0]
    names = [cell.strip().lower() for cell in head]
    time_at = _column(file, head_line, names, settings.time_column, TIME_COLUMNS, "times")
    rtt_at = _column(file, head_line, names, settings.rtt_column, RTT_COLUMNS, "round-trip times")
    if time_at is None or rtt_at is None:
        return [], 0
    time_scale, rtt_scale = _scale(names[time_at], "s"), _scale(names[rtt_at], "ms")
    rows: list[_Row] = []
    lost = 0
    for line, row in found[1:]:
        if file.is_hopeless or len(rows) > MOST_SAMPLES:
            break
        if len(row) != len(names):
            file.fault(line, f"has {len(row)} cells", f"{len(names)}, as the first line")
        elif is_missing(row[rtt_at]):
            lost += 1
        else:
            t_ns, rtt_ns = _time(row[time_at], time_scale), scaled(row[rtt_at], rtt_scale)
            if t_ns is None:
                file.fault(line, f"{shown(row[time_at])!r} is no time", "a number, or a date of ISO 8601")
            elif rtt_ns is None:
                file.fault(line, f"{shown(row[rtt_at])!r} is no round-trip time", "a number, or nothing for no answer")
            else:
                rows.append((line, t_ns, rtt_ns))
    return rows, lost


def _numbered(file: TraceFile, lines: list[str]) -> Iterator[tuple[int, list[str]]]:
    """Rows with their 1-based lines; a line that begins with `#` is left out."""
    for number, line in enumerate(lines, 1):
        if line.startswith("#"):
            continue
        try:
            yield from ((number, row) for row in csv.reader([line]))
        except csv.Error as error:
            file.fault(number, f"is no CSV: {error}", WANTED)


def _column(
    file: TraceFile, line: int, names: list[str], asked: str | None, usual: tuple[str, ...], what: str
) -> int | None:
    """Where a column is: the one that is asked for, else the only one with a usual name."""
    wanted = (asked.strip().lower(),) if asked is not None else usual
    places = [index for index, name in enumerate(names) if name in wanted]
    if len(places) == 1:
        return places[0]
    given = shown(",".join(names))
    if places:
        two = " and ".join(names[index] for index in places)
        file.fault(line, f"{two} could both be the column of {what}", "one of them, or time_column and rtt_column")
    else:
        file.fault(line, f"has the columns {given}, none of {what}", f"one of {', '.join(wanted)}")
    return None


def _scale(name: str, default: str) -> int:
    return NS_PER_UNIT.get(name.rpartition("_")[2], NS_PER_UNIT[default])


def _time(text: str, scale: int) -> int | None:
    """A number of the column's unit, or a date; None for what is neither."""
    number = scaled(text, scale)
    if number is not None:
        return number
    try:
        at = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    since = at.replace(tzinfo=None) - datetime(1970, 1, 1) - (at.utcoffset() or datetime.min - datetime.min)
    return (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000


def _ping_rows(lines: list[str], interval_ns: int) -> tuple[list[_Row], int]:
    """Answers of ping; without -D the n-th ping was sent at n intervals."""
    rows: list[_Row] = []
    sequences: set[int] = set()
    last, silent = -1, 0
    for line, text in enumerate(lines, 1):
        match = _ANSWER.match(text)
        if match is None:
            silent += bool(_NO_ANSWER.search(text))
            continue
        if match[2] is None:
            sequence = last + 1 + silent
            silent = 0
        else:
            sequence = int(match[2])
            sequence += round((last - sequence) / _SEQUENCES) * _SEQUENCES if last >= 0 else 0
        if sequence in sequences or sequence < last:  # A second answer, or one that another has overtaken.
            sequences.add(sequence)
            continue
        sequences.add(sequence)
        last = sequence
        t_ns = sequence * interval_ns if match[1] is None else int(Decimal(match[1]) * 10**9)
        rows.append((line, t_ns, int(Decimal(match[3]) * 10**6)))
        if len(rows) > MOST_SAMPLES:
            break
    lost = max(sequences) - min(sequences) + 1 - len(sequences) if sequences else 0
    return rows, lost
