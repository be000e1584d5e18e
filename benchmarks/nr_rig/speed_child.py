# SPDX-License-Identifier: GPL-2.0-only
"""Measures its own CPU time in the ns-3 process: a `SpeedLoad` on standard input, a `CpuTime` on standard output."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import msgspec

from benchmarks.nr_rig.exchange import UdpFlow
from benchmarks.nr_rig.point import WARM_UP_NS
from benchmarks.nr_rig.speed import CpuTime, SpeedLoad
from cosim.bridge.messages import PROTOCOL_VERSION, ConfigureNetwork
from cosim.clock import NS_PER_S, process_cpu_ns
from ns3_scenarios.library import SOURCES, load
from ns3_scenarios.native import Native
from ns3_scenarios.process import NetworkProcess

UP = True


def measure(asked: SpeedLoad) -> CpuTime:
    """CPU time of what is asked."""
    if asked.kind == "start":
        NetworkProcess().handle(ConfigureNetwork(PROTOCOL_VERSION, asked.topology))
        return CpuTime(process_cpu_ns(), 0)
    cosim, _ = load()
    import cppyy  # what loads it has set it up

    for header in ("udp_load.h", "nr/cell.h"):
        cppyy.include(str(SOURCES / header))
    native = Native(cosim)
    topology = native.topology(asked.topology)
    if asked.kind == "mac":
        return _mac(cosim.nr.Cell(topology.cell), asked.measured_ns)
    network = cosim.Network(topology)
    if asked.kind == "udp":
        flows = cppyy.gbl.std.vector["cosim::UdpFlow"]()
        for flow in asked.flows:
            flows.push_back(native.fill(cosim.UdpFlow(), flow))
        return _udp(network, cosim.UdpLoad(network, flows, asked.topology.seed), asked)
    if asked.kind == "tcp":
        return _tcp(network, asked, int(cosim.kDelivered))
    return _idle(network, asked.measured_ns)


def _mac(cell: Any, measured_ns: int) -> CpuTime:
    """Without packets ns-3 has no part in it."""
    cell.Run(WARM_UP_NS)
    start_ns = process_cpu_ns()
    cell.Run(WARM_UP_NS + measured_ns)
    return CpuTime(process_cpu_ns() - start_ns, measured_ns)


def _idle(network: Any, measured_ns: int) -> CpuTime:
    """As the process is asked by a run with an event each second."""
    _advance(network, WARM_UP_NS)
    start_ns = process_cpu_ns()
    for now_ns in range(WARM_UP_NS, WARM_UP_NS + measured_ns, NS_PER_S):
        _advance(network, now_ns + NS_PER_S)
    return CpuTime(process_cpu_ns() - start_ns, measured_ns)


def _udp(network: Any, udp: Any, asked: SpeedLoad) -> CpuTime:
    _advance(network, WARM_UP_NS)
    start_ns = process_cpu_ns()
    _advance(network, WARM_UP_NS + asked.measured_ns)
    cpu_ns = process_cpu_ns() - start_ns
    messages = [message for flow in range(len(asked.flows)) for message in udp.Messages(flow)]
    return CpuTime(cpu_ns, asked.measured_ns, len(messages), sum(message.missing == 0 for message in messages))


def _tcp(network: Any, asked: SpeedLoad, delivered_kind: int) -> CpuTime:
    """Each flow's messages on a connection of its own, their first byte a flow's part of a period after another's."""
    delivered = 0
    issued = 0
    for connection, flow in enumerate(asked.flows):
        network.Open(0, connection, flow.ue, flow.path)

    def carry(from_ns: int, until_ns: int) -> None:
        nonlocal issued, delivered
        for t_ns, connection, n_bytes in _due(asked.flows, from_ns, until_ns):
            network.Send(t_ns, connection, issued, n_bytes, UP, False)
            issued += 1
        delivered += sum(report.kind == delivered_kind for report in _advance(network, until_ns))

    carry(0, WARM_UP_NS)
    start_ns = process_cpu_ns()
    for now_ns in range(WARM_UP_NS, WARM_UP_NS + asked.measured_ns, NS_PER_S):
        carry(now_ns, now_ns + NS_PER_S)
    return CpuTime(process_cpu_ns() - start_ns, asked.measured_ns, issued, delivered)


def _due(flows: tuple[UdpFlow, ...], from_ns: int, until_ns: int) -> Iterable[tuple[int, int, int]]:
    """Time, connection and bytes of the messages in a span of whole periods."""
    for connection, flow in enumerate(flows):
        first_ns = from_ns + flow.period_ns * connection // len(flows)
        for t_ns in range(first_ns, until_ns, flow.period_ns):
            yield t_ns, connection, flow.packets * flow.payload_bytes


def _advance(network: Any, until_ns: int) -> list[Any]:
    """To a time, with what a run takes from the network then."""
    reports = []
    now_ns = -1
    while now_ns < until_ns:
        now_ns = network.Advance(until_ns)
        reports += list(network.TakeReports())
    list(network.TakeRadioSamples(False))
    return reports


if __name__ == "__main__":
    answer = measure(msgspec.json.decode(sys.stdin.buffer.read(), type=SpeedLoad))
    sys.stdout.buffer.write(msgspec.json.encode(answer))
