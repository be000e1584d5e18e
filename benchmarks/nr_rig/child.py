# SPDX-License-Identifier: GPL-2.0-only
"""Carries UDP over a cell in ns-3: reads a `Load` from standard input, writes a `Measured` to standard output."""

from __future__ import annotations

import math
import sys
from typing import Any

import msgspec

from benchmarks.nr_rig.exchange import Direction, Load, Measured
from cosim.clock import NS_PER_MS, process_cpu_ns
from ns3_scenarios.library import SOURCES, load
from ns3_scenarios.native import Native

STEP_NS = 100 * NS_PER_MS
CELL = -1
"""The UE of a sample that is the cell's."""


def measure(request: Load) -> Measured:
    """Run the load to its end."""
    cosim, _ = load()
    import cppyy  # what loads it has set it up

    cppyy.include(str(SOURCES / "udp_load.h"))
    native = Native(cosim)
    network = cosim.Network(native.topology(request.topology))
    flows = cppyy.gbl.std.vector["cosim::UdpFlow"]()
    for flow in request.flows:
        flows.push_back(native.fill(cosim.UdpFlow(), flow))
    udp = cosim.UdpLoad(network, flows, request.seed)
    numbers = range(len(request.flows))

    def received() -> list[int]:
        return [udp.ReceivedBytes(flow) for flow in numbers]

    start_ns = process_cpu_ns()
    network.Advance(request.measure_from_ns)
    network.TakeRadioSamples(True)
    before = received()
    network.Advance(request.until_ns)
    samples = {bool(sample.up): sample for sample in network.TakeRadioSamples(True) if sample.ue == CELL}
    received_bytes = [after - first for first, after in zip(before, received(), strict=True)]
    now_ns = request.until_ns
    while udp.Unfinished() > 0 and now_ns < request.until_ns + request.drain_ns:
        now_ns = network.Advance(now_ns + STEP_NS)
    cpu_ns = process_cpu_ns() - start_ns
    messages = [list(udp.Messages(flow)) for flow in numbers]
    return Measured(
        sent_ns=[[message.sent_ns for message in of_flow] for of_flow in messages],
        arrived_ns=[[message.arrived_ns for message in of_flow] for of_flow in messages],
        received_bytes=received_bytes,
        up=_direction(samples.get(True)),
        down=_direction(samples.get(False)),
        simulated_ns=now_ns,
        cpu_ns=cpu_ns,
    )


def _direction(sample: Any) -> Direction:
    if sample is None:
        return Direction()
    values = (float(sample.mcs_mean), float(sample.bler))
    return Direction(*(value if value >= 0 and not math.isnan(value) else None for value in values))


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(measure(msgspec.json.decode(sys.stdin.buffer.read(), type=Load))))
