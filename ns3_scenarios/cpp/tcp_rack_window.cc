// SPDX-License-Identifier: GPL-2.0-only
//
// The congestion window between acknowledgements: after idle, without need, and during a recovery.
#include "cubic_linux.h"
#include "tcp_rack.h"

#include "ns3/simulator.h"
#include "ns3/tcp-congestion-ops.h"
#include "ns3/tcp-option-ts.h"
#include "ns3/tcp-tx-buffer.h"

#include <algorithm>

namespace cosim
{

using namespace ns3;

namespace
{

constexpr uint32_t kInitialWindow = 10; // RFC 6928

int64_t
Now()
{
    return Simulator::Now().GetNanoSeconds();
}

} // namespace

uint32_t
TcpRack::WindowSegments() const
{
    return m_tcb->m_cWnd / m_tcb->m_segmentSize;
}

void
TcpRack::SetWindow(uint32_t segments)
{
    m_tcb->m_cWnd = std::max(segments, 1U) * m_tcb->m_segmentSize;
    m_tcb->m_cWndInfl = m_tcb->m_cWnd.Get();
}

/// RFC 2861 as in tcp_cwnd_restart(): halve once for each whole RTO of idle, down to the initial window.
void
TcpRack::RestartAfterIdle()
{
    const int64_t timeout = TimeoutNs();
    int64_t left = Now() - m_last_data_ns;
    if (!RestartsAfterIdle() || !m_sent_data || left <= timeout)
    {
        return;
    }
    KeepThreshold();
    uint32_t window = WindowSegments();
    const uint32_t restart = std::min(kInitialWindow, window);
    for (left -= timeout; left > 0 && window > restart; left -= timeout)
    {
        window >>= 1;
    }
    SetWindow(std::max(window, restart));
    m_window_stamp_ns = Now();
    m_window_used = 0;
}

/// tcp_cwnd_validate(): whether the window, not the application, limits what is out.
void
TcpRack::ValidateWindow()
{
    const bool limited = m_sent.InFlight() >= WindowSegments();
    const uint32_t segments_out = m_sent.Out();
    if (m_txBuffer->HeadSequence() >= m_usage_end || limited || (!m_limited && segments_out > m_max_segments_out))
    {
        m_limited = limited;
        m_max_segments_out = segments_out;
        m_usage_end = m_tcb->m_nextTxSequence;
        m_cubic->WindowUsed(m_limited, m_max_segments_out);
    }
    const bool slow_start = m_tcb->m_cWnd < m_tcb->m_ssThresh;
    if (m_limited || (slow_start && WindowSegments() < 2 * m_max_segments_out))
    {
        m_window_used = 0;
        m_window_stamp_ns = Now();
        return;
    }
    LimitByApplication(segments_out);
}

/// tcp_cwnd_application_limited(): after an RTO without need for the window, halve the unused part.
void
TcpRack::LimitByApplication(uint32_t segments_out)
{
    m_window_used = std::max(m_window_used, segments_out);
    if (!RestartsAfterIdle() || Now() - m_window_stamp_ns < TimeoutNs())
    {
        return;
    }
    const uint32_t window = WindowSegments();
    const uint32_t used = std::max(m_window_used, kInitialWindow);
    if (m_tcb->m_congState == TcpSocketState::CA_OPEN && used < window)
    {
        KeepThreshold();
        SetWindow((window + used) / 2);
    }
    m_window_used = 0;
    m_window_stamp_ns = Now();
}

/// tcp_current_ssthresh(): max(ssthresh, 3/4 cwnd) while nothing is being reduced.
void
TcpRack::KeepThreshold()
{
    if (!Reducing())
    {
        const uint32_t window = m_tcb->m_cWnd;
        m_tcb->m_ssThresh = std::max(m_tcb->m_ssThresh.Get(), (window >> 1) + (window >> 2));
    }
}

/// tcp_init_cwnd_reduction().
void
TcpRack::BeginReduction()
{
    m_high = m_tcb->m_nextTxSequence;
    m_probing = false;
    m_prior_window = WindowSegments();
    m_prr_delivered = 0;
    m_prr_out = 0;
    m_tcb->m_ssThresh = m_congestionControl->GetSsThresh(m_tcb, BytesInFlight());
}

/// RFC 6937 as in tcp_cwnd_reduction().
void
TcpRack::Reduce(uint32_t delivered, bool advanced, bool newly_lost)
{
    if (delivered == 0 || m_prior_window == 0)
    {
        return;
    }
    const int64_t threshold = m_tcb->m_ssThresh / m_tcb->m_segmentSize;
    const int64_t in_flight = m_sent.InFlight();
    m_prr_delivered += delivered;
    int64_t may_send = 0;
    if (in_flight > threshold)
    {
        may_send = (threshold * m_prr_delivered + m_prior_window - 1) / m_prior_window - m_prr_out;
    }
    else
    {
        may_send = std::max<int64_t>(static_cast<int64_t>(m_prr_delivered) - m_prr_out, delivered);
        may_send += advanced && !newly_lost ? 1 : 0;
        may_send = std::min(threshold - in_flight, may_send);
    }
    may_send = std::max<int64_t>(may_send, m_prr_out > 0 ? 0 : 1);
    SetWindow(static_cast<uint32_t>(in_flight + may_send));
}

/// tcp_end_cwnd_reduction().
void
TcpRack::EndReduction()
{
    if (m_tcb->m_congState == TcpSocketState::CA_CWR || m_undo)
    {
        SetWindow(m_tcb->m_ssThresh / m_tcb->m_segmentSize);
        m_window_stamp_ns = Now();
    }
}

bool
TcpRack::Reducing() const
{
    const auto state = m_tcb->m_congState.Get();
    return state == TcpSocketState::CA_RECOVERY || state == TcpSocketState::CA_CWR;
}

/// tcp_may_undo(): by the timestamp it answers a segment sent before anything was sent again.
bool
TcpRack::IsSpurious(const TcpHeader& header) const
{
    if (!m_undo || m_first_resent_ts == 0 || !header.HasOption(TcpOption::TS))
    {
        return false;
    }
    const auto option = DynamicCast<const TcpOptionTS>(header.GetOption(TcpOption::TS));
    return option->GetEcho() < m_first_resent_ts;
}

/// tcp_undo_cwnd_reduction().
void
TcpRack::Undo(bool unmark)
{
    if (unmark)
    {
        m_sent.Unmark();
    }
    if (m_prior_threshold > 0)
    {
        SetWindow(std::max(WindowSegments(), m_prior_window));
        m_tcb->m_ssThresh = std::max(m_tcb->m_ssThresh.Get(), m_prior_threshold);
    }
    m_window_stamp_ns = Now();
    m_undo = false;
}

} // namespace cosim
