"""A cell under ns-3's TCP: messages cross it, their times divide without rest, knobs and outages reach it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cosim.bridge.errors import ChildError
from cosim.bridge.messages import Delivered, Topology
from cosim.bridge.nr_messages import (
    BackgroundTraffic,
    BearerConfig,
    CarrierConfig,
    Flow,
    Interruption,
    LinkAdaptationConfig,
    NrAccess,
    NrCell,
    RadioConfig,
    RlcConfig,
    SchedulerConfig,
    SlotShape,
    TimingConfig,
    TrafficConfig,
    UeConfig,
    UplinkGrantConfig,
)
from tests.fidelity.ns3_rig import MS, Rig, S, link, topology

pytestmark = pytest.mark.ns3

DDDSU = (SlotShape(14, 0), SlotShape(14, 0), SlotShape(14, 0), SlotShape(10, 2), SlotShape(0, 14))
TIMING = TimingConfig(ue_stack_ns=300_000, gnb_stack_ns=500_000)


def in_cell(
    ues: Sequence[str] = ("ue",),
    *,
    sinr_db: float = 20.0,
    background: Sequence[UeConfig] = (),
    flows: tuple[Flow, ...] = (),
    bearers: tuple[BearerConfig, ...] = (BearerConfig("data"),),
    path: dict[str, Any] | None = None,
    **parts: Any,
) -> Topology:
    """UEs of equal SINR in a cell of 40 MHz in DDDSU; a WAN of 10 ms."""
    radio = RadioConfig(ul_sinr_db=sinr_db, dl_sinr_db=sinr_db)
    cell = NrCell(
        carrier=CarrierConfig(slots=DDDSU),
        timing=TIMING,
        bearers=bearers,
        ues=(*(UeConfig(name, radio) for name in ues), *background),
        **parts,
    )
    return topology(ues=ues, access=NrAccess(cell, flows), wan=link(10 * MS), **(path or {}))


def radio(sinr_db: float) -> RadioConfig:
    return RadioConfig(ul_sinr_db=sinr_db, dl_sinr_db=sinr_db)


def access_ns(rig: Rig, delivered: Delivered, *, up: bool = True) -> dict[str, int]:
    hops = rig.net.hops if up else rig.net.hops[::-1]
    return dict(zip(hops, delivered.hops_ns, strict=True))


def rows(rig: Rig, metric: str, **labels: str) -> list[tuple[int, float]]:
    return [(t_ns, value) for t_ns, _, name, found, value in rig.gauges if name == metric and found == labels]


def test_a_message_crosses_the_cell_each_way_and_its_times_add_up(tmp_path: Path) -> None:
    with Rig(in_cell(), tmp_path) as rig:
        connection = rig.open()
        up = rig.transfer(connection, 150_000)
        down = rig.transfer(connection, 20_000, up=False)
        for delivered, way in ((up, True), (down, False)):
            assert delivered.t_ns == delivered.emitted_ns + sum(delivered.hops_ns)
            assert min(delivered.hops_ns) >= 0
            parts = access_ns(rig, delivered, up=way)
            assert parts["wan"] == 10 * MS
            assert parts["core"] == 0
            assert parts["access_air"] > 0
            decode_ns = TIMING.gnb_decode_ns if way else TIMING.ue_decode_ns
            assert parts["access_processing"] >= TIMING.ue_stack_ns + TIMING.gnb_stack_ns + decode_ns
        assert rig.net.hops[:2] == ("access_sr_wait", "access_grant_wait")
        assert access_ns(rig, down, up=False)["access_sr_wait"] == 0
        # The last packet of 150 kB has waited in RLC behind the others of its window.
        assert access_ns(rig, up)["access_queue"] > 2 * MS
        rig.check_account()


def test_no_message_beats_the_least_delay(tmp_path: Path) -> None:
    with Rig(in_cell(), tmp_path) as rig:
        connection = rig.open()
        rig.transfer(connection, 100)
        for up in (True, False):
            for number in range(20):
                at_ns = rig.now_ns + 37 * MS + number * 91_000
                delivered = rig.transfer(connection, 100, up=up, at_ns=at_ns)
                assert delivered.t_ns - at_ns >= rig.net.minimum_delay_ns("cloud", up=up) > 10 * MS


def test_messages_of_a_connection_arrive_in_order(tmp_path: Path) -> None:
    with Rig(in_cell(sinr_db=6.0), tmp_path) as rig:
        connection = rig.open()
        sent = [rig.send(connection, 4_000 + 997 * number, at_ns=number * 3 * MS) for number in range(60)]
        rig.delivered(sent[-1])
        arrived = [entry.message for entry in rig.seen if isinstance(entry, Delivered)]
        assert arrived == sent
        rig.check_account()


def test_a_worse_radio_is_slower(tmp_path: Path) -> None:
    times_ns = []
    for sinr_db in (25.0, 5.0):
        directory = tmp_path / str(sinr_db)
        directory.mkdir()
        with Rig(in_cell(sinr_db=sinr_db), directory) as rig:
            connection = rig.open()
            start_ns = rig.transfer(connection, 500_000).t_ns
            times_ns.append(rig.transfer(connection, 1_000_000).t_ns - start_ns)
    assert times_ns[1] > 2 * times_ns[0]


def test_nothing_gets_through_far_below_the_lowest_mcs_and_tcp_gives_up(tmp_path: Path) -> None:
    with Rig(in_cell(sinr_db=-10.0), tmp_path) as rig:
        connection = rig.open()
        rig.send(connection, 1_000)
        assert rig.settle(20 * S) == []
        rig.net.close(connection, rig.now_ns, up=True, wakes=True)
        rig.settle(300 * S)
        assert rig.ended(connection) is not None
        rig.check_account()
        account = rig.net.account()
        up = next(entry for entry in account.links if (entry.link, entry.up) == ("access/ue", True))
        assert up.packets == 0
        assert up.n_bytes == 0


def test_the_radio_can_change_under_a_connection(tmp_path: Path) -> None:
    with Rig(in_cell(), tmp_path) as rig:
        connection = rig.open()
        rig.transfer(connection, 1_000)
        gap_ns, back_ns = rig.now_ns + 1 * S, rig.now_ns + 3 * S
        rig.net.set("network.access.ues.ue", radio(-10.0), gap_ns)
        rig.net.set("network.access.ues.ue", radio(20.0), back_ns)
        held = rig.transfer(connection, 1_000, at_ns=gap_ns + 100 * MS)
        assert held.t_ns > back_ns
        start_ns = rig.now_ns + 5 * S
        assert rig.transfer(connection, 1_000, at_ns=start_ns).t_ns < start_ns + 60 * MS
        rig.check_account()


def test_packets_wait_for_the_end_of_an_interruption(tmp_path: Path) -> None:
    with Rig(in_cell(("near", "far")), tmp_path) as rig:
        near, far = rig.open("near"), rig.open("far")
        rig.transfer(near, 1_000)
        rig.transfer(far, 1_000)
        start_ns = rig.now_ns + 1 * S
        rig.net.set("network.access.ues.near", Interruption(start_ns + 100 * MS), start_ns)
        held, free = (rig.send(connection, 500, at_ns=start_ns + 10 * MS) for connection in (near, far))
        assert rig.delivered(free).t_ns < start_ns + 60 * MS
        delivered = rig.delivered(held)
        assert start_ns + 100 * MS < delivered.t_ns - delivered.hops_ns[-1] < start_ns + 140 * MS


def test_every_knob_of_the_cell_is_taken(tmp_path: Path) -> None:
    load = UeConfig("load", background=True)
    with Rig(in_cell(background=(load,)), tmp_path) as rig:
        connection = rig.open()
        rig.transfer(connection, 20_000)
        at_ns = rig.now_ns + 10 * MS
        rig.net.set("network.access", SchedulerConfig(ofdma=False), at_ns)
        rig.net.set("network.access", LinkAdaptationConfig(olla=False), at_ns)
        rig.net.set("network.access", UplinkGrantConfig(sr_period_slots=40), at_ns)
        rig.net.set("network.access.ues.load", BackgroundTraffic(False, True, TrafficConfig()), at_ns)
        rig.transfer(connection, 20_000, at_ns=at_ns + 1 * S)
        rig.check_account()
    assert rows(rig, "radio_delivered_bytes", ue="load", direction="down")


@pytest.mark.parametrize(
    ("path", "value", "text"),
    [
        ("network.access.ues.moon", radio(3.0), "no UE of the cell is named moon"),
        ("network.access.moon", radio(3.0), r"network\.access\.moon is no UE of a cell"),
    ],
)
def test_a_knob_of_nothing_is_refused(tmp_path: Path, path: str, value: RadioConfig, text: str) -> None:
    with Rig(in_cell(), tmp_path) as rig:
        rig.net.set(path, value, at_ns=0)
        with pytest.raises(ChildError, match=text):
            rig.net.settle(1)


def test_links_have_no_radio(tmp_path: Path) -> None:
    with Rig(topology(), tmp_path) as rig:
        rig.net.set("network.access.ues.ue", radio(3.0), at_ns=0)
        with pytest.raises(ChildError, match="the access network is no cell"):
            rig.net.settle(1)


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (in_cell(bearers=()), "bearer"),
        (in_cell(flows=(Flow("voice"),)), "no bearer is named voice"),
        (in_cell(flows=(Flow("data", "moon"),)), "no path is named moon"),
        (in_cell(background=(UeConfig("ue", background=True),)), "two UEs are named ue"),
        (in_cell(background=(UeConfig("load"),)), "first come those of the topology"),
        (msgspec.structs.replace(in_cell(), ues=("other",)), "first come those of the topology"),
        (msgspec.structs.replace(in_cell(), ues=("ue", "other")), "fewer UEs"),
    ],
)
def test_a_cell_that_cannot_be_is_refused(tmp_path: Path, made: Topology, text: str) -> None:
    with pytest.raises(ChildError, match=text), Rig(made, tmp_path):
        pass


def exchange(directory: Path, seed: int) -> tuple[list[Any], list[Any]]:
    """Two UEs at a noisy edge, uploads and answers; all deliveries and all KPIs."""
    directory.mkdir()
    with Rig(in_cell(("a", "b"), sinr_db=7.0, seed=seed), directory) as rig:
        connections = [rig.open("a"), rig.open("b")]
        for number in range(12):
            for connection in connections:
                rig.send(connection, 30_000, at_ns=number * 70 * MS)
                rig.send(connection, 900, up=False, at_ns=number * 70 * MS + 50 * MS)
        rig.settle(3 * S)
        account = rig.net.account()
        return [*rig.seen, account.connections, account.links], rig.gauges


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    first = exchange(tmp_path / "first", 3)
    assert exchange(tmp_path / "second", 3) == first
    assert exchange(tmp_path / "third", 4) != first


def test_small_packets_can_take_a_bearer_of_their_own(tmp_path: Path) -> None:
    """A chunk to a UE whose own download fills the bearer: behind it, or past it on another."""
    waits = []
    bearers = (BearerConfig("stream", priority=1), BearerConfig("bulk", priority=9, lcg=1))
    for flows in ((), (Flow("stream", max_bytes=400),)):
        directory = tmp_path / str(len(flows))
        directory.mkdir()
        with Rig(in_cell(sinr_db=5.0, bearers=bearers, flows=flows), directory) as rig:
            bulk, stream = rig.open(), rig.open()
            rig.transfer(bulk, 100)
            rig.transfer(stream, 100)
            rig.transfer(bulk, 2_000_000)  # opens the window
            start_ns = rig.now_ns
            rig.send(bulk, 1_000_000, at_ns=start_ns)
            chunk = rig.transfer(stream, 200, at_ns=start_ns + 60 * MS)
            waits.append(chunk.t_ns - start_ns - 60 * MS)
    assert waits[1] < waits[0] / 2


def test_what_finds_no_room_is_dropped_and_counted(tmp_path: Path) -> None:
    with Rig(in_cell(sinr_db=0.0, rlc=RlcConfig(buffer_bytes=30_000)), tmp_path) as rig:
        connection = rig.open()
        rig.transfer(connection, 600_000)
        rig.check_account()
        links = {(entry.link, entry.up): entry for entry in rig.net.account().links}
    up, core = links["access/ue", True], links["core", True]
    assert up.dropped_queue > 0
    assert up.packets == core.packets
    assert up.n_bytes == core.n_bytes
    assert 20_000 < up.max_queue_bytes <= 30_000
    dropped = sum(value for _, value in rows(rig, "radio_dropped_packets", ue="ue", direction="up"))
    assert dropped == up.dropped_queue + up.dropped_loss


def test_kpis_cover_the_time_and_add_up_to_the_account(tmp_path: Path) -> None:
    with Rig(in_cell(("a", "b")), tmp_path) as rig:
        for name in ("a", "b"):
            rig.transfer(rig.open(name), 400_000)
        rig.settle(rig.now_ns + 333 * MS)
        links = {(entry.link, entry.up): entry for entry in rig.net.account().links}
    for name in ("a", "b"):
        for direction, up in (("up", True), ("down", False)):
            delivered = rows(rig, "radio_delivered_bytes", ue=name, direction=direction)
            assert sum(value for _, value in delivered) == links[f"access/{name}", up].n_bytes > 0
            assert all(t_ns % (100 * MS) == 0 for t_ns, _ in delivered)
    cell = rows(rig, "radio_prb_share", cell="1", direction="up")
    assert cell
    assert all(0 < value <= 1 for _, value in cell)
    sinrs = rows(rig, "radio_sinr_db", ue="a", direction="up")
    assert sinrs
    assert all(15 < value < 25 for _, value in sinrs)
    assert [row[0] for row in rig.gauges] == sorted(row[0] for row in rig.gauges)


def test_captures_show_the_packets_of_the_cell(tmp_path: Path) -> None:
    directory = tmp_path / "pcap"
    made = msgspec.structs.replace(in_cell(), pcap_directory=str(directory))
    with Rig(made, tmp_path) as rig:
        rig.transfer(rig.open(), 5_000)
        rig.settle(1 * S)
        links = {(entry.link, entry.up): entry for entry in rig.net.account().links}
    data = (directory / "ue-ue.pcap").read_bytes()
    headers_bytes = 24 + 16 * (links["access/ue", True].packets + links["access/ue", False].packets)
    n_bytes = links["access/ue", True].n_bytes + links["access/ue", False].n_bytes
    assert len(data) == headers_bytes + n_bytes
