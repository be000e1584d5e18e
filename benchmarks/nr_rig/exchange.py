"""What the measuring child is asked and what it answers, one JSON object each way."""

from __future__ import annotations

import msgspec

from cosim.bridge.messages import Topology


class UdpFlow(msgspec.Struct, frozen=True):
    """Its namesake in ns3_scenarios/cpp/udp_load.h, whose comment says what the fields mean."""

    ue: str
    path: str
    up: bool
    packets: int = 1
    payload_bytes: int = 64
    from_ns: int = 0
    until_ns: int = 0
    period_ns: int = 20_000_000
    spread_ns: int = 0
    window_bytes: int = 0


class Load(msgspec.Struct, frozen=True):
    """Run to `measure_from_ns`, measure to `until_ns`, then wait until all has arrived, at most for `drain_ns`."""

    topology: Topology
    flows: tuple[UdpFlow, ...]
    measure_from_ns: int
    until_ns: int
    drain_ns: int
    seed: int


class Direction(msgspec.Struct, frozen=True):
    """The cell's KPIs between `measure_from_ns` and `until_ns`; None where no TB was sent."""

    mcs_mean: float | None = None
    bler: float | None = None


class Measured(msgspec.Struct, frozen=True):
    """Of each flow: when its messages were sent and arrived in whole (-1: never), and payload while it measured."""

    sent_ns: list[list[int]]
    arrived_ns: list[list[int]]
    received_bytes: list[int]
    up: Direction
    down: Direction
    simulated_ns: int
    cpu_ns: int
