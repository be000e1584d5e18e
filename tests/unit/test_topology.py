"""From the scenario's network to links with a direction each, and what differs between two states."""

from __future__ import annotations

from typing import Any

import msgspec
from pydantic import TypeAdapter

from cosim.bridge.messages import Direction, Link, Topology, Transport
from cosim.bridge.nr_messages import (
    BackgroundTraffic,
    LinkAdaptationConfig,
    NrAccess,
    NrCell,
    RadioConfig,
    SchedulerConfig,
    TrafficConfig,
    UeConfig,
    UplinkGrantConfig,
)
from cosim.network.topology import changes, topology
from cosim.scenario.network import Network, Ns3Network, PipeNetwork

MS = 1_000_000


def network(**sections: Any) -> Ns3Network | PipeNetwork:
    parsed: Ns3Network | PipeNetwork = TypeAdapter(Network).validate_python({"kind": "pipe", **sections})
    return parsed


def test_every_value_reaches_its_direction() -> None:
    written = network(
        ue_mtu=1300,
        access={
            "kind": "link",
            "uplink": {"rate": "60Mbit/s", "delay": "8ms", "jitter": "1ms", "loss": "2%", "queue": "100kB"},
            "downlink": {"delay": "4ms"},
        },
        core={"delay": "1ms", "delay_down": "2ms", "loss_up": "1%"},
        paths={
            "edge": {"rate": "1Gbit/s", "rate_up": "2Gbit/s", "jitter_down": "3ms"},
            "cloud": {
                "delay": "30ms",
                "rate": "1Gbit/s",
                "queue": "9kB",
                "queue_down": "8kB",
                "loss": "1%",
                "loss_down": "0%",
            },
        },
        transport={"congestion_control": "bbr", "slow_start_after_idle": False, "tls": False},
    )
    assert topology(written, {"u-0": "u", "u-1": "u"}, seed=7, pcap_directory="/pcap") == Topology(
        ues=("u-0", "u-1"),
        access=Link(
            uplink=Direction(8 * MS, 60_000_000, 1 * MS, 0.02, 100_000),
            downlink=Direction(4 * MS),
        ),
        core=Link(uplink=Direction(1 * MS, loss=0.01), downlink=Direction(2 * MS)),
        paths={
            "edge": Link(
                uplink=Direction(0, 2_000_000_000),
                downlink=Direction(0, 1_000_000_000, 3 * MS),
            ),
            "cloud": Link(
                uplink=Direction(30 * MS, 1_000_000_000, loss=0.01, queue_bytes=9000),
                downlink=Direction(30 * MS, 1_000_000_000, queue_bytes=8000),
            ),
        },
        mtu_bytes=1300,
        transport=Transport(congestion_control="bbr", slow_start_after_idle=False, tls=False),
        seed=7,
        pcap_directory="/pcap",
    )


def shape(**sections: Any) -> Topology:
    return topology(network(**sections), {"u-0": "u"}, seed=1, pcap_directory=None)


def test_only_what_differs_is_a_change() -> None:
    before = shape(core={"delay": "1ms"}, paths={"edge": {}, "cloud": {"delay": "30ms"}})
    assert list(changes(before, before)) == []
    after = shape(
        access={"kind": "link", "downlink": {"loss": "1%"}},
        core={"delay": "1ms", "delay_up": "5ms"},
        paths={"edge": {}, "cloud": {"delay": "60ms"}},
    )
    assert list(changes(before, after)) == [
        ("network.access.downlink", Direction(0, loss=0.01)),
        ("network.core.uplink", Direction(5 * MS)),
        ("network.paths.cloud.uplink", Direction(60 * MS)),
        ("network.paths.cloud.downlink", Direction(60 * MS)),
    ]


def in_cell(**parts: Any) -> Topology:
    ue = UeConfig("u-0", RadioConfig(ul_sinr_db=parts.pop("sinr_db", 20.0)))
    cell = NrCell(ues=(ue, UeConfig("load", background=True, **parts.pop("load", {}))), **parts)
    return msgspec.structs.replace(shape(), access=NrAccess(cell))


def test_what_differs_in_a_cell_is_a_change_of_the_cell_or_of_a_ue() -> None:
    before = in_cell()
    assert list(changes(before, before)) == []
    bursts = TrafficConfig(kind=2, rate_bps=1_000_000, burst_bytes=9000)
    after = in_cell(
        sinr_db=3.0,
        load={"dl_traffic": True, "ul": bursts},
        grants=UplinkGrantConfig(sr_period_slots=20),
        scheduler=SchedulerConfig(ofdma=False),
        link=LinkAdaptationConfig(olla=False),
    )
    assert list(changes(before, after)) == [
        ("network.access", UplinkGrantConfig(sr_period_slots=20)),
        ("network.access", SchedulerConfig(ofdma=False)),
        ("network.access", LinkAdaptationConfig(olla=False)),
        ("network.access.ues.u-0", RadioConfig(ul_sinr_db=3.0)),
        ("network.access.ues.load", BackgroundTraffic(up=True, present=False, traffic=bursts)),
        ("network.access.ues.load", BackgroundTraffic(up=False, present=True)),
    ]
