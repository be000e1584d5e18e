"""Loads of a cell whose CPU time is measured, in processes of their own."""

from __future__ import annotations

from typing import Literal

import msgspec

from benchmarks.child import answer
from benchmarks.nr_rig.exchange import UdpFlow
from benchmarks.nr_rig.point import BURST_BYTES, PATH, PAYLOAD_BYTES, WARM_UP_NS, Point
from cosim.bridge.messages import Direction, Link, Topology
from cosim.bridge.nr_messages import NrAccess
from cosim.clock import NS_PER_MS

Kind = Literal["udp", "tcp", "idle", "mac", "start"]
KPI_WINDOW_NS = 100 * NS_PER_MS


class SpeedLoad(msgspec.Struct, frozen=True):
    """What to run for `measured_ns` after a warm-up; `start`: only to where the network stands."""

    kind: Kind
    topology: Topology
    flows: tuple[UdpFlow, ...] = ()
    measured_ns: int = 0


class CpuTime(msgspec.Struct, frozen=True):
    """Of the ns-3 process. Messages of the whole run, the warm-up too, and how many of them arrived in whole."""

    cpu_ns: int
    simulated_ns: int
    issued: int = 0
    arrived: int = 0


def measure(asked: SpeedLoad) -> CpuTime:
    """CPU time of a new process. Raises RigError."""
    return answer("benchmarks.nr_rig.speed_child", asked, CpuTime)


def loads(point: Point, measured_ns: dict[Kind, int]) -> dict[str, SpeedLoad]:
    """The rows, by name, of a cell and its UEs. Raises ImpossibleCell."""
    topology = with_windows(point.request().topology)
    bursts = tuple(
        UdpFlow(
            name,
            PATH,
            up=True,
            packets=-(-BURST_BYTES // PAYLOAD_BYTES),
            payload_bytes=PAYLOAD_BYTES,
            until_ns=WARM_UP_NS + measured_ns["udp"],
            period_ns=point.period_ns,
        )
        for name in point.names
    )
    instant = Link(Direction(0), Direction(0))
    return {
        "udp": SpeedLoad("udp", topology, bursts, measured_ns["udp"]),
        "tcp": SpeedLoad("tcp", topology, bursts, measured_ns["tcp"]),
        "idle": SpeedLoad("idle", topology, (), measured_ns["idle"]),
        "mac": SpeedLoad("mac", saturated(topology), (), measured_ns["mac"]),
        "start": SpeedLoad("start", topology),
        "start_link": SpeedLoad("start", msgspec.structs.replace(topology, access=instant)),
    }


def with_windows(topology: Topology) -> Topology:
    """KPIs as often as in a run."""
    assert isinstance(topology.access, NrAccess)
    cell = msgspec.structs.replace(topology.access.cell, kpi_window_ns=KPI_WINDOW_NS)
    return msgspec.structs.replace(topology, access=msgspec.structs.replace(topology.access, cell=cell))


def saturated(topology: Topology) -> Topology:
    """The UEs without packets: a full buffer each way."""
    assert isinstance(topology.access, NrAccess)
    cell = topology.access.cell
    ues = tuple(msgspec.structs.replace(ue, background=True, ul_traffic=True, dl_traffic=True) for ue in cell.ues)
    full = msgspec.structs.replace(cell, ues=ues)
    return msgspec.structs.replace(topology, access=msgspec.structs.replace(topology.access, cell=full))
