// SPDX-License-Identifier: GPL-2.0-only
#include "tcp_linux.h"

#include "bbr_socket.h"
#include "cubic_linux.h"

#include "ns3/boolean.h"
#include "ns3/config.h"
#include "ns3/inet-socket-address.h"
#include "ns3/ipv4-end-point.h"
#include "ns3/rtt-estimator.h"
#include "ns3/simulator.h"
#include "ns3/tcp-header.h"
#include "ns3/tcp-l4-protocol.h"
#include "ns3/tcp-prr-recovery.h"
#include "ns3/tcp-rx-buffer.h"
#include "ns3/tcp-tx-buffer.h"
#include "ns3/uinteger.h"

#include <algorithm>
#include <stdexcept>

namespace cosim
{

using namespace ns3;

NS_OBJECT_ENSURE_REGISTERED(TcpLinux);

namespace
{

constexpr uint32_t kInitialWindow = 10;              // RFC 6928
constexpr uint32_t kIpv4TcpTimestampsBytes = 52;     // 20 + 20 + 12
constexpr uint32_t kSendBufferBytes = 4 << 20;       // Linux: tcp_wmem[2]
constexpr uint32_t kReceiveBufferBytes = 6 << 20;    // Linux: tcp_rmem[2]
constexpr uint32_t kSynTransmissions = 7;            // Linux: tcp_syn_retries 6
constexpr uint32_t kDataRetries = 15;                // Linux: tcp_retries2; ns-3 backs off to 60 s, Linux to 120 s
const Time kOrphanLimit = Seconds(100);              // Linux: 8 retries of an orphaned socket, about 100 s

} // namespace

TypeId
TcpLinux::GetTypeId()
{
    static TypeId tid = TypeId("cosim::TcpLinux").SetParent<TcpSocketBase>().AddConstructor<TcpLinux>();
    return tid;
}

TypeId
TcpLinux::GetInstanceTypeId() const
{
    return GetTypeId();
}

TcpLinux::TcpLinux(const TcpLinux& other)
    : TcpSocketBase(other),
      m_restart_after_idle(other.m_restart_after_idle)
{
    FindControl();
}

void
TcpLinux::SetDefaults(const Topology& topology)
{
    const auto set = [](const char* name, uint64_t value) { Config::SetDefault(name, UintegerValue(value)); };
    const auto set_time = [](const char* name, Time value) { Config::SetDefault(name, TimeValue(value)); };
    set("ns3::TcpSocket::SegmentSize", topology.mtu_bytes - kIpv4TcpTimestampsBytes);
    set("ns3::TcpSocket::SndBufSize", kSendBufferBytes);
    set("ns3::TcpSocket::RcvBufSize", kReceiveBufferBytes);
    set("ns3::TcpSocket::InitialCwnd", kInitialWindow);
    set("ns3::TcpSocket::ConnCount", kSynTransmissions);
    set("ns3::TcpSocket::DataRetries", kDataRetries);
    // A Linux receiver acknowledges every segment while the window opens (quick ACK mode).
    set("ns3::TcpSocket::DelAckCount", 1);
    set_time("ns3::TcpSocket::DelAckTimeout", MilliSeconds(40));
    set_time("ns3::TcpSocket::ConnTimeout", Seconds(1));
    Config::SetDefault("ns3::TcpSocket::TcpNoDelay", BooleanValue(true));
    // Linux: RTO = SRTT + max(4 RTTVAR, 200 ms), where RFC 6298 has max(SRTT + 4 RTTVAR, minimum). ns-3 puts its
    // clock granularity in the place of Linux's 200 ms.
    set_time("ns3::TcpSocketBase::ClockGranularity", MilliSeconds(200));
    set_time("ns3::TcpSocketBase::MinRto", MilliSeconds(200));
    set_time("ns3::RttEstimator::InitialEstimation", Seconds(1));
    Config::SetDefault("ns3::TcpSocketBase::Sack", BooleanValue(true));
    Config::SetDefault("ns3::TcpSocketBase::Timestamp", BooleanValue(true));
    Config::SetDefault("ns3::TcpSocketBase::WindowScaling", BooleanValue(true));
}

Ptr<TcpLinux>
TcpLinux::Create(Ptr<Node> node, const Topology& topology)
{
    Ptr<TcpCongestionOps> control;
    Ptr<TcpLinux> socket;
    if (topology.congestion_control == "cubic")
    {
        control = CreateObject<CubicLinux>();
        socket = CreateObject<TcpLinux>();
    }
    else if (topology.congestion_control == "bbr")
    {
        control = CreateObject<BbrLinux>(topology.seed);
        socket = CreateObject<BbrSocket>();
    }
    else
    {
        throw std::invalid_argument("congestion control " + topology.congestion_control + ": take cubic or bbr");
    }
    socket->m_restart_after_idle = topology.slow_start_after_idle;
    socket->SetNode(node);
    socket->SetTcp(node->GetObject<TcpL4Protocol>());
    socket->SetRtt(CreateObject<RttMeanDeviation>());
    socket->SetCongestionControlAlgorithm(control);
    socket->SetRecoveryAlgorithm(CreateObject<TcpPrrRecovery>());
    socket->FindControl();
    return socket;
}

void
TcpLinux::FindControl()
{
    m_cubic = dynamic_cast<CubicLinux*>(PeekPointer(m_congestionControl));
}

Ptr<TcpSocketBase>
TcpLinux::Fork()
{
    return CopyObject<TcpLinux>(this);
}

TcpLinux::~TcpLinux()
{
    if (m_demux)
    {
        m_demux->Detach(m_pair, *this);
    }
}

bool
TcpLinux::ConnectTo(const Address& server)
{
    if (Connect(server) != 0)
    {
        return false;
    }
    Attach();
    return true;
}

void
TcpLinux::CompleteFork(Ptr<Packet> packet, const TcpHeader& header, const Address& from, const Address& to)
{
    TcpSocketBase::CompleteFork(packet, header, from, to);
    Attach();
}

void
TcpLinux::Attach()
{
    if (m_endPoint == nullptr)
    {
        return;
    }
    m_pair = {m_endPoint->GetLocalAddress(),
              m_endPoint->GetPeerAddress(),
              m_endPoint->GetLocalPort(),
              m_endPoint->GetPeerPort()};
    m_local = InetSocketAddress(m_pair.local, m_pair.local_port);
    m_peer = InetSocketAddress(m_pair.peer, m_pair.peer_port);
    m_demux = DynamicCast<TcpDemux>(m_tcp);
    m_demux->Attach(m_pair, *this);
}

bool
TcpLinux::IsBound() const
{
    return m_endPoint != nullptr;
}

void
TcpLinux::SegmentArrives(Ptr<Packet> packet, SequenceNumber32 sequence, uint32_t header_bytes)
{
    const SequenceNumber32 end = sequence + (packet->GetSize() - std::min(packet->GetSize(), header_bytes));
    if (m_refusing && m_state != CLOSED && end > m_tcb->m_rxBuffer->NextRxSequence())
    {
        SendEmptyPacket(TcpHeader::RST);
        m_state = CLOSED; // ns-3 answers whatever comes later with RST, too
        CancelAllTimers();
        return;
    }
    if (packet->GetSize() >= header_bytes &&
        IsValidTcpSegment(sequence, header_bytes, packet->GetSize() - header_bytes))
    {
        DoForwardUp(packet, m_peer, m_local);
    }
}

void
TcpLinux::CloseAfterData()
{
    if (m_txBuffer->SizeFromSequence(m_tcb->m_nextTxSequence) > 0)
    {
        m_closeOnEmpty = true;
    }
    else
    {
        DoClose();
    }
}

void
TcpLinux::RefuseData()
{
    m_refusing = true;
}

void
TcpLinux::Abort()
{
    SendEmptyPacket(TcpHeader::RST);
    Abandon();
}

void
TcpLinux::Abandon()
{
    m_state = CLOSED;
    CancelAllTimers();
    DeallocateEndPoint();
}

int64_t
TcpLinux::BufferedBytes() const
{
    return m_txBuffer->Size();
}

int64_t
TcpLinux::UnreadBytes(const TcpLinux& sender, const TcpLinux& receiver)
{
    // A FIN that has arrived counts as one more byte at the receiver.
    const int32_t unread = sender.m_txBuffer->TailSequence() - receiver.m_tcb->m_rxBuffer->NextRxSequence();
    return std::max(unread, 0);
}

Time
TcpLinux::CalculateRttSample(const TcpHeader& header, const RttHistory& sent)
{
    // ns-3 takes the timestamp option first, which counts milliseconds; Linux measures its own segments in us.
    if (!sent.retx && header.GetAckNumber() >= sent.seq + SequenceNumber32(sent.count))
    {
        return std::max(Simulator::Now() - sent.time, MicroSeconds(1));
    }
    return TcpSocketBase::CalculateRttSample(header, sent);
}

uint32_t
TcpLinux::SendDataPacket(SequenceNumber32 seq, uint32_t max_size, bool with_ack)
{
    const Time now = Simulator::Now();
    if (m_cubic != nullptr && m_sent_data && UnAckDataCount() == 0)
    {
        const Time idle = now - m_last_data;
        if (m_restart_after_idle && idle > m_rto.Get())
        {
            RestartAfterIdle(idle);
        }
        m_cubic->TransmissionStarts(idle);
    }
    m_sent_data = true;
    m_last_data = now;
    const uint32_t sent = TcpSocketBase::SendDataPacket(seq, max_size, with_ack);
    if (m_cubic != nullptr)
    {
        ValidateWindow();
    }
    return sent;
}

void
TcpLinux::SendEmptyPacket(uint8_t flags)
{
    // ns-3 repeats a FIN for ever.
    if ((flags & TcpHeader::FIN) != 0)
    {
        if (m_first_fin.IsZero())
        {
            m_first_fin = Simulator::Now();
        }
        else if (Simulator::Now() - m_first_fin > kOrphanLimit)
        {
            NotifyErrorClose();
            Abandon();
            return;
        }
    }
    TcpSocketBase::SendEmptyPacket(flags);
}

void
TcpLinux::ReceivedAck(Ptr<Packet> packet, const TcpHeader& header)
{
    TcpSocketBase::ReceivedAck(packet, header);
    // ns-3 puts a deferred FIN on the last segment it sends, and forgets it if a retransmission had moved SND.NXT back
    // over segments that were out already.
    if (m_closeOnEmpty && m_txBuffer->Size() == 0 && (m_state == ESTABLISHED || m_state == CLOSE_WAIT))
    {
        DoClose();
    }
}

/// RFC 2861 as in Linux's tcp_cwnd_restart(): halve once for each whole RTO of idle, down to the initial window.
void
TcpLinux::RestartAfterIdle(const Time& idle)
{
    KeepThreshold();
    const Time rto = m_rto.Get();
    uint32_t window = m_tcb->GetCwndInSegments();
    const uint32_t restart = std::min(kInitialWindow, window);
    for (Time left = idle - rto; left > Time(0) && window > restart; left -= rto)
    {
        window >>= 1;
    }
    m_tcb->m_cWnd = std::max(window, restart) * m_tcb->m_segmentSize;
    m_tcb->m_cWndInfl = m_tcb->m_cWnd.Get();
    m_window_stamp = Simulator::Now();
    m_window_used = 0;
}

/// Linux's tcp_cwnd_validate(): whether the window, not the application, limits what is out.
void
TcpLinux::ValidateWindow()
{
    const uint32_t mss = m_tcb->m_segmentSize;
    const bool limited = BytesInFlight() + mss > m_tcb->m_cWnd;
    const uint32_t segments_out = (UnAckDataCount() + mss - 1) / mss;
    if (m_txBuffer->HeadSequence() >= m_usage_end || limited || (!m_limited && segments_out > m_max_segments_out))
    {
        m_limited = limited;
        m_max_segments_out = segments_out;
        m_usage_end = m_tcb->m_highTxMark;
        m_cubic->WindowUsed(m_limited, m_max_segments_out);
    }
    const bool slow_start = m_tcb->m_cWnd < m_tcb->m_ssThresh;
    if (m_limited || (slow_start && m_tcb->GetCwndInSegments() < 2 * m_max_segments_out))
    {
        m_window_used = 0;
        m_window_stamp = Simulator::Now();
        return;
    }
    LimitByApplication(segments_out);
}

/// Linux's tcp_cwnd_application_limited(): after an RTO without need for the window, halve the unused part.
void
TcpLinux::LimitByApplication(uint32_t segments_out)
{
    m_window_used = std::max(m_window_used, segments_out);
    if (!m_restart_after_idle || Simulator::Now() - m_window_stamp < m_rto.Get())
    {
        return;
    }
    const uint32_t window = m_tcb->GetCwndInSegments();
    const uint32_t used = std::max(m_window_used, kInitialWindow);
    if (m_tcb->m_congState == TcpSocketState::CA_OPEN && used < window)
    {
        KeepThreshold();
        m_tcb->m_cWnd = (window + used) / 2 * m_tcb->m_segmentSize;
        m_tcb->m_cWndInfl = m_tcb->m_cWnd.Get();
    }
    m_window_used = 0;
    m_window_stamp = Simulator::Now();
}

/// Linux's tcp_current_ssthresh() in the open state: max(ssthresh, 3/4 cwnd).
void
TcpLinux::KeepThreshold()
{
    const uint32_t window = m_tcb->m_cWnd;
    m_tcb->m_ssThresh = std::max(m_tcb->m_ssThresh.Get(), (window >> 1) + (window >> 2));
}

} // namespace cosim
