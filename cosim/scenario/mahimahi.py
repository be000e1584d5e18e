"""Packet-delivery traces of mahimahi: a line with the ms of each opportunity to deliver 1504 bytes.

Source: mm-link of mahimahi (Netravali et al., USENIX ATC 2015): times do not fall, the last is the trace's length.
"""

from __future__ import annotations

import re

from cosim.scenario.errors import shown
from cosim.scenario.series import LONGEST_DELIVERY_MS, LONGEST_TEXT, MOST_OPPORTUNITIES, write_opportunities
from cosim.scenario.trace_file import TraceFile

WANTED = "a line with a whole number of ms for each 1504 bytes that the link can deliver"

_LINE = re.compile(r"\s*([0-9]{1,18})\s*")


def read_mahimahi(file: TraceFile) -> str:
    """`opportunities` as a scenario has them.

    Raises ScenarioError: a file that cannot be read at the key that names it, any other fault at the file's own line.
    """
    lines = file.text().splitlines()
    times_ms: list[int] = []
    for number, line in enumerate(lines, 1):
        match = _LINE.fullmatch(line)
        if match is None:
            what = f"{shown(line)!r} is no time in ms" if line.strip() else "is empty"
            file.fault(number, what, WANTED)
        elif times_ms and int(match[1]) < times_ms[-1]:
            file.fault(number, f"goes back in time: {match[1]} ms after {times_ms[-1]} ms", "times that do not fall")
        elif int(match[1]) > LONGEST_DELIVERY_MS:
            file.fault(number, f"{match[1]} ms is later than 7 days", f"0 to {LONGEST_DELIVERY_MS}")
        elif len(times_ms) == MOST_OPPORTUNITIES:
            file.fault(number, f"has more than {MOST_OPPORTUNITIES} lines", "fewer: after the last they begin again")
            break
        else:
            times_ms.append(int(match[1]))
        if file.is_hopeless:
            break
    if not file.problems and (not times_ms or times_ms[-1] == 0):
        file.fault(max(len(lines), 1), "has no opportunity after 0 ms", WANTED)
    file.check()
    text = write_opportunities(tuple(times_ms))
    if len(text) > LONGEST_TEXT:
        file.fault(len(lines), f"has opportunities at too many times ({times_ms[-1]} ms)", "a shorter trace")
        file.check()
    return text
