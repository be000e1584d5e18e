"""From the scenario's network section to a topology, and what differs between two states of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cosim.bridge.messages import Direction, Link, Topology, Transport
from cosim.scenario.network import LinkAccess, LinkDirection, Ns3Network, Path, PipeNetwork


def topology(
    network: Ns3Network | PipeNetwork, ues: Sequence[str], *, seed: int, pcap_directory: str | None
) -> Topology:
    """UEs, links and transport as the network takes them."""
    return Topology(
        ues=tuple(ues),
        access=_access(network),
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


def changes(before: Ns3Network | PipeNetwork, after: Ns3Network | PipeNetwork) -> Iterator[tuple[str, bool, Direction]]:
    """Each direction whose values differ: link (`access`, `core`, `paths.NAME`), whether it is the uplink, values."""
    old, new = _links(before), _links(after)
    for name, link in new.items():
        if link.uplink != old[name].uplink:
            yield name, True, link.uplink
        if link.downlink != old[name].downlink:
            yield name, False, link.downlink


def _links(network: Ns3Network | PipeNetwork) -> dict[str, Link]:
    paths = {f"paths.{name}": _both_ways(path) for name, path in network.paths.items()}
    return {"access": _access(network), "core": _both_ways(network.core), **paths}


def _access(network: Ns3Network | PipeNetwork) -> Link:
    assert isinstance(network.access, LinkAccess)
    return Link(uplink=_direction(network.access.uplink), downlink=_direction(network.access.downlink))


def _both_ways(path: Path) -> Link:
    return Link(uplink=_direction(path.direction(up=True)), downlink=_direction(path.direction(up=False)))


def _direction(values: LinkDirection) -> Direction:
    return Direction(
        delay_ns=values.delay,
        rate_bps=values.rate,
        jitter_ns=values.jitter,
        loss=values.loss,
        queue_bytes=values.queue,
    )
