// SPDX-License-Identifier: GPL-2.0-only
//
// Linux's estimator of the round trip and of the retransmission timeout.
#pragma once

#include "ns3/sequence-number.h"

#include <algorithm>
#include <cstdint>

namespace cosim
{

/// RFC 6298 as in Linux's tcp_rtt_estimator(): the variation rises at once, to the largest deviation of a round, and
/// falls once in a round by a quarter of what it is too high; a deviation that comes from a shorter round trip counts
/// an eighth. RTO = SRTT + max(4 RTTVAR, 200 ms). All in ns.
class RttLinux
{
  public:
    static constexpr int64_t kMinRtoNs = 200'000'000;     // Linux: TCP_RTO_MIN
    static constexpr int64_t kInitialRtoNs = 1'000'000'000; // RFC 6298 2.1

    void Sample(int64_t rtt_ns, ns3::SequenceNumber32 unacknowledged, ns3::SequenceNumber32 next)
    {
        if (m_srtt_ns == 0)
        {
            m_srtt_ns = std::max<int64_t>(rtt_ns, 1);
            m_deviation_ns = 2 * rtt_ns;
            m_variation_ns = std::max(m_deviation_ns, kMinRtoNs);
            m_round_deviation_ns = m_variation_ns;
            m_round_end = next;
            return;
        }
        const int64_t error = rtt_ns - m_srtt_ns;
        m_srtt_ns += error / 8;
        int64_t excess = (error < 0 ? -error : error) - m_deviation_ns / 4;
        if (error < 0 && excess > 0)
        {
            excess /= 8;
        }
        m_deviation_ns += excess;
        if (m_deviation_ns > m_round_deviation_ns)
        {
            m_round_deviation_ns = m_deviation_ns;
            m_variation_ns = std::max(m_variation_ns, m_round_deviation_ns);
        }
        if (unacknowledged > m_round_end)
        {
            m_variation_ns -= std::max<int64_t>(m_variation_ns - m_round_deviation_ns, 0) / 4;
            m_round_end = next;
            m_round_deviation_ns = kMinRtoNs;
        }
    }

    /// 0 before the first sample.
    int64_t SmoothedNs() const
    {
        return m_srtt_ns;
    }

    int64_t TimeoutNs() const
    {
        return m_srtt_ns == 0 ? kInitialRtoNs : m_srtt_ns + m_variation_ns;
    }

  private:
    int64_t m_srtt_ns{0};
    int64_t m_deviation_ns{0};       // 4 times the mean deviation
    int64_t m_variation_ns{0};       // 4 RTTVAR
    int64_t m_round_deviation_ns{0}; // largest of this round
    ns3::SequenceNumber32 m_round_end{0};
};

} // namespace cosim
