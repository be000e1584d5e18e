"""From what the child measured to the figures that are printed; None where a load does not measure a thing."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.nr_rig.exchange import Load, Measured
from benchmarks.nr_rig.point import PROBE_BYTES
from cosim.clock import NS_PER_MS, NS_PER_S

BITS = 8
MEGA = 1e6


def figures(load: str, request: Load, measured: Measured) -> dict[str, Any]:
    """The keys of the command's JSON. `mcs_mean` and `bler` are of the direction loaded; `probes`: the uplink."""
    up = load not in ("download", "peak-dl")
    radio = measured.up if up else measured.down
    peak = load.startswith("peak")
    return {
        "ul_latency_ms": None if peak else _latency(request, measured, up=True),
        "dl_latency_ms": None if peak else _latency(request, measured, up=False),
        "upload_ms": _transfer(request, measured) if load == "upload" else None,
        "download_ms": _transfer(request, measured) if load == "download" else None,
        "peak_ul_mbps": _mbps(request, measured) if load == "peak-ul" else None,
        "peak_dl_mbps": _mbps(request, measured) if load == "peak-dl" else None,
        "mcs_mean": radio.mcs_mean,
        "bler": radio.bler,
        "sim_s_per_cpu_s": measured.simulated_ns / max(1, measured.cpu_ns),
    }


def _latency(request: Load, measured: Measured, *, up: bool) -> dict[str, Any]:
    """Of probes sent while it measured."""
    times_ms, issued = _times(
        request, measured, [flow.payload_bytes == PROBE_BYTES and flow.up == up for flow in request.flows]
    )
    return {
        "mean": _rounded(times_ms.mean() if times_ms.size else None),
        "p50": _quantile(times_ms, 50),
        "p95": _quantile(times_ms, 95),
        "max": _rounded(times_ms.max() if times_ms.size else None),
        "completed": int(times_ms.size),
        "issued": issued,
    }


def _transfer(request: Load, measured: Measured) -> dict[str, Any]:
    """Of bursts sent while it measured: from the send to the arrival of the last datagram, if all arrived."""
    times_ms, issued = _times(request, measured, [flow.payload_bytes != PROBE_BYTES for flow in request.flows])
    return {
        "mean": _rounded(times_ms.mean() if times_ms.size else None),
        "p95": _quantile(times_ms, 95),
        "completed": int(times_ms.size),
        "issued": issued,
    }


def _times(request: Load, measured: Measured, wanted: list[bool]) -> tuple[np.ndarray[Any, Any], int]:
    times_ms, issued = [], 0
    for is_wanted, sent, arrived in zip(wanted, measured.sent_ns, measured.arrived_ns, strict=True):
        for start_ns, end_ns in zip(sent, arrived, strict=True) if is_wanted else ():
            if start_ns >= request.measure_from_ns:
                issued += 1
                if end_ns >= 0:
                    times_ms.append((end_ns - start_ns) / NS_PER_MS)
    return np.array(times_ms), issued


def _mbps(request: Load, measured: Measured) -> float:
    """Payload of UDP, of all UEs together."""
    seconds = (request.until_ns - request.measure_from_ns) / NS_PER_S
    return sum(measured.received_bytes) * BITS / MEGA / seconds


def _quantile(times_ms: np.ndarray[Any, Any], percent: float) -> float | None:
    return _rounded(np.percentile(times_ms, percent)) if times_ms.size else None


def _rounded(value: Any) -> float | None:
    """To a nanosecond, which is what the clock has."""
    return None if value is None else round(float(value), 6)
