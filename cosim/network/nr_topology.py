"""From the scenario's NR access to the cell of the ns-3 process."""

from __future__ import annotations

from collections.abc import Mapping

from cosim.bridge import nr_messages as wire
from cosim.scenario.nr import NrAccess
from cosim.scenario.nr_carrier import slots
from cosim.scenario.nr_gnb import LinkAdaptation, UplinkAccess
from cosim.scenario.nr_ues import Background, Geometry, UeRadio

DEFAULT_SINR_DB = 20.0
SCENARIOS = ("umi", "uma", "inh")
LINE_OF_SIGHT = {"yes": 1, "no": 0, "drawn": -1}


def nr_access(access: NrAccess, ues: Mapping[str, str], *, seed: int) -> wire.NrAccess:
    """The cell with its UEs. `ues`: the group of clients of each UE, in the order of the topology."""
    frequency_ghz = access.carrier.frequency / 1e9
    members = [wire.UeConfig(name=ue, radio=_radio(access.group_of(group), frequency_ghz)) for ue, group in ues.items()]
    for name, others in access.background.items():
        radio = _radio(others, frequency_ghz)
        members += [_background(ue, others, radio) for ue in background_names(name, others)]
    flows = [wire.Flow(flow.name, flow.path, flow.max_packet) for flow in access.qos]
    # A logical channel group for each bearer as long as there are groups (38.321 6.1.3.1: 8); the rest share the last.
    bearers = [wire.BearerConfig(flow.name, flow.priority, min(index, 6)) for index, flow in enumerate(access.qos)]
    bearers.append(wire.BearerConfig("default", 90, 7))
    gnb = access.gnb
    cell = wire.NrCell(
        carrier=_carrier(access),
        timing=wire.TimingConfig(
            schedule_ahead_slots=gnb.timing.schedule_ahead,
            k2_slots=gnb.timing.k2,
            k1_slots=gnb.timing.k1,
            sr_ready_slots=gnb.timing.sr_ready,
            pdu_ahead_slots=gnb.timing.pdu_ahead,
            gnb_decode_ns=gnb.timing.gnb_decode,
            ue_decode_ns=gnb.timing.ue_decode,
            ue_stack_ns=gnb.timing.ue_stack,
            gnb_stack_ns=gnb.timing.gnb_stack,
        ),
        grants=_grants(gnb.uplink, gnb.sr_period_slots),
        link=_link(gnb.link_adaptation),
        harq=wire.HarqConfig(gnb.harq.processes, gnb.harq.max_transmissions, gnb.harq.combining_loss),
        rlc=wire.RlcConfig(
            acknowledged=gnb.rlc.mode == "am",
            buffer_bytes=gnb.rlc.buffer,
            t_poll_retransmit_ns=gnb.rlc.t_poll_retransmit,
            t_status_prohibit_ns=gnb.rlc.t_status_prohibit,
            t_reassembly_ns=gnb.rlc.t_reassembly,
            max_retransmissions=gnb.rlc.max_retransmissions,
            t_reordering_ns=gnb.rlc.t_reordering,
            pdcp_bytes=gnb.rlc.pdcp_header,
            rlc_bytes=gnb.rlc.rlc_header,
            mac_bytes=gnb.rlc.mac_subheader,
            bsr_bytes=gnb.rlc.bsr or 0,
        ),
        scheduler=_scheduler(access),
        drx=wire.DrxConfig(gnb.drx.cycle, gnb.drx.on, gnb.drx.inactivity) if gnb.drx else wire.DrxConfig(),
        bearers=tuple(bearers),
        ues=tuple(members),
        seed=seed,
        kpi_window_ns=access.kpi_interval,
    )
    return wire.NrAccess(cell, tuple(flows))


def background_names(name: str, others: Background) -> list[str]:
    """Names of a background group's UEs."""
    return [f"{name}-{number}" for number in range(others.count)]


def _carrier(access: NrAccess) -> wire.CarrierConfig:
    carrier = access.carrier
    return wire.CarrierConfig(
        numerology=carrier.numerology,
        slots=tuple(wire.SlotShape(*shape) for shape in slots(carrier)),
        dl_rbs=carrier.n_rb,
        ul_rbs=carrier.n_rb,
        dl_layers=carrier.dl_layers,
        ul_layers=carrier.ul_layers,
        layer_cost_db=carrier.layer_cost,
        dl_mcs_table=carrier.dl_mcs_table,
        ul_mcs_table=carrier.ul_mcs_table,
        pdcch_symbols=carrier.pdcch_symbols,
        pucch_symbols=carrier.pucch_symbols,
        srs_symbols=carrier.srs_symbols,
        srs_period_slots=carrier.srs_period,
        srs_excludes_pusch=carrier.srs_excludes_pusch,
        dmrs_re_per_rb=carrier.dmrs_per_rb,
        dmrs_re_per_rb_symbol=carrier.dmrs_per_rb_symbol,
        overhead_re_per_rb=carrier.overhead_per_rb,
    )


