// SPDX-License-Identifier: GPL-2.0-only
#include "cubic_linux.h"

#include "ns3/simulator.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace cosim
{

using namespace ns3;

NS_OBJECT_ENSURE_REGISTERED(CubicLinux);

namespace
{

// Linux: net/ipv4/tcp_cubic.c, default module parameters.
constexpr double kC = 0.4;                           // RFC 9438 5.1, segments per s^3
constexpr uint32_t kBetaScale = 1024;                // beta = 717 / 1024
constexpr uint32_t kBeta = 717;
constexpr uint32_t kHystartLowWindow = 16;           // segments
constexpr int64_t kHystartAckDeltaNs = 2'000'000;
constexpr int64_t kHystartDelayMinNs = 4'000'000;
constexpr int64_t kHystartDelayMaxNs = 16'000'000;
constexpr uint32_t kHystartMinSamples = 8;
constexpr int64_t kDiscardAfterRecoveryNs = 1'000'000'000;
constexpr double kGsoBytes = 65'536;

int64_t
Now()
{
    return Simulator::Now().GetNanoSeconds();
}

} // namespace

TypeId
CubicLinux::GetTypeId()
{
    static TypeId tid = TypeId("cosim::CubicLinux").SetParent<TcpCongestionOps>().AddConstructor<CubicLinux>();
    return tid;
}

std::string
CubicLinux::GetName() const
{
    return "CubicLinux";
}

void
CubicLinux::Init(Ptr<TcpSocketState> tcb)
{
    Reset();
    ResetRound(tcb);
}

Ptr<TcpCongestionOps>
CubicLinux::Fork()
{
    return CopyObject<CubicLinux>(this);
}

void
CubicLinux::TransmissionStarts(const Time& idle)
{
    if (m_epoch_start_ns != 0)
    {
        m_epoch_start_ns = std::min(m_epoch_start_ns + idle.GetNanoSeconds(), Now());
    }
}

void
CubicLinux::WindowUsed(bool limited, uint32_t segments_out)
{
    m_limited = limited;
    m_max_segments_out = segments_out;
}

void
CubicLinux::PktsAcked(Ptr<TcpSocketState> tcb, uint32_t, const Time&)
{
    // The argument is the smoothed RTT; Linux takes the RTT of the segment that was acknowledged last.
    const int64_t delay = tcb->m_lastRtt.Get().GetNanoSeconds();
    if (delay <= 0 || (m_epoch_start_ns != 0 && Now() - m_epoch_start_ns < kDiscardAfterRecoveryNs))
    {
        return;
    }
    if (m_delay_min_ns == 0 || delay < m_delay_min_ns)
    {
        m_delay_min_ns = delay;
    }
    if (!m_found && tcb->m_cWnd < tcb->m_ssThresh)
    {
        DetectExit(tcb, delay);
    }
}

void
CubicLinux::IncreaseWindow(Ptr<TcpSocketState> tcb, uint32_t segments_acked)
{
    uint32_t window = tcb->GetCwndInSegments();
    const bool slow_start = tcb->m_cWnd < tcb->m_ssThresh;
    // Linux: tcp_is_cwnd_limited().
    if (!m_limited && !(slow_start && window < 2 * m_max_segments_out))
    {
        return;
    }
    if (slow_start)
    {
        const uint32_t grown = std::min(window + segments_acked, std::max(window, tcb->GetSsThreshInSegments()));
        segments_acked -= std::min(segments_acked, grown - window);
        window = grown;
    }
    if (segments_acked > 0)
    {
        // Linux: tcp_cong_avoid_ai().
        const uint32_t needed = SegmentsPerIncrease(tcb, window, segments_acked);
        if (m_count >= needed)
        {
            m_count = 0;
            ++window;
        }
        m_count += segments_acked;
        window += m_count / needed;
        m_count %= needed;
    }
    tcb->m_cWnd = window * tcb->m_segmentSize;
}

uint32_t
CubicLinux::GetSsThresh(Ptr<const TcpSocketState> tcb, uint32_t)
{
    const uint32_t window = tcb->GetCwndInSegments();
    m_epoch_start_ns = 0;
    // Fast convergence, RFC 9438 4.7.
    m_last_max_window =
        window < m_last_max_window ? window * (kBetaScale + kBeta) / (2 * kBetaScale) : window;
    return std::max(window * kBeta / kBetaScale, 2U) * tcb->m_segmentSize;
}

void
CubicLinux::CongestionStateSet(Ptr<TcpSocketState> tcb, const TcpSocketState::TcpCongState_t state)
{
    if (state == TcpSocketState::CA_LOSS)
    {
        Reset();
        ResetRound(tcb);
    }
}

void
CubicLinux::Reset()
{
    m_last_max_window = 0;
    m_origin = 0;
    m_k_s = 0;
    m_epoch_start_ns = 0;
    m_delay_min_ns = 0;
    m_acked = 0;
    m_reno_window = 0;
    m_found = false;
}

void
CubicLinux::ResetRound(Ptr<const TcpSocketState> tcb)
{
    m_round_start_ns = Now();
    m_last_ack_ns = m_round_start_ns;
    m_round_end = tcb->m_highTxMark;
    m_round_rtt_ns = std::numeric_limits<int64_t>::max();
    m_round_samples = 0;
}

void
CubicLinux::DetectExit(Ptr<TcpSocketState> tcb, int64_t delay_ns)
{
    if (tcb->m_lastAckedSeq > m_round_end)
    {
        ResetRound(tcb);
    }
    if (tcb->GetCwndInSegments() < kHystartLowWindow)
    {
        return;
    }
    const int64_t now = Now();
    if (now - m_last_ack_ns <= kHystartAckDeltaNs)
    {
        m_last_ack_ns = now;
        // Linux halves the threshold for senders that do not pace.
        if (now - m_round_start_ns > (m_delay_min_ns + AckDelay(tcb)) / 2)
        {
            m_found = true;
        }
    }
    m_round_rtt_ns = std::min(m_round_rtt_ns, delay_ns);
    if (m_round_samples < kHystartMinSamples)
    {
        ++m_round_samples;
    }
    else if (m_round_rtt_ns > m_delay_min_ns + std::clamp(m_delay_min_ns / 8, kHystartDelayMinNs, kHystartDelayMaxNs))
    {
        m_found = true;
    }
    if (m_found)
    {
        tcb->m_ssThresh = tcb->m_cWnd.Get();
    }
}

uint32_t
CubicLinux::SegmentsPerIncrease(Ptr<const TcpSocketState>, uint32_t window, uint32_t acked)
{
    const int64_t now = Now();
    m_acked += acked;
    if (m_epoch_start_ns == 0)
    {
        m_epoch_start_ns = now;
        m_acked = acked;
        m_reno_window = window;
        m_origin = std::max(m_last_max_window, window);
        m_k_s = std::cbrt((m_origin - window) / kC);
    }
    const double t_s = static_cast<double>(now - m_epoch_start_ns + m_delay_min_ns) * 1e-9;
    // Whole segments, as the kernel's integers: no growth until the curve has passed the next one.
    const auto distance = static_cast<int64_t>(kC * std::pow(std::abs(t_s - m_k_s), 3));
    const int64_t target = t_s < m_k_s ? m_origin - distance : m_origin + distance;
    uint32_t count = 100 * window;
    if (target > window)
    {
        count = static_cast<uint32_t>(window / (target - window));
    }
    if (m_last_max_window == 0)
    {
        count = std::min(count, 20U);
    }
    // Reno-friendly region, RFC 9438 4.3: segments that a Reno flow of the same beta needs for one more.
    const uint32_t per_segment = window * (8 * (kBetaScale + kBeta) / 3 / (kBetaScale - kBeta)) / 8;
    while (per_segment > 0 && m_acked > per_segment)
    {
        m_acked -= per_segment;
        ++m_reno_window;
    }
    if (m_reno_window > window)
    {
        count = std::min(count, window / (m_reno_window - window));
    }
    return std::max(count, 2U);
}

int64_t
CubicLinux::AckDelay(Ptr<const TcpSocketState> tcb)
{
    // Linux: hystart_ack_delay(), of the pacing rate by tcp_update_pacing_rate().
    const double srtt_s = tcb->m_srtt.Get().GetSeconds();
    if (srtt_s <= 0)
    {
        return 0;
    }
    const double gain = tcb->m_cWnd < tcb->m_ssThresh / 2 ? 2.0 : 1.2;
    const double rate = gain * tcb->m_cWnd / srtt_s;
    return static_cast<int64_t>(std::min(1e6, kGsoBytes * 4 * 1e9 / rate));
}

} // namespace cosim
