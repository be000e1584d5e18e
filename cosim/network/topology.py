"""From the scenario's network section to a topology, and what differs between two states of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cosim.bridge.messages import (
    Direction,
    FqCodel,
    GilbertElliott,
    Knob,
    Link,
    Opportunities,
    Topology,
    Transport,
)
from cosim.bridge.nr_messages import BackgroundTraffic, CellKnob, NrAccess, NrCell
from cosim.clock import NS_PER_MS
from cosim.network.knobs import CELL, direction_path, ue_path
from cosim.network.nr_topology import nr_access
from cosim.network.path_traces import delay_ns
from cosim.scenario import link_values
from cosim.scenario.links import LinkDirection, Path
from cosim.scenario.network import LinkAccess, Ns3Network, PipeNetwork


def topology(
    network: Ns3Network | PipeNetwork, ues: Mapping[str, str], *, seed: int, pcap_directory: str | None
) -> Topology:
    """UEs, links or cell, and transport as the network takes them. `ues`: the group of clients of each UE."""
    access = network.access
    return Topology(
        ues=tuple(ues),
        access=_link_access(access) if isinstance(access, LinkAccess) else nr_access(access, ues, seed=seed),
        core=_both_ways(network.core),
        paths={name: _both_ways(path) for name, path in network.paths.items()},
        mtu_bytes=network.ue_mtu,
        transport=Transport(
            congestion_control=network.transport.congestion_control,
            slow_start_after_idle=network.transport.slow_start_after_idle,
            tls=network.transport.tls,
        ),
        seed=seed,
        pcap_directory=pcap_directory,
    )


def changes(before: Topology, after: Topology) -> Iterator[tuple[str, Knob]]:
    """Each value that differs and can change in a run, by its path (see `cosim.network.knobs`)."""
    old, new = _links(before), _links(after)
    for name, link in new.items():
        if link.uplink != old[name].uplink:
            yield direction_path(name, up=True), link.uplink
        if link.downlink != old[name].downlink:
            yield direction_path(name, up=False), link.downlink
    if before.access is after.access:
        return
    if isinstance(before.access, NrAccess) and isinstance(after.access, NrAccess):
        yield from _cell_changes(before.access.cell, after.access.cell)


def _cell_changes(before: NrCell, after: NrCell) -> Iterator[tuple[str, Knob]]:
    pairs: list[tuple[CellKnob, CellKnob]] = [
        (before.grants, after.grants),
        (before.scheduler, after.scheduler),
        (before.link, after.link),
    ]
    yield from ((CELL, new) for old, new in pairs if new != old)
    for was, ue in zip(before.ues, after.ues, strict=True):
        if ue.radio != was.radio:
            yield ue_path(ue.name), ue.radio
        if (ue.ul_traffic, ue.ul) != (was.ul_traffic, was.ul):
            yield ue_path(ue.name), BackgroundTraffic(True, ue.ul_traffic, ue.ul)
        if (ue.dl_traffic, ue.dl) != (was.dl_traffic, was.dl):
            yield ue_path(ue.name), BackgroundTraffic(False, ue.dl_traffic, ue.dl)


def _links(topology: Topology) -> dict[str, Link]:
    links = {"core": topology.core} | {f"paths.{name}": link for name, link in topology.paths.items()}
    return {"access": topology.access} | links if isinstance(topology.access, Link) else links


def _link_access(access: LinkAccess) -> Link:
    return Link(uplink=_direction(access.uplink), downlink=_direction(access.downlink))


def _both_ways(path: Path) -> Link:
    return Link(uplink=_direction(path.direction(up=True)), downlink=_direction(path.direction(up=False)))


def _direction(values: LinkDirection) -> Direction:
    """As at the beginning; `cosim.network.schedule` has what a trace changes then."""
    jitter, loss, rate, discipline = values.jitter, values.loss, values.rate, values.discipline
    gamma = jitter if isinstance(jitter, link_values.GammaJitter) else None
    return Direction(
        delay_ns=delay_ns(values, 0),
        rate_bps=rate if isinstance(rate, int) else None,
        jitter_ns=gamma.mean if gamma else jitter if isinstance(jitter, int) else 0,
        loss=loss if isinstance(loss, float) else 0.0,
        queue_bytes=values.queue,
        jitter_shape=gamma.shape if gamma else 1.0,
        jitter_hold_ns=gamma.hold if gamma else 0,
        burst_loss=_bursts(loss) if isinstance(loss, link_values.GilbertElliott) else None,
        fq_codel=_fq_codel(discipline) if isinstance(discipline, link_values.FqCodel) else None,
        opportunities=_opportunities(rate) if isinstance(rate, link_values.MahimahiRate) else None,
    )


def _bursts(loss: link_values.GilbertElliott) -> GilbertElliott:
    return GilbertElliott(loss.good_to_bad, loss.bad_to_good, loss.loss_good, loss.loss_bad)


def _fq_codel(discipline: link_values.FqCodel) -> FqCodel:
    return FqCodel(discipline.target, discipline.interval, discipline.flows, discipline.quantum, discipline.packets)


def _opportunities(rate: link_values.MahimahiRate) -> Opportunities:
    """The trace's length is its last time, and begins anew with the first (mahimahi, LinkQueue)."""
    assert rate.opportunities is not None
    times_ns = tuple(t_ms * NS_PER_MS for t_ms in rate.opportunities)
    return Opportunities(times_ns, times_ns[-1])
