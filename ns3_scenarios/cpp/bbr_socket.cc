// SPDX-License-Identifier: GPL-2.0-only
#include "bbr_socket.h"

#include "ns3/ipv4-end-point.h"
#include "ns3/tcp-tx-buffer.h"

#include <sstream>

namespace cosim
{

using namespace ns3;

NS_OBJECT_ENSURE_REGISTERED(BbrSocket);

TypeId
BbrSocket::GetTypeId()
{
    static TypeId tid = TypeId("cosim::BbrSocket").SetParent<TcpLinux>().AddConstructor<BbrSocket>();
    return tid;
}

TypeId
BbrSocket::GetInstanceTypeId() const
{
    return GetTypeId();
}

BbrSocket::BbrSocket(const BbrSocket& other)
    : TcpLinux(other)
{
    Follow();
}

Ptr<TcpSocketBase>
BbrSocket::Fork()
{
    return CopyObject<BbrSocket>(this);
}

void
BbrSocket::FindControl()
{
    Follow();
}

void
BbrSocket::Follow()
{
    m_bbr = dynamic_cast<BbrLinux*>(PeekPointer(m_congestionControl));
    m_rateOps = m_bbr->Follow(m_txBuffer, m_tcb->m_segmentSize);
}

int
BbrSocket::Send(Ptr<Packet> packet, uint32_t flags)
{
    BytesInFlight(); // refreshes the number in m_tcb
    m_bbr->ApplicationWrites(m_tcb);
    return TcpLinux::Send(packet, flags);
}

uint32_t
BbrSocket::AvailableWindow() const
{
    return m_pacingTimer.IsRunning() && m_bbr->Holds() ? 0 : TcpLinux::AvailableWindow();
}

uint32_t
BbrSocket::SendDataPacket(SequenceNumber32 seq, uint32_t max_size, bool with_ack)
{
    if (!m_named)
    {
        m_named = true;
        std::ostringstream name;
        name << m_endPoint->GetLocalAddress() << ":" << m_endPoint->GetLocalPort() << "/"
             << m_endPoint->GetPeerAddress() << ":" << m_endPoint->GetPeerPort();
        m_bbr->SetName(name.str());
    }
    const uint32_t sent = TcpLinux::SendDataPacket(seq, max_size, with_ack);
    // ns-3's own pacing is off; its timer sends what may leave when it runs out.
    m_pacingTimer.Cancel();
    m_pacingTimer.Schedule(m_bbr->Sent(sent));
    return sent;
}

} // namespace cosim
