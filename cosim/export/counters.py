"""The time series of a run as counters of a Perfetto trace."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from cosim.export.trace_file import TraceFile
from cosim.results.radio_series import COUNTED as RADIO_COUNTED
from cosim.results.series import UNIT_NS
from cosim.results.store import Samples, read_samples

LINK, RADIO = "link_", "radio_"


def write_counters(
    trace: TraceFile, directory: Path, engines: dict[str, int], network: int, kpi_interval_ns: int
) -> None:
    """A counter for each source, metric and set of labels: in the process of its engine, or in the network's.

    A sample of a window (links, radio) is drawn from the window's start on. A window without traffic has no sample, so
    what counts falls to 0 there. Any other value holds until its next sample.
    """
    counters: dict[tuple[str, str, str], int] = {}
    ends_ns: dict[int, int] = {}
    for samples in read_samples(directory, None):
        key = samples.source, samples.metric, samples.labels
        if key not in counters:
            process = engines.get(samples.source, network)
            counters[key] = trace.counter(process, _name(samples), in_bytes="_bytes" in samples.metric)
        track = counters[key]
        order = np.argsort(samples.t_ns, kind="stable")
        window_ns = _window_ns(samples.metric, kpi_interval_ns)
        falls = samples.metric.startswith(LINK) or samples.metric in RADIO_COUNTED
        for t_ns, value in zip(samples.t_ns[order].tolist(), samples.value[order].tolist(), strict=True):
            start_ns = t_ns if window_ns is None else (t_ns - 1) // window_ns * window_ns
            if falls:
                if ends_ns.get(track, start_ns) < start_ns:
                    trace.count(track, ends_ns[track], 0.0)
                ends_ns[track] = t_ns
            trace.count(track, start_ns, value)
    for track, end_ns in ends_ns.items():
        trace.count(track, end_ns, 0.0)


def _name(samples: Samples) -> str:
    labels = [f"{key}={value}" for key, value in json.loads(samples.labels).items()]
    return " ".join([samples.source, samples.metric, *labels])


def _window_ns(metric: str, kpi_interval_ns: int) -> int | None:
    if metric.startswith(RADIO):
        return kpi_interval_ns
    return UNIT_NS if metric.startswith(LINK) else None
