// SPDX-License-Identifier: GPL-2.0-only
//
// What a cell is made of: plain structs that Python fills in. Times are int ns, counts of slots are the carrier's slots,
// ratios are in dB where the name says so. Python has checked the values; Cell refuses what it cannot carry.
// Constructors of what holds lists or text are in config.cc: cppyy would take up to 0.1 s to compile one.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace cosim::nr
{

/// Symbols of one slot: downlink from its first on, uplink up to its last; what lies between is the guard period.
/// FDD: 14 and 14, on carriers of their own.
struct SlotShape
{
    int32_t dl_symbols{14};
    int32_t ul_symbols{14};
};

struct CarrierConfig
{
    CarrierConfig();
    ~CarrierConfig();
    CarrierConfig(const CarrierConfig& other);
    CarrierConfig& operator=(const CarrierConfig& other);

    int32_t numerology{1};
    std::vector<SlotShape> slots; // one period of the pattern; FDD: one slot
    int32_t dl_rbs{106};
    int32_t ul_rbs{106};
    int32_t dl_layers{1};
    int32_t ul_layers{1};
    double layer_cost_db{3.0};             // SINR of each layer falls by this for every doubling of layers
    int32_t dl_mcs_table{2};               // 1, 2, 3: 38.214 Tables 5.1.3.1-1, -2, -3
    int32_t ul_mcs_table{2};
    int32_t pdcch_symbols{1};              // at the start of a slot that has downlink symbols
    int32_t pucch_symbols{1};              // at the end of a slot that has uplink symbols
    int32_t srs_symbols{0};                // before the PUCCH, in the uplink slots in which a UE has its SRS
    int32_t srs_period_slots{80};          // uplink slots between two SRSs of a UE
    bool srs_excludes_pusch{false};        // a UE gets no new PUSCH in the slot of its SRS
    int32_t dmrs_re_per_rb{12};            // of an allocation (38.214 5.1.3.2, N_DMRS)
    int32_t dmrs_re_per_rb_symbol{0};      // and of each of its symbols
    int32_t overhead_re_per_rb{0};         // of an allocation (38.214 5.1.3.2, N_oh)
};

struct TimingConfig
{
    int32_t schedule_ahead_slots{2}; // from the gNB's decision to the slot of its DCI
    int32_t k2_slots{2};             // least DCI -> PUSCH
    int32_t k1_slots{2};             // least PDSCH -> HARQ-ACK
    int32_t sr_ready_slots{2};       // from data at the UE's MAC to the first slot whose SR occasion it can use
    int32_t pdu_ahead_slots{1};      // the UE builds a MAC PDU this long before its PUSCH, or at the DCI if that is later
    int64_t gnb_decode_ns{100'000};  // from the end of a PUSCH to the gNB's RLC and scheduler
    int64_t ue_decode_ns{100'000};   // from the end of a PDSCH to the UE's RLC
    int64_t ue_stack_ns{0};          // between the UE's IP and its RLC, each way
    int64_t gnb_stack_ns{0};         // between the gNB's RLC and the router, each way
};

struct UplinkGrantConfig
{
    double sr_period_slots{1};         // 38.331 SchedulingRequestResourceConfig; 2/14 and 7/14 of a slot: every slot
    int64_t sr_prohibit_ns{0};         // sr-ProhibitTimer
    int32_t first_grant_bytes{12};     // what the gNB grants for an SR
    int64_t bsr_limit_bytes{0};        // a BSR tells no more than this; 0: no limit
    int32_t proactive_period_slots{0}; // a grant without an SR this often; 0: never
    int32_t proactive_bytes{0};
    int32_t configured_period_slots{0}; // configured grant (38.321 5.8.2); 0: none
    int32_t configured_bytes{0};
    bool power_limited{false};         // the SINR of a PUSCH rises as its RBs become fewer than the carrier's
    double power_cap_db{30};           // no PUSCH has a higher SINR by that
};

struct LinkAdaptationConfig
{
    double margin_db{0};       // of the error model: the SINR that the receiver needs more than the ideal curve
    double low_sinr_loss{0};   // and that times 1 + low_sinr_loss / SINR (linear; by noisy channel estimates)
    bool by_last_rbs{false};   // MCS for one symbol of the RBs of the UE's last TB where they were not the whole carrier
    double short_block_margin_db{0}; // of that choice beside margin_db, for code blocks of up to 292 bits
    bool cqi_quantised{false}; // downlink MCS by way of a 4-bit CQI (38.214 5.2.2.1)
    int64_t cqi_delay_ns{0};   // age of the SINR that the gNB knows
    double bler_target{0.1};
    bool olla{true};
    double control_sinr_db{-8};  // below this downlink SINR a UE decodes no DCI: about Qout of 38.133 8.1
    double olla_step_db{0.1};  // an error lowers the offset by this, an ACK raises it by step * target / (1 - target)
};

struct HarqConfig
{
    int32_t processes{16};
    int32_t max_transmissions{4};
    double combining_loss_db{0}; // of each retransmission against the ideal sum of SINRs
};

struct RlcConfig
{
    bool acknowledged{true};                  // AM, else UM
    int64_t buffer_bytes{4'000'000};          // of SDUs of a bearer that have not been sent; more are dropped
    int64_t t_poll_retransmit_ns{45'000'000};
    int64_t t_status_prohibit_ns{10'000'000};
    int64_t t_reassembly_ns{35'000'000};
    int32_t max_retransmissions{32};          // maxRetxThreshold; then the SDU is given up
    int64_t t_reordering_ns{50'000'000};      // PDCP
    int32_t pdcp_bytes{3};                    // headers of an SDU: PDCP and SDAP
    int32_t rlc_bytes{3};                     // header of a PDU; a segment that is not the first has 2 more
    int32_t mac_bytes{3};                     // subheader of a PDU
    int32_t bsr_bytes{0};                     // BSR with its subheader; 0: short or long, as 38.321 6.1.3.1 has them
};

/// A data radio bearer of each UE. Lower `priority` is served first, among bearers of a UE and among UEs.
struct BearerConfig
{
    BearerConfig();
    ~BearerConfig();
    BearerConfig(const BearerConfig& other);
    BearerConfig& operator=(const BearerConfig& other);

    std::string name;
    int32_t priority{9};
    int32_t lcg{0};
};

struct SchedulerConfig
{
    bool proportional_fair{true}; // else round-robin
    bool ofdma{true};             // else TDMA: whole symbols
    int32_t rbg_rbs{8};
    double pf_window_slots{200};
};

/// Radio of a UE. `kind` 0: fixed SINRs; 1: a trace; 2: TR 38.901 geometry.
struct TracePoint
{
    int64_t t_ns{0};
    double ul_sinr_db{0};
    double dl_sinr_db{0};
};

struct RadioConfig
{
    RadioConfig();
    ~RadioConfig();
    RadioConfig(const RadioConfig& other);
    RadioConfig& operator=(const RadioConfig& other);

    int32_t kind{0};
    double ul_sinr_db{20};
    double dl_sinr_db{20};
    std::vector<TracePoint> trace; // held from its point to the next; before the first: the first
    int32_t scenario{0};           // 0 UMi street canyon, 1 UMa, 2 InH office (TR 38.901 Table 7.4.1-1)
    double frequency_ghz{3.5};
    double gnb_height_m{10};
    double ue_height_m{1.5};
    double x_m{50};
    double y_m{0};
    double vx_mps{0};
    double vy_mps{0};
    int32_t line_of_sight{-1}; // 1 LOS, 0 NLOS, -1 drawn by Table 7.4.2-1
    bool shadowing{true};
    bool fading{true};
    double gnb_power_dbm{44};
    double ue_power_dbm{23};
    double antenna_gain_db{8};
    double gnb_noise_figure_db{5};
    double ue_noise_figure_db{9};
    double interference_margin_db{0};
};

/// Traffic that exists in the MAC only. `kind` 0: full buffer; 1: constant bit rate; 2: Poisson bursts.
struct TrafficConfig
{
    int32_t kind{0};
    int64_t rate_bps{0};
    int64_t burst_bytes{0};
};

struct DrxConfig
{
    int64_t cycle_ns{0}; // 0: none
    int64_t on_ns{0};
    int64_t inactivity_ns{0};
};

struct UeConfig
{
    UeConfig();
    ~UeConfig();
    UeConfig(const UeConfig& other);
    UeConfig& operator=(const UeConfig& other);

    std::string name;
    RadioConfig radio;
    bool background{false};
    bool ul_traffic{false}; // for a background UE
    bool dl_traffic{false};
    TrafficConfig ul;
    TrafficConfig dl;
};

struct CellConfig
{
    CellConfig();
    ~CellConfig();
    CellConfig(const CellConfig& other);
    CellConfig& operator=(const CellConfig& other);

    CarrierConfig carrier;
    TimingConfig timing;
    UplinkGrantConfig grants;
    LinkAdaptationConfig link;
    HarqConfig harq;
    RlcConfig rlc;
    SchedulerConfig scheduler;
    DrxConfig drx;
    std::vector<BearerConfig> bearers; // at least one; packets that no rule names use the last
    std::vector<UeConfig> ues;
    uint64_t seed{1};
    int64_t kpi_window_ns{100'000'000};
};

/// Where a packet's time in the access network went; they add up to its arrival there to its leaving it.
struct AccessParts
{
    int64_t sr_wait_ns{0};
    int64_t grant_wait_ns{0};
    int64_t queue_ns{0};
    int64_t air_ns{0};
    int64_t harq_ns{0};
    int64_t rlc_recovery_ns{0};
    int64_t pdcp_reorder_ns{0};
    int64_t processing_ns{0};
};

/// A UE and direction in the window that ends at `t_ns`; -1 (or NaN) where nothing was there to measure.
struct RadioSample
{
    int64_t t_ns{0};
    int32_t ue{0};
    bool up{true};
    double prb_share{0};           // PRB-symbols of its transmissions / those of the carrier that can carry data
    double mcs_mean{-1};           // of new transmissions
    double bler{-1};               // failed first transmissions / first transmissions
    double harq_rounds_mean{-1};   // transmissions of a TB that ended
    double sinr_db{0};             // NaN: no SINR was read
    int64_t delivered_bytes{0};    // IP bytes (background: MAC payload)
    int64_t max_queue_bytes{0};    // RLC SDUs that wait
    int64_t dropped_packets{0};    // at a full buffer, or given up
    double sr_wait_ms_mean{-1};
    double grant_wait_ms_mean{-1};
};

} // namespace cosim::nr
