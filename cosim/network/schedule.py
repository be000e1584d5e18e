"""Every value of the network that changes in a run, at its time: from the timeline, outages and interruptions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from cosim.bridge.messages import Link, Topology
from cosim.bridge.nr_messages import Interruption, NrAccess, RadioConfig
from cosim.clock import NS_PER_S
from cosim.network.base import KnobChange
from cosim.network.knobs import ue_path
from cosim.network.topology import changes
from cosim.scenario.network import LinkAccess, Network, Path


@dataclass(frozen=True, slots=True)
class State:
    """The network section as it is from a time on."""

    at_ns: int
    network: Network


def knob_changes(
    states: Sequence[State], groups: Mapping[str, str], shape: Callable[[Network], Topology]
) -> Iterator[KnobChange]:
    """In order of time. `states`: the first is the run's beginning; `groups`: the group of clients of each UE."""
    interruptions = list(_interruptions(states[0].network, groups))
    times_ns = {state.at_ns for state in states[1:]} | {at_ns for at_ns, _, _ in interruptions}
    times_ns |= {t_ns for path in _paths(states[0].network).values() for span in _outages(path) for t_ns in span}
    before, places = shape(states[0].network), _Places()  # What changes at the beginning is a change too.
    for t_ns in sorted(times_ns):
        after = _at(t_ns, states, shape)
        for path, value in changes(before, after):
            yield t_ns, path, places.moved(t_ns, path, value, before) if isinstance(value, RadioConfig) else value
        before = after
        yield from (change for change in interruptions if change[0] == t_ns)


class _Places:
    """Where UEs are, so that a changed value of its radio finds a moving UE where it is by then."""

    def __init__(self) -> None:
        self._since: dict[str, tuple[int, float, float]] = {}  # UE -> time, x, y of its latest radio values

    def moved(self, at_ns: int, path: str, new: RadioConfig, before: Topology) -> RadioConfig:
        """The values with the place at their time; a coordinate that changes is that place."""
        assert isinstance(before.access, NrAccess)
        old = next(ue.radio for ue in before.access.cell.ues if ue_path(ue.name) == path)
        since_ns, x_m, y_m = self._since.get(path, (0, old.x_m, old.y_m))
        passed_s = (at_ns - since_ns) / NS_PER_S
        x_m = new.x_m if new.x_m != old.x_m else x_m + old.vx_mps * passed_s
        y_m = new.y_m if new.y_m != old.y_m else y_m + old.vy_mps * passed_s
        self._since[path] = at_ns, x_m, y_m
        return msgspec.structs.replace(new, x_m=x_m, y_m=y_m)


def _at(t_ns: int, states: Sequence[State], shape: Callable[[Network], Topology]) -> Topology:
    """The topology at a time; a path in an outage loses every packet."""
    network = [state for state in states if state.at_ns <= t_ns][-1].network
    topology, paths = shape(network), _paths(network)
    down = {name for name, path in paths.items() if any(start <= t_ns < end for start, end in _outages(path))}
    links = {name: _lossy(link) if name in down else link for name, link in topology.paths.items()}
    core = _lossy(topology.core) if "" in down else topology.core
    return msgspec.structs.replace(topology, paths=links, core=core)


def _paths(network: Network) -> dict[str, Path]:
    """Paths by name; the core's is empty."""
    return {"": network.core, **network.paths}


def _outages(path: Path) -> list[tuple[int, int]]:
    return [(outage.at, outage.at + outage.duration) for outage in path.outages]


def _lossy(link: Link) -> Link:
    return Link(msgspec.structs.replace(link.uplink, loss=1.0), msgspec.structs.replace(link.downlink, loss=1.0))


def _interruptions(network: Network, groups: Mapping[str, str]) -> Iterator[KnobChange]:
    if isinstance(network.access, LinkAccess):
        return
    for ue, group in groups.items():
        for gap in network.access.group_of(group).interruptions:
            yield gap.at, ue_path(ue), Interruption(gap.at + gap.duration)
