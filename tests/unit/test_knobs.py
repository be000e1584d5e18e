"""Paths of knobs: what they name, and that a network without a cell takes none of its."""

from __future__ import annotations

import msgspec
import pytest

from cosim.bridge.messages import Direction, Link, Topology, Transport
from cosim.bridge.nr_messages import (
    CarrierConfig,
    Interruption,
    NrAccess,
    NrCell,
    RadioConfig,
    SchedulerConfig,
    TimingConfig,
)
from cosim.network.knobs import CELL, direction_at, direction_path, ue_at, ue_path
from cosim.network.ns3 import hops_of
from cosim.network.pipe import PipeNetwork

LINK = Link(Direction(1), Direction(1))
TOPOLOGY = Topology(("u",), LINK, LINK, {"edge": LINK}, 1400, Transport("cubic", True, True), 1, None)


@pytest.mark.parametrize("link", ["access", "core", "paths.cloud"])
@pytest.mark.parametrize("up", [True, False])
def test_a_path_names_a_direction(link: str, up: bool) -> None:
    assert direction_at(direction_path(link, up=up)) == (link, up)


def test_paths_are_written_as_in_a_scenario() -> None:
    assert direction_path("paths.cloud", up=False) == "network.paths.cloud.downlink"
    assert ue_path("cam-0") == "network.access.ues.cam-0"
    assert ue_at("network.access.ues.cam-0") == "cam-0"


@pytest.mark.parametrize("path", ["network.core", "network.uplink", "core.uplink", "network.paths.cloud.delay", ""])
def test_what_names_no_direction_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="is no direction of a link"):
        direction_at(path)


@pytest.mark.parametrize("path", [CELL, "network.access.ues.", "access.ues.cam"])
def test_what_names_no_ue_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match="is no UE of a cell"):
        ue_at(path)


@pytest.mark.parametrize("value", [RadioConfig(), Interruption(5), SchedulerConfig()])
def test_a_pipe_refuses_knobs_of_a_cell(value: RadioConfig | Interruption | SchedulerConfig) -> None:
    with pytest.raises(TypeError, match="take a network of kind ns3"):
        PipeNetwork(TOPOLOGY).set(ue_path("u"), value, at_ns=0)


def test_a_pipe_has_no_cell() -> None:
    with pytest.raises(TypeError, match="a pipe has no cell"):
        PipeNetwork(msgspec.structs.replace(TOPOLOGY, access=NrAccess(NrCell())))


def test_a_way_over_a_cell_has_its_parts() -> None:
    assert hops_of(TOPOLOGY) == ("access", "core", "wan")
    assert hops_of(msgspec.structs.replace(TOPOLOGY, access=NrAccess(NrCell()))) == (
        "access_sr_wait",
        "access_grant_wait",
        "access_queue",
        "access_air",
        "access_harq",
        "access_rlc_recovery",
        "access_pdcp_reorder",
        "access_processing",
        "core",
        "wan",
    )


@pytest.mark.parametrize(("numerology", "symbol_ns"), [(0, 71_428), (1, 35_714), (2, 17_857)])
def test_the_least_delay_is_the_stacks_a_symbol_and_its_decoding(numerology: int, symbol_ns: int) -> None:
    timing = TimingConfig(gnb_decode_ns=7, ue_decode_ns=50, ue_stack_ns=300, gnb_stack_ns=1000)
    access = NrAccess(NrCell(carrier=CarrierConfig(numerology=numerology), timing=timing))
    assert access.minimum_delay_ns(up=True) == 1307 + symbol_ns
    assert access.minimum_delay_ns(up=False) == 1350 + symbol_ns
