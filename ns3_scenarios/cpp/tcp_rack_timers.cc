// SPDX-License-Identifier: GPL-2.0-only
//
// The sender's timer: retransmission, tail loss probe, reordering window (net/ipv4/tcp_timer.c, tcp_recovery.c).
#include "tcp_rack.h"

#include "ns3/simulator.h"
#include "ns3/tcp-tx-buffer.h"

#include <algorithm>

namespace cosim
{

using namespace ns3;

namespace
{

constexpr int64_t kMaxRtoNs = 120'000'000'000;   // Linux: TCP_RTO_MAX
constexpr int64_t kTickNs = 4'000'000;           // Linux: HZ=250
constexpr int64_t kTimeoutMinNs = 2 * kTickNs;   // Linux: TCP_TIMEOUT_MIN
constexpr int64_t kGiveUpNs = 924'600'000'000;   // Linux: tcp_retries2 = 15 from an RTO of 200 ms

int64_t
Now()
{
    return Simulator::Now().GetNanoSeconds();
}

/// When a kernel timer fires, on average. It counts whole ticks, never fires early, and beyond 63 ticks looks every 8
/// ticks only, beyond 504 every 64 (kernel/time/timer.c).
int64_t
TimerDelay(int64_t delay_ns)
{
    const int64_t ticks = (delay_ns + kTickNs - 1) / kTickNs;
    const int64_t granularity = ticks < 63 ? 1 : ticks < 504 ? 8 : 64;
    return ticks * kTickNs + granularity * kTickNs / 2;
}

} // namespace

int64_t
TcpRack::TimeoutNs() const
{
    const int64_t timeout = m_rtt_linux.TimeoutNs();
    return m_backoff >= 16 ? kMaxRtoNs : std::min(timeout << m_backoff, kMaxRtoNs);
}

void
TcpRack::Arm(Timer timer, int64_t delay_ns)
{
    m_timer = timer;
    m_deadline_ns = Now() + TimerDelay(delay_ns);
    if (m_expiry.IsPending())
    {
        if (static_cast<int64_t>(m_expiry.GetTs()) <= m_deadline_ns)
        {
            return;
        }
        m_expiry.Cancel();
    }
    m_expiry = Simulator::Schedule(NanoSeconds(m_deadline_ns - Now()), &TcpRack::TimerExpires, this);
}

/// tcp_rearm_rto().
void
TcpRack::ArmRetransmit()
{
    if (m_sent.Empty())
    {
        m_timer = Timer::kNone;
        return;
    }
    int64_t delay = TimeoutNs();
    if (m_timer == Timer::kReorder || m_timer == Timer::kProbe)
    {
        delay = std::max<int64_t>(delay - (Now() - m_sent.First().sent_ns), 1);
    }
    Arm(Timer::kRetransmit, delay);
}

/// tcp_schedule_loss_probe(): false if there is to be none. `advancing`: an acknowledgement restarts the RTO.
bool
TcpRack::ArmProbe(bool advancing)
{
    const auto state = m_tcb->m_congState.Get();
    if (m_sent.Empty() || (state != TcpSocketState::CA_OPEN && state != TcpSocketState::CA_CWR))
    {
        return false;
    }
    int64_t delay = RttLinux::kInitialRtoNs;
    if (const int64_t smoothed = m_rtt_linux.SmoothedNs(); smoothed > 0)
    {
        // The receiver may hold back the acknowledgement of a lone segment.
        delay = 2 * smoothed + (m_sent.Out() == 1 ? RttLinux::kMinRtoNs : kTimeoutMinNs);
    }
    const int64_t timeout = TimeoutNs() - (advancing ? 0 : Now() - m_sent.First().sent_ns);
    Arm(Timer::kProbe, timeout > 0 ? std::min(delay, timeout) : delay);
    return true;
}

void
TcpRack::TimerExpires()
{
    if (m_timer == Timer::kNone || m_sent.Empty() || m_endPoint == nullptr)
    {
        m_timer = Timer::kNone;
        return;
    }
    if (Now() < m_deadline_ns)
    {
        m_expiry = Simulator::Schedule(NanoSeconds(m_deadline_ns - Now()), &TcpRack::TimerExpires, this);
        return;
    }
    switch (m_timer)
    {
    case Timer::kProbe:
        Probe();
        break;
    case Timer::kReorder:
        ReorderingEnds();
        break;
    default:
        TimeOut();
    }
}

/// tcp_send_loss_probe(): new data if there is any, else the last segment again.
void
TcpRack::Probe()
{
    if (!m_probing)
    {
        m_probe_resent = !SendNext();
        if (m_probe_resent)
        {
            // This copy does not count as in flight.
            SentSegments::Segment& last = m_sent.Last();
            SendDataPacket(last.begin, last.end - last.begin, true);
            m_retxEvent.Cancel();
            last.ever_resent = true;
            last.sent_ns = Now();
            m_last_data_ns = last.sent_ns;
        }
        m_probing = true;
        m_probe_end = m_tcb->m_nextTxSequence;
        m_timer = Timer::kNone;
    }
    ArmRetransmit();
}

/// tcp_retransmit_timer().
void
TcpRack::TimeOut()
{
    const int64_t now = Now();
    m_first_timeout_ns = m_first_timeout_ns == 0 ? now : m_first_timeout_ns;
    if (now - m_first_timeout_ns >= kGiveUpNs)
    {
        NotifyErrorClose();
        Abandon();
        return;
    }
    EnterLoss();
    Resend(m_sent.First());
    ++m_backoff;
    Arm(Timer::kRetransmit, TimeoutNs());
}

/// Of the handshake and of FIN only.
void
TcpRack::ReTxTimeout()
{
    if (m_state == SYN_SENT || m_txBuffer->Size() == 0)
    {
        TcpLinux::ReTxTimeout();
    }
}

/// tcp_rack_reo_timeout().
void
TcpRack::ReorderingEnds()
{
    const uint32_t in_flight = m_sent.InFlight();
    m_sent.DetectLoss(Now(), ReorderingWindowNs());
    if (m_sent.InFlight() != in_flight)
    {
        if (m_tcb->m_congState != TcpSocketState::CA_RECOVERY)
        {
            EnterRecovery();
            Reduce(1, false, false);
        }
        ResendLost();
    }
    if (m_timer != Timer::kRetransmit)
    {
        ArmRetransmit();
    }
}

} // namespace cosim
