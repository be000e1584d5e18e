// SPDX-License-Identifier: GPL-2.0-only
#include "bbr_pacer.h"

#include "bbr_path.h"

#include "ns3/simulator.h"

#include <algorithm>

namespace cosim
{

using namespace ns3;

namespace
{

// Linux: net/ipv4/tcp_bbr.c, tcp_output.c.
constexpr uint32_t kHighGain = kBbrUnit * 2885 / 1000 + 1;
constexpr double kShare = 0.99; // bbr_pacing_margin_percent
const Time kNominalRtt = MilliSeconds(1);
constexpr uint32_t kUnpacedSegments = 10;
constexpr double kSlowRate = 1.2e6 / 8;             // bytes per s; below it a burst is one segment
constexpr double kBurstsPerSecond = 1 << 10;        // sk_pacing_shift
constexpr double kMaxBurstBytes = 65'536 - 1 - 320; // GSO_LEGACY_MAX_SIZE, MAX_TCP_HEADER

} // namespace

void
BbrPacer::SetSegmentSize(uint32_t n_bytes)
{
    m_segment_size = n_bytes;
}

double
BbrPacer::RateOf(double segments_per_s, uint32_t gain) const
{
    return segments_per_s * m_segment_size * gain / kBbrUnit * kShare;
}

void
BbrPacer::SetRate(double segments_per_s, uint32_t gain, bool full, uint32_t window, Time srtt)
{
    if (!m_has_seen_rtt)
    {
        m_has_seen_rtt = srtt.IsStrictlyPositive();
        m_rate = RateOf(window / (m_has_seen_rtt ? srtt : kNominalRtt).GetSeconds(), kHighGain);
    }
    const double rate = RateOf(segments_per_s, gain);
    m_rate = full ? rate : std::max(m_rate, rate);
}

DataRate
BbrPacer::Rate() const
{
    return DataRate(static_cast<uint64_t>(m_rate * 8));
}

uint32_t
BbrPacer::BurstSegments() const
{
    const auto n_bytes = static_cast<uint32_t>(std::min(m_rate / kBurstsPerSecond, kMaxBurstBytes));
    return std::max(n_bytes / m_segment_size, m_rate < kSlowRate ? 1U : 2U);
}

void
BbrPacer::Sent(uint32_t n_bytes)
{
    const Time now = Simulator::Now();
    if (m_left == 0 || m_start != now)
    {
        m_start = now;
        m_late = std::max(now - m_next, Time(0));
        m_left = BurstSegments();
        m_cost = Time(0);
    }
    --m_left;
    if (++m_segments >= kUnpacedSegments && m_rate > 0)
    {
        m_cost += NanoSeconds(static_cast<int64_t>(n_bytes * 1e9 / m_rate));
    }
    m_next = now + m_cost - std::min(m_cost / 2, m_late);
}

bool
BbrPacer::Holds() const
{
    const Time now = Simulator::Now();
    return m_next > now && !(m_start == now && m_left > 0);
}

Time
BbrPacer::UntilNext() const
{
    return std::max(m_next - Simulator::Now(), Time(0));
}

} // namespace cosim
