"""A 5G NR cell on the wire: what it is made of, which packets take which bearer, and what can be changed in a run.

Each struct down to `NrCell` has the fields and defaults of its namesake in ns3_scenarios/cpp/nr/config.h (`NrCell`:
`CellConfig`), whose comments say what they mean; a test compares the two.
"""

from __future__ import annotations

import msgspec

SYMBOLS_PER_SLOT = 14
SLOT_NS = 1_000_000
"""A slot of numerology 0 (TS 38.211 4.3.2)."""


ACCESS_PARTS = ("sr_wait", "grant_wait", "queue", "air", "harq", "rlc_recovery", "pdcp_reorder", "processing")
"""What a packet's time in the cell divides into, in the order of `AccessParts` in config.h."""


class SlotShape(msgspec.Struct, frozen=True):
    """Symbols of one slot: downlink from its first on, uplink up to its last."""

    dl_symbols: int = 14
    ul_symbols: int = 14


class CarrierConfig(msgspec.Struct, frozen=True):
    """Numerology, slot pattern, resource blocks, layers and what of a slot carries no data."""

    numerology: int = 1
    slots: tuple[SlotShape, ...] = ()
    dl_rbs: int = 106
    ul_rbs: int = 106
    dl_layers: int = 1
    ul_layers: int = 1
    layer_cost_db: float = 3.0
    dl_mcs_table: int = 2
    ul_mcs_table: int = 2
    pdcch_symbols: int = 1
    pucch_symbols: int = 1
    srs_symbols: int = 0
    srs_period_slots: int = 80
    srs_excludes_pusch: bool = False
    dmrs_re_per_rb: int = 12
    dmrs_re_per_rb_symbol: int = 0
    overhead_re_per_rb: int = 0


class TimingConfig(msgspec.Struct, frozen=True):
    """What the gNB and the UE need between one step and the next."""

    schedule_ahead_slots: int = 2
    k2_slots: int = 2
    k1_slots: int = 2
    sr_ready_slots: int = 2
    pdu_ahead_slots: int = 1
    gnb_decode_ns: int = 100_000
    ue_decode_ns: int = 100_000
    ue_stack_ns: int = 0
    gnb_stack_ns: int = 0


class UplinkGrantConfig(msgspec.Struct, frozen=True, tag=True):
    """How a UE comes by PUSCH."""

    sr_period_slots: float = 1.0
    sr_prohibit_ns: int = 0
    first_grant_bytes: int = 12
    bsr_limit_bytes: int = 0
    proactive_period_slots: int = 0
    proactive_bytes: int = 0
    configured_period_slots: int = 0
    configured_bytes: int = 0
    power_limited: bool = False
    power_cap_db: float = 30.0


class LinkAdaptationConfig(msgspec.Struct, frozen=True, tag=True):
    """From SINR to MCS."""

    margin_db: float = 0.0
    low_sinr_loss: float = 0.0
    by_last_rbs: bool = False
    short_block_margin_db: float = 0.0
    cqi_quantised: bool = False
    cqi_delay_ns: int = 0
    bler_target: float = 0.1
    olla: bool = True
    control_sinr_db: float = -8.0
    olla_step_db: float = 0.1


class HarqConfig(msgspec.Struct, frozen=True):
    """Hybrid ARQ."""

    processes: int = 16
    max_transmissions: int = 4
    combining_loss_db: float = 0.0


class RlcConfig(msgspec.Struct, frozen=True):
    """RLC and PDCP of every bearer."""

    acknowledged: bool = True
    buffer_bytes: int = 4_000_000
    t_poll_retransmit_ns: int = 45_000_000
    t_status_prohibit_ns: int = 10_000_000
    t_reassembly_ns: int = 35_000_000
    max_retransmissions: int = 32
    t_reordering_ns: int = 50_000_000
    pdcp_bytes: int = 3
    rlc_bytes: int = 3
    mac_bytes: int = 3
    bsr_bytes: int = 0


class BearerConfig(msgspec.Struct, frozen=True):
    """A data radio bearer of each UE; lower `priority` is served first."""

    name: str = ""
    priority: int = 9
    lcg: int = 0


class SchedulerConfig(msgspec.Struct, frozen=True, tag=True):
    """Who is served next, and in which shape."""

    proportional_fair: bool = True
    ofdma: bool = True
    rbg_rbs: int = 8
    pf_window_slots: float = 200.0


