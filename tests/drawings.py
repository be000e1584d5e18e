"""What a time line's drawing says, for tests."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from cosim.results.timeline import Timeline

Corners = list[tuple[float, float]]


def corners(path: ET.Element) -> Corners:
    """The corners of a path of M, H and V, in ms and px."""
    found: Corners = []
    for command, numbers in re.findall(r"([MHV])([\d. ]+)", path.get("d") or ""):
        values = [float(number) for number in numbers.split()]
        x, y = found[-1] if found else (0.0, 0.0)
        found.append((values[0], values[1]) if command == "M" else (values[0], y) if command == "H" else (x, values[0]))
    return found


def numbers(drawing: Timeline, track: str) -> dict[str, tuple[str, str, str]]:
    """Rows of a track in the drawing's table: what, and how many, mean and greatest."""
    return {what: (n, mean, most) for name, what, n, mean, most in drawing.numbers if name == track}
