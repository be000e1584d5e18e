// SPDX-License-Identifier: GPL-2.0-only
//
// BBR v1 as Linux computes it: draft-cardwell-iccrg-bbr-congestion-control-00, net/ipv4/tcp_bbr.c.
//
// ns-3's TcpBbr has its own mark "application-limited", set in PROBE_RTT only, so that it takes the rates of short
// messages for that of a full pipe and drains a queue that is not there. It also allows for one segment where Linux
// allows for a burst, counts whole seconds in its estimate of ACK aggregation, and leaves a recovery with the
// slow-start threshold for its window.
// Not modelled: the long-term estimator for policed paths, which needs a fifth of the segments lost.
#pragma once

#include "bbr_pacer.h"
#include "bbr_path.h"
#include "bbr_rate.h"
#include "random_stream.h"

#include "ns3/nstime.h"
#include "ns3/tcp-congestion-ops.h"

#include <cstdint>
#include <string>

namespace cosim
{

class BbrLinux : public ns3::TcpCongestionOps
{
  public:
    static ns3::TypeId GetTypeId();

    explicit BbrLinux(uint64_t seed = 0);
    BbrLinux(const BbrLinux& other) = default;

    /// With the seed, settles the phase in which each gain cycle begins.
    void SetName(const std::string& name);

    /// The samples to follow, for the segments of a socket's buffer.
    ns3::Ptr<ns3::TcpRateOps> Follow(ns3::Ptr<const ns3::TcpTxBuffer> buffer, uint32_t segment_size);

    /// A message is about to be put into the buffer.
    void ApplicationWrites(ns3::Ptr<ns3::TcpSocketState> tcb);

    /// A segment left; the time until the next burst may leave.
    ns3::Time Sent(uint32_t n_bytes);

    /// Whether the next segment has to wait for the next burst.
    bool Holds() const;

    std::string GetName() const override
    {
        return "BbrLinux";
    }

    bool HasCongControl() const override
    {
        return true;
    }

    void CongControl(ns3::Ptr<ns3::TcpSocketState> tcb,
                     const ns3::TcpRateOps::TcpRateConnection& connection,
                     const ns3::TcpRateOps::TcpRateSample& sample) override;
    uint32_t GetSsThresh(ns3::Ptr<const ns3::TcpSocketState> tcb, uint32_t bytes_in_flight) override;
    void CongestionStateSet(ns3::Ptr<ns3::TcpSocketState> tcb,
                            const ns3::TcpSocketState::TcpCongState_t state) override;
    void CwndEvent(ns3::Ptr<ns3::TcpSocketState> tcb, const ns3::TcpSocketState::TcpCAEvent_t event) override;
    ns3::Ptr<ns3::TcpCongestionOps> Fork() override;

  private:
    using Tcb = ns3::Ptr<ns3::TcpSocketState>;

    enum class Mode
    {
        kStartup,
        kDrain,
        kProbeBandwidth,
        kProbeRtt
    };

    void Begin(Tcb tcb);
    bool IsNextCyclePhase(const BbrSample& sample) const;
    void AdvanceCyclePhase();
    void EnterProbeBandwidth();
    void CheckDrain(Tcb tcb);
    void CheckProbeRtt(Tcb tcb, const BbrSample& sample);
    void ProbeRtt(Tcb tcb);
    void CheckProbeRttDone(Tcb tcb);
    void UpdateGains();
    void SetPacingRate(Tcb tcb, uint32_t gain);
    void SetWindow(Tcb tcb, const BbrSample& sample);
    bool RecoverOrRestore(Tcb tcb, const BbrSample& sample);
    void StoreWindow(Tcb tcb) const;
    void SaveWindow();
    uint32_t WithBudget(uint32_t segments) const;
    uint32_t InFlightTarget(uint32_t gain) const;
    uint32_t InNetworkAtNextBurst(uint32_t in_flight) const;
    uint32_t InFlight(Tcb tcb) const;

    ns3::Ptr<BbrRate> m_rate;
    uint64_t m_seed;
    RandomStream m_random;
    BbrPath m_path;
    BbrPacer m_pacer;
    uint32_t m_segment_size{1};
    bool m_begun{false};

    Mode m_mode{Mode::kStartup};
    bool m_idle_restart{false};
    uint32_t m_pacing_gain{0};
    uint32_t m_window_gain{0};
    uint32_t m_window{0}; // segments

    // PROBE_BW.
    uint32_t m_phase{0};
    ns3::Time m_phase_stamp;

    // PROBE_RTT; 0: its 200 ms have not begun.
    ns3::Time m_probe_rtt_done;
    bool m_probe_rtt_round_done{false};

    // Loss recovery.
    ns3::TcpSocketState::TcpCongState_t m_state_before{ns3::TcpSocketState::CA_OPEN};
    bool m_packet_conservation{false};
    uint32_t m_window_before{0};
};

} // namespace cosim
