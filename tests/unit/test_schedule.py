"""What changes in the network and when: the timeline, outages of paths, gaps of UEs, UEs that move."""

from __future__ import annotations

from typing import Any

import pytest

from cosim.bridge.messages import Direction, Topology
from cosim.bridge.nr_messages import Interruption, RadioConfig
from cosim.network.schedule import State, knob_changes
from cosim.network.topology import topology
from cosim.scenario.network import Ns3Network

MS = 1_000_000
S = 1_000 * MS
GROUPS = {"cam-0": "cam", "cam-1": "cam", "user": "user"}


def network(**sections: Any) -> Ns3Network:
    return Ns3Network.model_validate({"kind": "ns3", "paths": {"edge": {"delay": "1ms"}}, **sections})


def shape(written: Any) -> Topology:
    return topology(written, GROUPS, seed=1, pcap_directory=None)


def schedule(*states: tuple[int, Ns3Network]) -> list[tuple[int, str, Any]]:
    return list(knob_changes([State(at_ns, written) for at_ns, written in states], GROUPS, shape))


def test_a_path_in_an_outage_loses_everything_and_then_is_what_it_is_by_then() -> None:
    outages = [{"at": "2s", "duration": "1s"}]
    before = network(paths={"edge": {"delay": "1ms", "outages": outages}})
    after = network(paths={"edge": {"delay": "5ms", "outages": outages}})
    edge = "network.paths.edge"
    both = [f"{edge}.uplink", f"{edge}.downlink"]
    assert schedule((0, before), (2500 * MS, after)) == [
        *((2 * S, path, Direction(1 * MS, loss=1.0)) for path in both),
        *((2500 * MS, path, Direction(5 * MS, loss=1.0)) for path in both),
        *((3 * S, path, Direction(5 * MS)) for path in both),
    ]


def test_the_core_has_outages_too() -> None:
    found = schedule((0, network(core={"outages": [{"at": "1s", "duration": "1s"}]})))
    assert [(t_ns // S, path, value.loss) for t_ns, path, value in found] == [
        (1, "network.core.uplink", 1.0),
        (1, "network.core.downlink", 1.0),
        (2, "network.core.uplink", 0.0),
        (2, "network.core.downlink", 0.0),
    ]


def test_a_gap_is_one_of_each_ue_of_its_group() -> None:
    ues = {"cam": {"interruptions": [{"at": "3s", "duration": "150ms"}, {"at": "5s", "duration": "1s"}]}}
    assert schedule((0, network(access={"kind": "nr", "ues": ues}))) == [
        (3 * S, "network.access.ues.cam-0", Interruption(3150 * MS)),
        (3 * S, "network.access.ues.cam-1", Interruption(3150 * MS)),
        (5 * S, "network.access.ues.cam-0", Interruption(6 * S)),
        (5 * S, "network.access.ues.cam-1", Interruption(6 * S)),
    ]


def test_a_moving_ue_is_where_it_is_when_a_knob_turns() -> None:
    def walking(vx: str, vy: str = "0m/s", x: str = "50m") -> Ns3Network:
        geometry = {"position": {"x": x, "y": "2m"}, "velocity": {"x": vx, "y": vy}}
        return network(access={"kind": "nr", "ues": {"user": {"geometry": geometry}}})

    states = [
        (0, walking("1.5m/s")),
        (10 * S, walking("-1m/s", "0.5m/s")),
        (14 * S, walking("0m/s")),
        (15 * S, walking("0m/s", x="300m")),
    ]
    found = schedule(*states)
    places = [(value.x_m, value.y_m, value.vx_mps, value.vy_mps) for _, _, value in found]
    assert {path for _, path, _ in found} == {"network.access.ues.user"}
    assert all(isinstance(value, RadioConfig) for _, _, value in found)
    assert places == [
        pytest.approx((65, 2, -1, 0.5)),
        pytest.approx((61, 4, 0, 0)),
        pytest.approx((300, 4, 0, 0)),
    ]
