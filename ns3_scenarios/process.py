# SPDX-License-Identifier: GPL-2.0-only
"""The ns-3 process: `python -m ns3_scenarios.process ADDRESS PARENT_PID`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
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
    Topology,
)
from cosim.bridge.peer import serve
from cosim.clock import monotonic_ns
from cosim.network.link_use import link_kpi, window_end_ns
from ns3_scenarios.library import load


class NetworkProcess:
    """Carries out the requests: configures once, then advances and accounts."""

    def __init__(self) -> None:
        self._cosim: Any = None
        self._network: Any = None
        self._links: list[tuple[str, bool]] = []
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
        self._network = self._cosim.Network(self._topology(request.topology))
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

    def _topology(self, topology: Topology) -> Any:
        native = self._cosim.Topology()
        for ue in topology.ues:
            native.ues.push_back(ue)
        native.access = self._link(topology.access)
        native.core = self._link(topology.core)
        for name, link in topology.paths.items():
            path = self._cosim.Path()
            path.name = name
            path.wan = self._link(link)
            native.paths.push_back(path)
        native.mtu_bytes = topology.mtu_bytes
        native.congestion_control = topology.transport.congestion_control
        native.slow_start_after_idle = topology.transport.slow_start_after_idle
        native.tls = topology.transport.tls
        native.seed = topology.seed % 2**64
        if topology.pcap_directory is not None:
            Path(topology.pcap_directory).mkdir(parents=True, exist_ok=True)
            native.pcap_directory = topology.pcap_directory
        return native

    def _link(self, link: Link) -> Any:
        native = self._cosim.Link()
        native.uplink = self._direction(link.uplink)
        native.downlink = self._direction(link.downlink)
        return native

    def _direction(self, value: Direction) -> Any:
        if value.rate_bps is not None and value.rate_bps < 1:
            raise ValueError(f"a rate of {value.rate_bps} bit/s cannot carry a packet")
        native = self._cosim.Direction()
        native.delay_ns = value.delay_ns
        native.rate_bps = value.rate_bps or 0
        native.jitter_ns = value.jitter_ns
        native.loss = value.loss
        native.queue_bytes = -1 if value.queue_bytes is None else value.queue_bytes
        return native

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
            network.Set(command.at_ns, command.link, command.up, self._direction(command.value))

    def _delivery(self, report: Any) -> Delivery:
        kind = report.kind
        if kind == self._cosim.kDelivered:
            hops_ns = (report.hop0_ns, report.hop1_ns, report.hop2_ns)
            return Delivered(report.t_ns, report.id, report.emitted_ns, hops_ns)
        if kind == self._cosim.kConnected:
            return Connected(report.t_ns, report.id)
        if kind == self._cosim.kClosed:
            return Closed(report.t_ns, report.id, bool(report.up))
        return Reset(report.t_ns, report.id)

    def _account(self) -> Accounted:
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
        return Accounted(connections, links, self._kpis(cut=True))

    def _kpis(self, *, cut: bool) -> list[Kpi]:
        return [self._kpi(sample) for sample in self._network.TakeLinkSamples(cut)]

    def _kpi(self, sample: Any) -> Kpi:
        link, up = self._links[int(sample.direction)]
        return link_kpi(sample.t_ns, link, up, sample.n_bytes, sample.max_queue_bytes, sample.dropped_packets)


def main() -> int:
    """Serve until told to stop; returns the exit status."""
    process = NetworkProcess()
    try:
        return serve(sys.argv[1:], NetworkRequest, process.handle)
    finally:
        process.close()


if __name__ == "__main__":
    sys.exit(main())
