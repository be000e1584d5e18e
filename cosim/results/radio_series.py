"""What a cell did over time, by UE and direction: the radio samples of a run as windows that a drawing takes."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field

from cosim.results.series import UNIT_NS, Measured, Windows
from cosim.results.store import Samples

CELL = ""  # in the place of a UE's name
DIRECTIONS = ("up", "down")
SHARE = "radio_prb_share"
QUEUE = "radio_max_queue_bytes"
BYTES = "radio_delivered_bytes"
DROPPED = "radio_dropped_packets"
# Of these a window without a row has none; the others are not known then.
COUNTED = (SHARE, QUEUE, BYTES, DROPPED)
MEASURED = (
    "radio_sinr_db",
    "radio_mcs_mean",
    "radio_bler",
    "radio_harq_rounds_mean",
    "radio_sr_wait_ms",
    "radio_grant_wait_ms",
)
METRICS = (*COUNTED, *MEASURED)


@dataclass(slots=True)
class Direction:
    """A UE (or the cell) and direction: series by metric, those that have a sample."""

    counted: dict[str, Windows] = field(default_factory=dict)
    measured: dict[str, Measured] = field(default_factory=dict)


class RadioSeries:
    """Series of the cell and of the UEs that have clients; samples of others are left.

    `interval_ns`: the windows of the samples. Longer ones than a drawing's (UNIT_NS) fill several of those.
    """

    def __init__(self, end_ns: int, ues: Collection[str], interval_ns: int = UNIT_NS) -> None:
        self._end_ns = end_ns
        self._clients = ues
        self._interval_ns = interval_ns
        self._found: dict[tuple[str, str], Direction] = {}

    def add(self, sample: Samples) -> None:
        """Take a sample of one of METRICS, leave others."""
        import numpy as np

        if sample.metric not in METRICS:
            return
        labels = json.loads(sample.labels)
        ue, direction = str(labels.get("ue", CELL)), str(labels.get("direction", ""))
        if direction not in DIRECTIONS or ("ue" in labels and ue not in self._clients):
            return
        series = self._found.setdefault((ue, direction), Direction())
        t_ns, value = sample.t_ns, sample.value
        if sample.metric == DROPPED:
            series.counted.setdefault(DROPPED, Windows(self._end_ns)).add(t_ns, value)
            return
        starts_ns = (t_ns - 1) // self._interval_ns * self._interval_ns
        fills = -(-(t_ns - starts_ns) // UNIT_NS)
        within = np.arange(fills.sum()) - np.repeat(np.cumsum(fills) - fills, fills)
        times_ns = np.repeat(t_ns, fills) - within * UNIT_NS
        if sample.metric in MEASURED:
            measured = series.measured.setdefault(sample.metric, Measured(self._end_ns))
            measured.add(times_ns, np.repeat(value, fills))
            return
        # Several samples to a drawing's window: each one's share of PRBs counts for its part of it.
        part = min(self._interval_ns / UNIT_NS, 1.0)
        scaled = value / fills if sample.metric == BYTES else value * part if sample.metric == SHARE else value
        windows = Windows(self._end_ns, greatest=sample.metric == QUEUE)
        series.counted.setdefault(sample.metric, windows).add(times_ns, np.repeat(scaled, fills))

    def ues(self) -> list[str]:
        """The UEs that have a sample, first those that had most PRBs."""
        names = {ue for ue, _ in self._found} - {CELL}
        return sorted(names, key=lambda ue: (-sum(_total(series) for series in self.of(ue).values()), ue))

    def of(self, ue: str) -> dict[str, Direction]:
        """Series of a UE, or of CELL, by direction."""
        return {way: self._found[ue, way] for way in DIRECTIONS if (ue, way) in self._found}


def _total(series: Direction) -> float:
    return series.counted[SHARE].total if SHARE in series.counted else 0.0
