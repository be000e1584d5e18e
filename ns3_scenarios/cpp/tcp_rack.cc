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

int64_t
Now()
{
    return Simulator::Now().GetNanoSeconds();
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

} // namespace cosim
