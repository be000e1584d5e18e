# SPDX-License-Identifier: GPL-2.0-only
"""The ns-3 process: `python -m ns3_scenarios.process ADDRESS PARENT_PID`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from operator import attrgetter
from typing import Any

from cosim.bridge.errors import MessageError
from cosim.bridge.messages import (
    PROTOCOL_VERSION,
    Account,
    Accounted,
    Advance,
    Advanced,
    Close,
    Closed,
    Command,
    ConfigureNetwork,
    Connected,
    ConnectionBytes,
    Delivered,
    Delivery,
    Direction,
    Kpi,
    Link,
    LinkCounters,
    Lose,
    NetworkReady,
    NetworkRequest,
    Open,
    Reset,
    Send,
    Set,
    Topology,
    Transport,
)
from cosim.bridge.nr_messages import (
    ACCESS_PARTS,
    BackgroundTraffic,
    BearerConfig,
    CarrierConfig,
    Flow,
    Interruption,
    NrAccess,
    NrCell,
    RadioConfig,
    SchedulerConfig,
    SlotShape,
    TracePoint,
    UeConfig,
    UplinkGrantConfig,
)
from cosim.bridge.peer import serve
from cosim.clock import monotonic_ns
from cosim.network.knobs import direction_at, ue_at
from cosim.network.link_use import link_kpi, window_end_ns
from cosim.network.radio_use import FIELDS, radio_kpi
from ns3_scenarios.library import load
from ns3_scenarios.native import Native

_parts_ns = attrgetter(*(f"{part}_ns" for part in ACCESS_PARTS))


class NetworkProcess:
    """Carries out the requests: configures once, then advances and accounts."""

    def __init__(self) -> None:
        self._cosim: Any = None
        self._native: Native
        self._network: Any = None
        self._links: list[tuple[str, bool]] = []
        self._cell_ues: list[str] = []
        self._window_end_ns = 0  # no window of a link ends before

    def handle(self, request: NetworkRequest) -> NetworkReady | Advanced | Accounted:
        """Answer one request. Raises MessageError for one out of order, ValueError for a name that does not exist."""
        try:
            return self._answer(request)
        except Exception as error:
            # cppyy puts the C++ signature before the text.
            _, thrown, text = str(error).rpartition("invalid_argument: ")
            if thrown:
                raise ValueError(text) from None
            raise

    def close(self) -> None:
        """Write out what is buffered for the pcap files."""
        if self._network is not None:
            self._network.Flush()

    def _answer(self, request: NetworkRequest) -> NetworkReady | Advanced | Accounted:
        if isinstance(request, ConfigureNetwork):
            return self._configure(request)
        if self._network is None:
            raise MessageError(f"{type(request).__name__} came before ConfigureNetwork")
        if isinstance(request, Advance):
            return self._advance(request)
        if isinstance(request, Account):
            return self._account()
        raise MessageError(f"{type(request).__name__} is not for the ns-3 process")

    def _configure(self, request: ConfigureNetwork) -> NetworkReady:
        if self._network is not None:
            raise MessageError("ConfigureNetwork came twice")
        self._cosim, versions = load()
        self._native = Native(self._cosim)
        self._network = self._cosim.Network(self._native.topology(request.topology))
        if isinstance(request.topology.access, NrAccess):
            self._cell_ues = [ue.name for ue in request.topology.access.cell.ues]
        self._links = [(str(link.link), bool(link.up)) for link in self._network.AccountLinks()]
        self._compile_wrappers()
        return NetworkReady(PROTOCOL_VERSION, versions)

    def _compile_wrappers(self) -> None:
        """Have cppyy compile what each call needs now, not at the first request: calls at -1 ns are refused."""
        network, direction = self._network, self._cosim.Direction()
        refused: tuple[Callable[[], Any], ...] = (
            lambda: network.Open(-1, 0, "", ""),
            lambda: network.Send(-1, 0, 0, 0, True, False),
            lambda: network.Close(-1, 0, True, False),
            lambda: network.Set(-1, "", True, direction),
        )
        for call in refused:
            with contextlib.suppress(Exception):
                call()
        network.Advance(0)
        list(network.TakeReports())
        self._kpis(cut=True)
        self._kpi(self._cosim.LinkSample())
        for kind in (self._cosim.kDelivered, self._cosim.kConnected, self._cosim.kClosed):
            report = self._cosim.Report()
            report.kind = kind
            self._delivery(report)

    def _advance(self, request: Advance) -> Advanced:
        for command in request.commands:
            self._schedule(command)
        start_ns = monotonic_ns()
        now_ns = self._network.Advance(request.until_ns)
        run_wall_ns = monotonic_ns() - start_ns
        deliveries = [self._delivery(report) for report in self._network.TakeReports()]
        kpis = []
        if now_ns > self._window_end_ns:
            self._window_end_ns = window_end_ns(now_ns)
            kpis = self._kpis(cut=False)
        return Advanced(now_ns, deliveries, run_wall_ns, kpis)

    def _schedule(self, command: Command) -> None:
        network = self._network
        if isinstance(command, Send):
            network.Send(command.at_ns, command.connection, command.message, command.n_bytes, command.up, command.wakes)
        elif isinstance(command, Open):
            network.Open(command.at_ns, command.connection, command.ue, command.path)
        elif isinstance(command, Close):
            network.Close(command.at_ns, command.connection, command.up, command.wakes)
        elif isinstance(command, Lose):
            network.Lose(command.at_ns, command.link, command.up, command.segment)
        else:
            self._turn(command)

    def _turn(self, knob: Set) -> None:
        network, value = self._network, knob.value
        if isinstance(value, Direction):
            link, up = direction_at(knob.path)
            network.Set(knob.at_ns, link, up, self._native.fill(self._cosim.Direction(), value))
        elif isinstance(value, RadioConfig):
            network.SetRadio(knob.at_ns, ue_at(knob.path), self._native.fill(self._cosim.nr.RadioConfig(), value))
        elif isinstance(value, Interruption):
            network.Interrupt(knob.at_ns, ue_at(knob.path), value.until_ns)
        elif isinstance(value, BackgroundTraffic):
            traffic = self._native.fill(self._cosim.nr.TrafficConfig(), value.traffic)
            network.SetTraffic(knob.at_ns, ue_at(knob.path), value.up, value.present, traffic)
        elif isinstance(value, UplinkGrantConfig):
            network.SetGrants(knob.at_ns, self._native.fill(self._cosim.nr.UplinkGrantConfig(), value))
        elif isinstance(value, SchedulerConfig):
            network.SetScheduler(knob.at_ns, self._native.fill(self._cosim.nr.SchedulerConfig(), value))
        else:
            network.SetLinkAdaptation(knob.at_ns, self._native.fill(self._cosim.nr.LinkAdaptationConfig(), value))

    def _delivery(self, report: Any) -> Delivery:
        kind = report.kind
        if kind == self._cosim.kDelivered:
            return Delivered(report.t_ns, report.id, report.emitted_ns, self._hops_ns(report))
        if kind == self._cosim.kConnected:
            return Connected(report.t_ns, report.id)
        if kind == self._cosim.kClosed:
            return Closed(report.t_ns, report.id, bool(report.up))
        return Reset(report.t_ns, report.id)

    def _hops_ns(self, report: Any) -> tuple[int, ...]:
        """Times in the order of `cosim.network.ns3.hops_of`, or the reverse of it towards a UE."""
        if not self._cell_ues:
            return report.hop0_ns, report.hop1_ns, report.hop2_ns
        parts_ns = _parts_ns(report.access)
        if report.up:
            return *parts_ns, report.hop1_ns, report.hop2_ns
        return report.hop0_ns, report.hop1_ns, *parts_ns[::-1]

    def _account(self) -> Accounted:
        kpis = self._kpis(cut=True)  # First: the counters have the longest queue of every window.
        connections = [
            ConnectionBytes(c.connection, bool(c.up), c.sent, c.delivered, c.lost, c.discarded)
            for c in self._network.AccountConnections()
        ]
        links = [
            LinkCounters(
                str(c.link), bool(c.up), c.packets, c.n_bytes, c.dropped_queue, c.dropped_loss, c.max_queue_bytes
            )
            for c in self._network.AccountLinks()
        ]
        return Accounted(connections, links, kpis)

    def _kpis(self, *, cut: bool) -> list[Kpi]:
        """Of links and cell, in order of time."""
        kpis = [self._kpi(sample) for sample in self._network.TakeLinkSamples(cut)]
        if self._cell_ues:
            kpis += [self._radio_kpi(sample) for sample in self._network.TakeRadioSamples(cut)]
            kpis.sort(key=attrgetter("t_ns"))
        return kpis

    def _radio_kpi(self, sample: Any) -> Kpi:
        ue = self._cell_ues[sample.ue] if sample.ue >= 0 else None
        values = {field: getattr(sample, field) for field in FIELDS}
        return radio_kpi(sample.t_ns, ue, bool(sample.up), values)

    def _kpi(self, sample: Any) -> Kpi:
        link, up = self._links[int(sample.direction)]
        return link_kpi(sample.t_ns, link, up, sample.n_bytes, sample.max_queue_bytes, sample.dropped_packets)


def prepare() -> None:
    """Load the C++ and have cppyy compile what needs no network; nothing of ns-3 is made."""
    cosim, _ = load()
    native = Native(cosim)
    direction = Direction(0)
    link = Link(direction, direction)
    ue = UeConfig("ue", radio=RadioConfig(trace=(TracePoint(0, 0.0, 0.0),)))
    cell = NrCell(carrier=CarrierConfig(slots=(SlotShape(14, 0),)), bearers=(BearerConfig("any"),), ues=(ue,))
    for access in (link, NrAccess(cell, (Flow("any"),))):
        transport = Transport("cubic", slow_start_after_idle=True, tls=True)
        native.topology(Topology(("ue",), access, link, {"path": link}, 1500, transport, 1, None))


def main() -> int:
    """Serve until told to stop; returns the exit status."""
    process = NetworkProcess()
    try:
        return serve(sys.argv[1:], NetworkRequest, process.handle)
    finally:
        process.close()


if __name__ == "__main__":
    sys.exit(main())
