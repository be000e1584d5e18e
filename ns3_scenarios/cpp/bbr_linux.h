// SPDX-License-Identifier: GPL-2.0-only
//
// BBR v1 as Linux computes it: draft-cardwell-iccrg-bbr-congestion-control-00, net/ipv4/tcp_bbr.c.
//
// ns-3's TcpBbr has its own mark "application-limited", set in PROBE_RTT only, so that it takes the rates of short
// messages for those of a full pipe and drains a queue that is not there. It also budgets one segment where Linux
// budgets a burst, counts whole seconds in the estimate of ACK aggregation, and takes its window back from the
// slow-start threshold after a recovery.
// Not modelled: the long-term estimator for policed paths, which begins at 20 % of loss.
#pragma once

#include "bbr_rate.h"
#include "random_stream.h"

#include "ns3/nstime.h"
#include "ns3/tcp-congestion-ops.h"
#include "ns3/windowed-filter.h"

#include <array>
#include <string_view>

namespace cosim
{

class BbrLinux : public ns3::TcpCongestionOps
{
  public:
    static ns3::TypeId GetTypeId();

    BbrLinux();
    BbrLinux(const BbrLinux& other) = default;

    /// What the gain cycle's first phase is drawn from.
    void SetRandom(const RandomStream& random);

    /// Whose samples these are.
    void SetRate(ns3::Ptr<BbrRate> rate);

    std::string GetName() const override;
    bool HasCongControl() const override;
    void CongControl(ns3::Ptr<ns3::TcpSocketState> tcb,
                     const ns3::TcpRateOps::TcpRateConnection& connection,
                     const ns3::TcpRateOps::TcpRateSample& sample) override;
    void IncreaseWindow(ns3::Ptr<ns3::TcpSocketState> tcb, uint32_t segments_acked) override;
    uint32_t GetSsThresh(ns3::Ptr<const ns3::TcpSocketState> tcb, uint32_t bytes_in_flight) override;
    void CongestionStateSet(ns3::Ptr<ns3::TcpSocketState> tcb,
                            const ns3::TcpSocketState::TcpCongState_t state) override;
    void CwndEvent(ns3::Ptr<ns3::TcpSocketState> tcb, const ns3::TcpSocketState::TcpCAEvent_t event) override;
    ns3::Ptr<ns3::TcpCongestionOps> Fork() override;

    /// Bytes per second.
    double PacingRate() const;

    /// Segments that may leave at once.
    uint32_t BurstSegments() const;

  private:
    using State = ns3::Ptr<ns3::TcpSocketState>;
    using Sample = ns3::TcpRateOps::TcpRateSample;
    using MaxBandwidth = ns3::WindowedFilter<uint64_t, ns3::MaxFilter<uint64_t>, uint32_t, uint32_t>;

    enum class Mode
    {
        kStartup,
        kDrain,
        kProbeBandwidth,
        kProbeRtt
    };

    void Begin(State tcb);
    void UpdateBandwidth(const Sample& sample);
    void UpdateAckAggregation(State tcb, const Sample& sample);
    void UpdateCyclePhase(const Sample& sample);
    void CheckFullBandwidth(const Sample& sample);
    void CheckDrain(State tcb);
    void UpdateMinRtt(State tcb, const Sample& sample);
    void ProbeRtt(State tcb);
    void CheckProbeRttDone(State tcb);
    void UpdateGains();
    void SetPacingRate(State tcb, uint32_t gain);
    void SetWindow(State tcb, const Sample& sample);
    bool RecoverOrRestore(State tcb, const Sample& sample, uint32_t acked);
    void StoreWindow(State tcb) const;
    void SaveWindow();
    void EnterProbeBandwidth();
    void AdvanceCyclePhase();
    bool IsNextCyclePhase(const Sample& sample) const;
    uint32_t BandwidthDelayProduct(uint32_t gain) const;
    uint32_t WithBudget(uint32_t segments) const;
    uint32_t InFlight(uint32_t gain) const;
    uint32_t AckAggregationWindow() const;
    double PacingRate(uint64_t bandwidth, uint32_t gain) const;
    uint32_t Segments(uint32_t n_bytes) const;

    ns3::Ptr<BbrRate> m_rate;
    RandomStream m_random;
    uint32_t m_segment_size{0};
    bool m_begun{false};

    // The model. Bandwidth in segments per us, times 2^24.
    Mode m_mode{Mode::kStartup};
    MaxBandwidth m_bandwidth;
    uint32_t m_round{0};
    uint32_t m_next_round_delivered{0};
    bool m_round_start{false};
    int64_t m_min_rtt_us{-1};
    ns3::Time m_min_rtt_stamp;
    bool m_idle_restart{false};

    // What the model asks for; gains times 2^8, window in segments, rate in bytes per s.
    uint32_t m_pacing_gain;
    uint32_t m_window_gain;
    uint32_t m_window{0};
    double m_pacing_rate{0};
    bool m_has_seen_rtt{false};

    // Full pipe.
    bool m_full{false};
    uint64_t m_full_bandwidth{0};
    uint32_t m_full_count{0};

    // Gain cycle.
    uint32_t m_phase{0};
    ns3::Time m_phase_stamp;

    // PROBE_RTT; a done stamp of 0 is not set.
    ns3::Time m_probe_rtt_done;
    bool m_probe_rtt_round_done{false};

    // Loss recovery.
    ns3::TcpSocketState::TcpCongState_t m_state_before{ns3::TcpSocketState::CA_OPEN};
    bool m_packet_conservation{false};
    uint32_t m_window_before{0};

    // ACK aggregation, in segments.
    ns3::Time m_epoch;
    uint32_t m_epoch_acked{0};
    std::array<uint32_t, 2> m_extra_acked{0, 0};
    uint32_t m_extra_acked_slot{0};
    uint32_t m_extra_acked_rounds{0};
};

} // namespace cosim
