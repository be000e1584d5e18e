// SPDX-License-Identifier: GPL-2.0-only
#include "tcp_rack.h"

#include "cubic_linux.h"

#include "ns3/rtt-estimator.h"
#include "ns3/simulator.h"
#include "ns3/tcp-option-ts.h"
#include "ns3/tcp-tx-buffer.h"

#include <algorithm>

namespace cosim
{

using namespace ns3;

NS_OBJECT_ENSURE_REGISTERED(TcpRack);

namespace
{

constexpr uint32_t kInitialWindow = 10;                  // RFC 6928
constexpr int64_t kMaxRtoNs = 120'000'000'000;           // Linux: TCP_RTO_MAX
constexpr int64_t kTickNs = 4'000'000;                   // Linux: HZ=250
constexpr int64_t kTimeoutMinNs = 2 * kTickNs;           // Linux: TCP_TIMEOUT_MIN
constexpr int64_t kGiveUpNs = 924'600'000'000;           // Linux: tcp_retries2 = 15 from an RTO of 200 ms

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

TypeId
TcpRack::GetTypeId()
{
    static TypeId tid = TypeId("cosim::TcpRack").SetParent<TcpLinux>().AddConstructor<TcpRack>();
    return tid;
}

TypeId
TcpRack::GetInstanceTypeId() const
{
    return GetTypeId();
}

TcpRack::TcpRack(const TcpRack& other)
    : TcpLinux(other)
{
    FindControl();
}

TcpRack::~TcpRack()
{
    m_expiry.Cancel();
    m_transmission.Cancel();
}

void
TcpRack::FindControl()
{
    m_cubic = dynamic_cast<CubicLinux*>(PeekPointer(m_congestionControl));
}

Ptr<TcpSocketBase>
TcpRack::Fork()
{
    return CopyObject<TcpRack>(this);
}

int
TcpRack::Send(Ptr<Packet> packet, uint32_t flags)
{
    const int sent = TcpLinux::Send(packet, flags);
    if (sent >= 0 && !m_transmission.IsPending())
    {
        // As ns-3 does: what the application writes at one instant leaves together.
        m_transmission = Simulator::Schedule(TimeStep(1), &TcpRack::Transmit, this);
    }
    return sent;
}

/// ns-3's own loop never finds room; `Transmit` sends.
uint32_t
TcpRack::AvailableWindow() const
{
    return 0;
}

uint32_t
TcpRack::BytesInFlight() const
{
    return m_sent.InFlight() * m_tcb->m_segmentSize;
}

/// The handshake's sample; those of data are taken from `m_sent`.
void
TcpRack::EstimateRtt(const TcpHeader& header)
{
    if (m_state != SYN_SENT && m_state != SYN_RCVD)
    {
        return;
    }
    const uint32_t before = m_rtt->GetNSamples();
    TcpLinux::EstimateRtt(header);
    if (m_rtt->GetNSamples() > before)
    {
        const int64_t rtt_ns = m_tcb->m_lastRtt.Get().GetNanoSeconds();
        m_rtt_linux.Sample(rtt_ns, m_tcb->m_nextTxSequence, m_tcb->m_nextTxSequence);
        m_sent.SampleMinRtt(rtt_ns);
    }
}

void
TcpRack::UpdateRttHistory(const SequenceNumber32& seq, uint32_t size, bool is_retransmission)
{
    if (size == 0)
    {
        TcpLinux::UpdateRttHistory(seq, size, is_retransmission);
    }
}

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

/// Send new data while the window has room: tcp_write_xmit().
void
TcpRack::Transmit()
{
    if (m_endPoint == nullptr || !m_connected)
    {
        return;
    }
    if (m_sent.Empty() && MaySend())
    {
        RestartAfterIdle();
    }
    bool sent = false;
    while (m_sent.InFlight() < WindowSegments() && SendNext())
    {
        sent = true;
        m_prr_out += Reducing() ? 1 : 0;
    }
    const bool limited = m_sent.InFlight() >= WindowSegments();
    if (sent)
    {
        ArmProbe(false);
    }
    if (sent || limited)
    {
        ValidateWindow();
    }
}

/// Whether there is a segment that was never sent and that the peer's window holds.
bool
TcpRack::MaySend() const
{
    const SequenceNumber32 next = m_tcb->m_nextTxSequence;
    const SequenceNumber32 tail = m_txBuffer->TailSequence();
    if (tail <= next)
    {
        return false;
    }
    const uint32_t size = std::min<uint32_t>(tail - next, m_tcb->m_segmentSize);
    return next + size <= m_highRxAckMark.Get() + m_rWnd.Get();
}

bool
TcpRack::SendNext()
{
    if (!MaySend())
    {
        return false;
    }
    const int64_t now = Now();
    if (m_sent.InFlight() == 0 && m_sent_data)
    {
        m_cubic->TransmissionStarts(NanoSeconds(now - m_last_data_ns));
    }
    m_sent_data = true;
    m_last_data_ns = now;
    const SequenceNumber32 begin = m_tcb->m_nextTxSequence;
    const bool first = m_sent.Empty();
    const uint32_t size = SendDataPacket(begin, m_tcb->m_segmentSize, true);
    m_retxEvent.Cancel();
    m_tcb->m_nextTxSequence += size;
    m_sent.Sent(begin, begin + size, now);
    if (first || m_timer == Timer::kProbe)
    {
        ArmRetransmit();
    }
    return true;
}

void
TcpRack::Resend(SentSegments::Segment& segment)
{
    SendDataPacket(segment.begin, segment.end - segment.begin, true);
    m_retxEvent.Cancel();
    if (m_first_resent_ts == 0)
    {
        m_first_resent_ts = TcpOptionTS::NowToTsValue();
    }
    m_last_data_ns = Now();
    m_sent.Resent(segment, m_last_data_ns);
}

/// Send again what is lost, as far as the window goes: tcp_xmit_retransmit_queue().
void
TcpRack::ResendLost()
{
    bool head = false;
    while (m_sent.InFlight() < WindowSegments())
    {
        SentSegments::Segment* const lost = m_sent.FirstLost();
        if (lost == nullptr)
        {
            break;
        }
        head |= lost == &m_sent.First();
        Resend(*lost);
        m_prr_out += Reducing() ? 1 : 0;
    }
    if (head && m_timer != Timer::kReorder)
    {
        Arm(Timer::kRetransmit, TimeoutNs());
    }
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

} // namespace cosim
