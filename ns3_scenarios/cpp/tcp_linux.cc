// SPDX-License-Identifier: GPL-2.0-only
#include "tcp_linux.h"

#include "bbr_socket.h"
#include "cubic_linux.h"
#include "tcp_rack.h"

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
constexpr uint32_t kDataRetries = 15;                // Linux: tcp_retries2; ns-3's own backs off to 60 s, Linux's to 120 s
const Time kOrphanLimit = Seconds(100);              // Linux: 8 retries of an orphaned socket, about 100 s

} // namespace

TypeId
TcpLinux::GetTypeId()
{
    static TypeId tid = TypeId("cosim::TcpLinux").SetParent<TcpSocketBase>();
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
    set_time("ns3::TcpSocket::DelAckTimeout", NanoSeconds(QuickAck::kDelayNs));
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
        socket = CreateObject<TcpRack>();
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
TcpLinux::RestartsAfterIdle() const
{
    return m_restart_after_idle;
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
    m_quick_ack.Sent(Simulator::Now().GetNanoSeconds());
    return TcpSocketBase::SendDataPacket(seq, max_size, with_ack);
}

void
TcpLinux::ReceivedData(Ptr<Packet> packet, const TcpHeader& header)
{
    const bool at_once = m_quick_ack.Arrived(packet->GetSize(),
                                             m_tcb->m_segmentSize,
                                             Simulator::Now().GetNanoSeconds(),
                                             m_rtt->GetNSamples() > 0 ? m_rtt->GetEstimate().GetNanoSeconds() : 0);
    m_delAckMaxCount = at_once ? 1 : 2;
    TcpSocketBase::ReceivedData(packet, header);
}

void
TcpLinux::DelAckTimeout()
{
    m_quick_ack.Delayed();
    TcpSocketBase::DelAckTimeout();
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
    CloseOnceEmpty();
}

void
TcpLinux::CloseOnceEmpty()
{
    // ns-3 puts a deferred FIN on the last segment it sends, and forgets it if a retransmission had moved SND.NXT back
    // over segments that were out already.
    if (m_closeOnEmpty && m_txBuffer->Size() == 0 && (m_state == ESTABLISHED || m_state == CLOSE_WAIT))
    {
        DoClose();
    }
}

} // namespace cosim
