"""Tracks of the time line: what each link carried, how long its queue grew, and when it dropped packets."""

from __future__ import annotations

import json
from dataclasses import dataclass
from html import escape

from cosim.clock import NS_PER_S
from cosim.results.series import UNIT_NS, Grid, Windows
from cosim.results.store import Samples
from cosim.results.tracks import Track, band, line_of, x_ms

METRICS = ("link_bytes", "link_max_queue_bytes", "link_dropped_packets")
MAX_LINKS = 16
HEIGHT = 26
# A shorter queue, of ten packets, is drawn nowhere: it would fill its track and mean nothing.
NOTABLE_QUEUE_BYTES = 15_000

LINK_COLOURS = {
    "bits per second": "#5aa9a4",
    "longest queue (own scale)": "#8a4fa3",
    "packets dropped": "#d6336c",
}


@dataclass(slots=True)
class _Link:
    n_bytes: Windows
    queue_bytes: Windows
    dropped: Windows


class LinkSeries:
    """Windows of link samples by link and direction; the access links of all UEs go into one."""

    def __init__(self, end_ns: int) -> None:
        self._end_ns = end_ns
        self._links: dict[tuple[str, str], _Link] = {}
        self._ues: dict[str, set[str]] = {}

    def add(self, sample: Samples) -> None:
        """Take a sample of one of METRICS, leave others."""
        if sample.metric not in METRICS:
            return
        labels = json.loads(sample.labels)
        key = (sample.source, str(labels.get("direction", "")))
        if key not in self._links:
            end_ns = self._end_ns
            self._links[key] = _Link(Windows(end_ns), Windows(end_ns, greatest=True), Windows(end_ns))
        if "ue" in labels:
            self._ues.setdefault(sample.source, set()).add(str(labels["ue"]))
        link = self._links[key]
        windows = dict(zip(METRICS, (link.n_bytes, link.queue_bytes, link.dropped), strict=True))
        windows[sample.metric].add(sample.t_ns, sample.value)

    def tracks(self, grid: Grid) -> tuple[list[Track], list[str]]:
        """The links that carried something, from the UE outwards; the MAX_LINKS busiest where there are more."""
        used = [key for key, link in self._links.items() if link.n_bytes.total or link.dropped.total]
        kept = sorted(used, key=lambda key: (-self._links[key].n_bytes.total, key))[:MAX_LINKS]
        notes = []
        if len(kept) < len(used):
            notes.append(f"The {MAX_LINKS} directions of links that carried most are drawn, of {len(used)}.")
        for source, ues in self._ues.items():
            if len(ues) > 1:
                notes.append(f"{source} is the sum over {len(ues)} UEs, its queue the longest of any.")
        if kept and grid.width_ns > UNIT_NS:
            notes.append(
                f"Links are drawn in bins of {grid.width_ns / NS_PER_S:g} s: least, mean and greatest rate of their "
                "windows of 0.1 s."
            )
        return [self._track(key, self._links[key], grid) for key in sorted(kept, key=_place)], notes

    def _track(self, key: tuple[str, str], link: _Link, grid: Grid) -> Track:
        name = " ".join(part for part in key if part)
        rate = link.n_bytes.envelope(grid, 8 * NS_PER_S / UNIT_NS)
        queue = link.queue_bytes.envelope(grid)
        dropped = link.dropped.envelope(grid)
        greatest, longest = rate.greatest or 0.0, queue.greatest or 0.0
        mean_bps = link.n_bytes.total * 8 * NS_PER_S / max(self._end_ns, 1)
        rate_colour, queue_colour, drop_colour = LINK_COLOURS.values()
        track = Track(name, HEIGHT, notes=[f"max {bps(greatest)}"])
        track.numbers = [
            ("rate in windows of 0.1 s", "", bps(mean_bps), bps(greatest)),
            ("longest queue, bytes", "", "", f"{longest:.0f}"),
            ("packets dropped at the queue or lost", f"{link.dropped.total:.0f}", "", ""),
        ]
        if greatest:
            track.shapes.append(
                f'<path class="band" fill="{rate_colour}" stroke="{rate_colour}" '
                f'd="{band(rate, HEIGHT, greatest, from_zero=not rate.binned)}">'
                f"<title>{escape(name)}: rate, max {bps(greatest)}</title></path>"
            )
            if rate.binned:
                path = line_of(rate, rate.mean, HEIGHT, greatest)
                track.shapes.append(f'<path class="stair" stroke="{rate_colour}" d="{path}"/>')
        if link.dropped.total:
            # Before the queue: a low track has room for two notes.
            track.notes.append(f"{link.dropped.total:.0f} dropped")
        if longest >= NOTABLE_QUEUE_BYTES:
            track.notes.append(f"queue {n_bytes(longest)}")
            track.shapes.append(
                f'<path class="stair" stroke="{queue_colour}" d="{line_of(queue, queue.high, HEIGHT, longest)}">'
                f"<title>{escape(name)}: longest queue, max {n_bytes(longest)}</title></path>"
            )
        if link.dropped.total:
            marks = "".join(
                f"M{x_ms((start + end) / 2)} 0v{HEIGHT}"
                for start, end, high in zip(dropped.edges_ns, dropped.edges_ns[1:], dropped.high, strict=False)
                if high
            )
            track.shapes.append(
                f'<path class="stair" stroke="{drop_colour}" d="{marks}"><title>packets dropped</title></path>'
            )
        return track


def bps(value: float) -> str:
    """A rate in bit/s with a prefix."""
    for factor, unit in ((1e9, "Gbit/s"), (1e6, "Mbit/s"), (1e3, "kbit/s")):
        if value >= factor:
            return f"{value / factor:.3g} {unit}"
    return f"{value:.3g} bit/s"


def n_bytes(value: float) -> str:
    """A number of bytes with a decimal prefix."""
    for factor, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if value >= factor:
            return f"{value / factor:.3g} {unit}"
    return f"{value:.0f} B"


def _place(key: tuple[str, str]) -> tuple[int, str, bool]:
    source, direction = key
    order = ("access", "core")
    return (order.index(source) if source in order else len(order), source, direction != "up")