def _grants(uplink: UplinkAccess, sr_period_slots: float) -> wire.UplinkGrantConfig:
    proactive, configured = uplink.proactive_grant, uplink.configured_grant
    return wire.UplinkGrantConfig(
        sr_period_slots=sr_period_slots,
        sr_prohibit_ns=uplink.sr_prohibit,
        first_grant_bytes=uplink.first_grant,
        bsr_limit_bytes=uplink.bsr_limit or 0,
        proactive_period_slots=proactive.period if proactive else 0,
        proactive_bytes=proactive.size if proactive else 0,
        configured_period_slots=configured.period if configured else 0,
        configured_bytes=configured.size if configured else 0,
        power_limited=uplink.power_limited,
        power_cap_db=uplink.power_cap,
    )


def _link(link: LinkAdaptation) -> wire.LinkAdaptationConfig:
    return wire.LinkAdaptationConfig(
        margin_db=link.margin,
        low_sinr_loss=link.low_sinr_loss,
        by_last_rbs=link.by_last_rbs,
        short_block_margin_db=link.short_block_margin,
        cqi_quantised=link.cqi_quantised,
        cqi_delay_ns=link.cqi_delay,
        bler_target=link.bler_target,
        olla=link.olla,
        control_sinr_db=link.control_sinr,
        olla_step_db=link.olla_step,
    )


def _scheduler(access: NrAccess) -> wire.SchedulerConfig:
    shape, rule = access.gnb.scheduler.split("-")
    return wire.SchedulerConfig(
        proportional_fair=rule == "pf",
        ofdma=shape == "ofdma",
        rbg_rbs=access.gnb.rbg,
        pf_window_slots=float(access.gnb.pf_window),
    )


def _radio(group: UeRadio, frequency_ghz: float) -> wire.RadioConfig:
    if group.geometry is not None:
        return _geometry(group.geometry, frequency_ghz)
    if isinstance(group.trace, list):
        points = [wire.TracePoint(point.at, point.sinr_up, point.sinr_down) for point in group.trace]
        return wire.RadioConfig(kind=1, trace=tuple(points))
    both = DEFAULT_SINR_DB if group.sinr is None else group.sinr
    up_db = both if group.sinr_up is None else group.sinr_up
    down_db = both if group.sinr_down is None else group.sinr_down
    return wire.RadioConfig(kind=0, ul_sinr_db=up_db, dl_sinr_db=down_db)


def _geometry(geometry: Geometry, frequency_ghz: float) -> wire.RadioConfig:
    return wire.RadioConfig(
        kind=2,
        scenario=SCENARIOS.index(geometry.scenario),
        frequency_ghz=frequency_ghz,
        gnb_height_m=geometry.gnb_height,
        ue_height_m=geometry.ue_height,
        x_m=geometry.position.x,
        y_m=geometry.position.y,
        vx_mps=geometry.velocity.x,
        vy_mps=geometry.velocity.y,
        line_of_sight=LINE_OF_SIGHT[geometry.line_of_sight],
        shadowing=geometry.shadowing,
        fading=geometry.fading,
        gnb_power_dbm=geometry.gnb_power,
        ue_power_dbm=geometry.ue_power,
        antenna_gain_db=geometry.antenna_gain,
        gnb_noise_figure_db=geometry.gnb_noise_figure,
        ue_noise_figure_db=geometry.ue_noise_figure,
        interference_margin_db=geometry.interference_margin,
    )


def _background(name: str, others: Background, radio: wire.RadioConfig) -> wire.UeConfig:
    return wire.UeConfig(
        name=name,
        radio=radio,
        background=True,
        ul_traffic=others.uplink is not None,
        dl_traffic=others.downlink is not None,
        ul=_traffic(others.uplink),
        dl=_traffic(others.downlink),
    )


def _traffic(traffic: object) -> wire.TrafficConfig:
    kind = {"full_buffer": 0, "cbr": 1, "poisson": 2}[getattr(traffic, "kind", "full_buffer")]
    rate_bps, burst_bytes = getattr(traffic, "rate", 0), getattr(traffic, "burst", 0)
    return wire.TrafficConfig(kind=kind, rate_bps=rate_bps, burst_bytes=burst_bytes)
