"""What changes in the network and when: the timeline, outages of paths, gaps of UEs, UEs that move."""

from __future__ import annotations

from itertools import islice
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


def first(n: int, *states: tuple[int, Ns3Network]) -> list[tuple[float, str, float, float]]:
    """The first n changes of delays: seconds, the link's direction, delay in ms, loss."""
    found = knob_changes([State(at_ns, written) for at_ns, written in states], GROUPS, shape)
    return [
        (t_ns / S, path.removeprefix("network."), value.delay_ns / MS, value.loss)
        for t_ns, path, value in islice(found, n)
        if isinstance(value, Direction)
    ]


UP, DOWN = "paths.edge.uplink", "paths.edge.downlink"


def traced(samples: str) -> dict[str, str]:
    return {"kind": "trace", "samples": samples}


def test_a_delay_follows_half_of_its_trace_and_begins_again() -> None:
    """The last sample holds as long as the one before it: the trace lasts 4 s."""
    written = network(paths={"edge": {"delay_up": traced("0 60, 1 80, 2.5 70"), "delay_down": "1ms"}})
    assert shape(written).paths["edge"].uplink == Direction(30 * MS)
    assert first(6, (0, written)) == [
        (1.0, UP, 40, 0),
        (2.5, UP, 35, 0),
        (4.0, UP, 30, 0),
        (5.0, UP, 40, 0),
        (6.5, UP, 35, 0),
        (8.0, UP, 30, 0),
    ]


def test_a_jitter_that_is_a_trace_adds_half_of_what_exceeds_its_least() -> None:
    edge = {"delay": "5ms", "jitter_up": traced("0 64, 2 60, 3 70")}
    assert shape(network(paths={"edge": edge})).paths["edge"].uplink == Direction(7 * MS)
    assert first(3, (0, network(paths={"edge": edge}))) == [(2.0, UP, 5, 0), (3.0, UP, 10, 0), (4.0, UP, 7, 0)]
    both = {"delay_up": traced("0 20, 1 40"), "jitter_up": traced("0 64, 1.5 60")}
    assert first(4, (0, network(paths={"edge": both}))) == [
        (1.0, UP, 22, 0),
        (1.5, UP, 20, 0),
        (2.0, UP, 10, 0),
        (3.0, UP, 22, 0),
    ]


def test_a_trace_goes_on_through_an_outage_and_ends_with_a_new_value() -> None:
    outages = [{"at": "1.5s", "duration": "1s"}]
    before = network(paths={"edge": {"delay": traced("0 60, 1 80, 2 70"), "outages": outages}})
    after = network(paths={"edge": {"delay": "1ms", "outages": outages}})
    both = [
        (1.0, 40, 0),
        (1.5, 40, 1),
        (2.0, 35, 1),
        (2.5, 35, 0),
        (3.0, 30, 0),
        (3.5, 1, 0),
    ]
    found = first(12, (0, before), (3500 * MS, after))
    assert found == [(t_s, path, delay, loss) for t_s, delay, loss in both for path in (UP, DOWN)]


def test_a_single_sample_is_a_constant() -> None:
    assert first(1, (0, network(core={"delay": traced("0 60")}))) == []
    assert shape(network(core={"delay": traced("0 60")})).core.downlink == Direction(30 * MS)


def test_traces_of_any_link_are_changes_of_that_link() -> None:
    access = {"kind": "link", "downlink": {"delay": traced("0 60, 1 80")}}
    written = network(access=access, core={"delay_up": traced("0 2, 1 4")})
    assert first(4, (0, written)) == [
        (1.0, "access.downlink", 40, 0),
        (1.0, "core.uplink", 2, 0),
        (2.0, "access.downlink", 30, 0),
        (2.0, "core.uplink", 1, 0),
    ]


def test_bursts_go_on_in_an_outage() -> None:
    loss = {"kind": "gilbert-elliott", "good_to_bad": "1%", "bad_to_good": "30%"}
    written = network(paths={"edge": {"loss": loss, "outages": [{"at": "1s", "duration": "1s"}]}})
    changes_ = schedule((0, written))
    assert [(t_ns // S, value.loss, value.burst_loss is None) for t_ns, _, value in changes_] == [
        (1, 1.0, False),
        (1, 1.0, False),
        (2, 0.0, False),
        (2, 0.0, False),
    ]
