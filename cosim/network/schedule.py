"""Every value of the network that changes in a run, at its time: timeline, traces, outages and interruptions."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from cosim.bridge.messages import Link, Topology
from cosim.bridge.nr_messages import Interruption, NrAccess, RadioConfig
from cosim.clock import NS_PER_S
from cosim.network.base import KnobChange
from cosim.network.knobs import ue_path
from cosim.network.path_traces import change_times_ns, delay_ns, traces
from cosim.network.topology import changes
from cosim.scenario.links import LinkDirection, Path
from cosim.scenario.network import LinkAccess, Network

_ACCESS = "access link"  # beside the names of paths, none of which has a space


@dataclass(frozen=True, slots=True)
class State:
    """The network section as it is from a time on."""

    at_ns: int
    network: Network


def knob_changes(
    states: Sequence[State], groups: Mapping[str, str], shape: Callable[[Network], Topology]
) -> Iterator[KnobChange]:
    """In order of time; without end where a link follows a trace.

    `states`: the first is the run's beginning; `groups`: the group of clients of each UE.
    """
    first = states[0].network
    interruptions = defaultdict(list)
    for change in _interruptions(first, groups):
        interruptions[change[0]].append(change)
    times_ns = {state.at_ns for state in states[1:]} | interruptions.keys()
    times_ns |= {t_ns for path in _paths(first).values() for span in _outages(path) for t_ns in span}
    shaped = [_Shaped(state.at_ns, state.network, shape(state.network)) for state in states]
    moving = (change_times_ns(values) for one in shaped for values in one.traced.values())
    before, places = shaped[0].topology, _Places()  # What changes at the beginning is a change too.
    for t_ns in _once(heapq.merge(sorted(times_ns), *moving)):
        after = [one for one in shaped if one.at_ns <= t_ns][-1].at(t_ns)
        for path, value in changes(before, after):
            yield t_ns, path, places.moved(t_ns, path, value, before) if isinstance(value, RadioConfig) else value
        before = after
        yield from interruptions.get(t_ns, ())


def _once(times_ns: Iterable[int]) -> Iterator[int]:
    """Rising times without those that are there twice."""
    last_ns = -1
    for t_ns in times_ns:
        if t_ns != last_ns:
            yield t_ns
        last_ns = t_ns


class _Shaped:
    """A state of the network, its topology, and the directions of it that follow traces, by link and `up`."""

    def __init__(self, at_ns: int, network: Network, topology: Topology) -> None:
        self.at_ns = at_ns
        self.topology = topology
        self._paths = _paths(network)
        directions = {(name, up): path.direction(up=up) for name, path in self._paths.items() for up in (True, False)}
        if isinstance(network.access, LinkAccess):
            directions |= {(_ACCESS, True): network.access.uplink, (_ACCESS, False): network.access.downlink}
        self.traced: dict[tuple[str, bool], LinkDirection] = {
            key: values for key, values in directions.items() if traces(values)
        }

    def at(self, t_ns: int) -> Topology:
        """The topology at a time: delays of traces; a path in an outage loses every packet."""
        shaped = self.topology
        paths = {name: self._link(name, link, t_ns) for name, link in shaped.paths.items()}
        access = shaped.access
        if isinstance(access, Link):
            access = self._link(_ACCESS, access, t_ns)
        return msgspec.structs.replace(shaped, access=access, core=self._link("", shaped.core, t_ns), paths=paths)

    def _link(self, name: str, link: Link, t_ns: int) -> Link:
        if (name, True) in self.traced:
            uplink = msgspec.structs.replace(link.uplink, delay_ns=delay_ns(self.traced[name, True], t_ns))
            link = msgspec.structs.replace(link, uplink=uplink)
        if (name, False) in self.traced:
            downlink = msgspec.structs.replace(link.downlink, delay_ns=delay_ns(self.traced[name, False], t_ns))
            link = msgspec.structs.replace(link, downlink=downlink)
        outages = _outages(self._paths[name]) if name in self._paths else []
        return _lossy(link) if any(start <= t_ns < end for start, end in outages) else link


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