class TracePoint(msgspec.Struct, frozen=True):
    """SINRs from a time on."""

    t_ns: int = 0
    ul_sinr_db: float = 0.0
    dl_sinr_db: float = 0.0


class RadioConfig(msgspec.Struct, frozen=True, tag=True):
    """Radio of a UE. `kind` 0: fixed SINRs; 1: a trace; 2: TR 38.901 geometry."""

    kind: int = 0
    ul_sinr_db: float = 20.0
    dl_sinr_db: float = 20.0
    trace: tuple[TracePoint, ...] = ()
    scenario: int = 0
    frequency_ghz: float = 3.5
    gnb_height_m: float = 10.0
    ue_height_m: float = 1.5
    x_m: float = 50.0
    y_m: float = 0.0
    vx_mps: float = 0.0
    vy_mps: float = 0.0
    line_of_sight: int = -1
    shadowing: bool = True
    fading: bool = True
    gnb_power_dbm: float = 44.0
    ue_power_dbm: float = 23.0
    antenna_gain_db: float = 8.0
    gnb_noise_figure_db: float = 5.0
    ue_noise_figure_db: float = 9.0
    interference_margin_db: float = 0.0


class TrafficConfig(msgspec.Struct, frozen=True):
    """Traffic that exists in the MAC only. `kind` 0: full buffer; 1: constant bit rate; 2: Poisson bursts."""

    kind: int = 0
    rate_bps: int = 0
    burst_bytes: int = 0


class DrxConfig(msgspec.Struct, frozen=True):
    """Connected-mode DRX; `cycle_ns` 0: none."""

    cycle_ns: int = 0
    on_ns: int = 0
    inactivity_ns: int = 0


class UeConfig(msgspec.Struct, frozen=True):
    """A UE; a background UE has traffic of its own and no packets."""

    name: str = ""
    radio: RadioConfig = RadioConfig()
    background: bool = False
    ul_traffic: bool = False
    dl_traffic: bool = False
    ul: TrafficConfig = TrafficConfig()
    dl: TrafficConfig = TrafficConfig()


class NrCell(msgspec.Struct, frozen=True):
    """One cell. `ues`: first those of `Topology.ues` in the same order, then background ones."""

    carrier: CarrierConfig = CarrierConfig()
    timing: TimingConfig = TimingConfig()
    grants: UplinkGrantConfig = UplinkGrantConfig()
    link: LinkAdaptationConfig = LinkAdaptationConfig()
    harq: HarqConfig = HarqConfig()
    rlc: RlcConfig = RlcConfig()
    scheduler: SchedulerConfig = SchedulerConfig()
    drx: DrxConfig = DrxConfig()
    bearers: tuple[BearerConfig, ...] = ()
    ues: tuple[UeConfig, ...] = ()
    seed: int = 1
    kpi_window_ns: int = 100_000_000


class Flow(msgspec.Struct, frozen=True):
    """Packets that a bearer carries: those of a path, up to a size (of IP packets), or both; None: any."""

    bearer: str
    path: str | None = None
    max_bytes: int | None = None


class NrAccess(msgspec.Struct, frozen=True, tag="nr"):
    """UEs in a cell. The first of `flows` that a packet fits names its bearer; without one it takes the last bearer."""

    cell: NrCell
    flows: tuple[Flow, ...] = ()

    def minimum_delay_ns(self, *, up: bool) -> int:
        """No packet crosses the cell in less: both stacks, one symbol on the air (TS 38.211 4.3.2) and its decoding."""
        timing = self.cell.timing
        symbol_ns = (SLOT_NS >> self.cell.carrier.numerology) // SYMBOLS_PER_SLOT
        decode_ns = timing.gnb_decode_ns if up else timing.ue_decode_ns
        return timing.ue_stack_ns + timing.gnb_stack_ns + symbol_ns + decode_ns


class Interruption(msgspec.Struct, frozen=True, tag=True):
    """Nothing gets through between a UE and the cell before a time (an outage, a handover); packets wait."""

    until_ns: int


class BackgroundTraffic(msgspec.Struct, frozen=True, tag=True):
    """What a background UE sends (`up`) or is sent from now on; not `present`: nothing."""

    up: bool
    present: bool
    traffic: TrafficConfig = TrafficConfig()


UeKnob = RadioConfig | Interruption | BackgroundTraffic
"""Values of a UE, at `network.access.ues.NAME`."""

CellKnob = UplinkGrantConfig | SchedulerConfig | LinkAdaptationConfig
"""Values of the whole cell, at `network.access`."""
