"""Presets of a cell: what differs from the defaults, which are preset `default`. Each value names its source.

`default`: a n78 SA cell with commercial processing times. Its constants are the defaults of the sections themselves:
carrier 100 MHz at 30 kHz, DDDSU with 10:2:2 (TS 38.101-4 A.1.2), 256QAM down and 64QAM up; SR every 10 slots; first
grant 576 B (srsRAN issue 603); stacks of 1 ms and decoding in 0.5 ms at each end and decisions 2 ms ahead, so that
downlink one-way delays lie in the 4 to 10 ms that Rischke et al. measured (IEEE Access 2021,
10.1109/ACCESS.2021.3108423); timers out of 38.331's ranges.
"""

from __future__ import annotations

from typing import Any, Literal

PresetName = Literal["default", "lena", "oai"]

# 5G-LENA v4.0 (CTTC, module `nr` of ns-3.44): figures from its source and from runs of it.
LENA: dict[str, Any] = {
    "carrier": {
        "bandwidth": "40MHz",
        "guard_share": "4%",  # its bandwidth part's default overhead: 266 RBs at 100 MHz
        "duplex": "DDDSU",
        "special_slot": {"downlink": 13, "uplink": 1},  # S carries control, 12 data symbols and uplink control
        "dl_layers": 1,
        "ul_layers": 1,
        "dl_mcs_table": 2,
        "ul_mcs_table": 2,
        "pdcch_symbols": 1,
        "pucch_symbols": 1,
        "dmrs_per_rb": 0,
        "dmrs_per_rb_symbol": 1,  # one of 12 subcarriers is kept for reference signals
        "overhead_per_rb": 0,
        "srs_symbols": 1,  # SrsSymbols
        "srs_period": 80,  # StartingPeriodicity of NrMacSchedulerSrsDefault
        "srs_excludes_pusch": True,  # its scheduler passes over UEs that have any uplink DCI in the slot
    },
    "gnb": {
        "scheduler": "tdma-pf",
        "rbg": 1,
        "pf_window": 99,  # its LastAvgTPutWeight
        "timing": {
            "schedule_ahead": 2,  # L1L2CtrlLatency
            "k1": 2,  # N1Delay
            "k2": 2,  # N2Delay
            "sr_ready": 2,
            "pdu_ahead": 32,  # built when the DCI arrives
            "gnb_decode": "100us",  # TbDecodeLatency
            "ue_decode": "100us",
            "ue_stack": "0ms",
            "gnb_stack": "0ms",
        },
        "uplink": {"sr_period": "sl1", "first_grant": "12B", "power_limited": False},
        # Two numbers for what its receiver (EESM, BLER tables) needs beyond the error model's curve: a fit to the SINRs
        # from which it uses each MCS of table 2, which they meet within 0.28 dB (root mean square over MCSs).
        "link_adaptation": {
            "margin": "2.1dB",
            "low_sinr_loss": 1.4,
            "by_last_rbs": True,
            "short_block_margin": "2.6dB",  # its tables of base graph 2 for one RB: 1.5 to 3.9 dB above the curve
            "cqi_quantised": True,
            "cqi_delay": "0ms",
            "control_sinr": "-100dB",  # its control channels are ideal
            "olla": False,
        },
        "harq": {"processes": 16, "max_transmissions": 4},
        # LTE's headers: PDCP with 12 bits of sequence number, RLC UM.
        "rlc": {
            "mode": "um",
            "buffer": "1GB",
            "pdcp_header": "2B",
            "rlc_header": "2B",
            "mac_subheader": "3B",
            "bsr": "5B",
        },
    },
}

# OpenAirInterface's RF-simulated n78 cell: targets/PROJECTS/GENERIC-NR-5GC/CONF, gnb.sa.band78.106prb.rfsim.
OAI: dict[str, Any] = {
    "carrier": {
        "frequency": "3319.68MHz",
        "bandwidth": "40MHz",  # 106 RBs
        "duplex": "7DS2U",  # dl_UL_TransmissionPeriodicity 6: 5 ms
        "special_slot": {"downlink": 6, "uplink": 4},
        "dl_layers": 1,
        "ul_layers": 1,
        "dl_mcs_table": 1,
        "ul_mcs_table": 1,
        "overhead_per_rb": 0,
    },
    "gnb": {
        "scheduler": "ofdma-pf",
        "timing": {"schedule_ahead": 6, "k1": 6, "k2": 6},  # sl_ahead 6, min_rxtxtime 6
        # ulsch_max_frame_inactivity 0: a grant in every frame.
        "uplink": {"sr_period": "sl40", "proactive_grant": {"period": 20, "size": "100B"}},
        "link_adaptation": {"olla": True, "bler_target": "10%"},  # BLER kept between 5 and 15 %
    },
}

PRESETS: dict[str, dict[str, Any]] = {"default": {}, "lena": LENA, "oai": OAI}


def laid_under(preset: dict[str, Any], given: Any) -> Any:
    """A preset's values where nothing is given."""
    if not isinstance(given, dict):
        return given
    merged = dict(given)
    for key, value in preset.items():
        if key not in merged:
            merged[key] = value
        elif isinstance(value, dict):
            merged[key] = laid_under(value, merged[key])
    return merged
