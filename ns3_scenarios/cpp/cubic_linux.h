// SPDX-License-Identifier: GPL-2.0-only
//
// CUBIC as Linux computes it: RFC 9438, HyStart (Ha, Rhee: Taming the elephants, 2011), and the rules that keep the
// window from growing or staying where the application does not use it.
//
// ns-3's TcpCubic keeps its epoch private, so that the time without data cannot be taken out of it, and it measures
// the rise of the delay by the smoothed RTT; both change transfers that follow a pause.
#pragma once

#include "ns3/nstime.h"
#include "ns3/sequence-number.h"
#include "ns3/tcp-congestion-ops.h"

namespace cosim
{

class CubicLinux : public ns3::TcpCongestionOps
{
  public:
    static ns3::TypeId GetTypeId();

    CubicLinux() = default;
    CubicLinux(const CubicLinux& other) = default;

    std::string GetName() const override;
    void Init(ns3::Ptr<ns3::TcpSocketState> tcb) override;
    void PktsAcked(ns3::Ptr<ns3::TcpSocketState> tcb, uint32_t segments_acked, const ns3::Time& rtt) override;
    void IncreaseWindow(ns3::Ptr<ns3::TcpSocketState> tcb, uint32_t segments_acked) override;
    uint32_t GetSsThresh(ns3::Ptr<const ns3::TcpSocketState> tcb, uint32_t bytes_in_flight) override;
    void CongestionStateSet(ns3::Ptr<ns3::TcpSocketState> tcb,
                            const ns3::TcpSocketState::TcpCongState_t state) override;
    ns3::Ptr<ns3::TcpCongestionOps> Fork() override;

    /// Data leaves after `idle` without any: the epoch moves by that time (RFC 9438 5.8).
    void TransmissionStarts(const ns3::Time& idle);

    /// A segment left: whether the window held back more, and how many segments are out (RFC 7661 in spirit).
    void WindowUsed(bool limited, uint32_t segments_out);

  private:
    void Reset();
    void ResetRound(ns3::Ptr<const ns3::TcpSocketState> tcb);
    void DetectExit(ns3::Ptr<ns3::TcpSocketState> tcb, int64_t delay_ns);
    uint32_t SegmentsPerIncrease(ns3::Ptr<const ns3::TcpSocketState> tcb, uint32_t window, uint32_t acked);
    static int64_t AckDelay(ns3::Ptr<const ns3::TcpSocketState> tcb);

    // Use of the window.
    bool m_limited{false};
    uint32_t m_max_segments_out{0};

    // RFC 9438, in segments and ns.
    uint32_t m_last_max_window{0};
    uint32_t m_origin{0};
    double m_k_s{0};
    int64_t m_epoch_start_ns{0};
    int64_t m_delay_min_ns{0};
    uint32_t m_acked{0};
    uint32_t m_reno_window{0};
    uint32_t m_count{0};

    // HyStart.
    bool m_found{false};
    int64_t m_round_start_ns{0};
    int64_t m_last_ack_ns{0};
    ns3::SequenceNumber32 m_round_end{0};
    int64_t m_round_rtt_ns{0};
    uint32_t m_round_samples{0};
};

} // namespace cosim
