// SPDX-License-Identifier: GPL-2.0-only
#include "tcp_demux.h"

#include "tcp_linux.h"

#include "ns3/ipv4-interface.h"
#include "ns3/packet.h"

#include <array>

namespace cosim
{

using namespace ns3;

NS_OBJECT_ENSURE_REGISTERED(TcpDemux);

TypeId
TcpDemux::GetTypeId()
{
    static TypeId tid = TypeId("cosim::TcpDemux").SetParent<TcpL4Protocol>().AddConstructor<TcpDemux>();
    return tid;
}

std::size_t
TcpDemux::Hash::operator()(const Pair& pair) const
{
    const uint64_t addresses = (uint64_t{pair.local.Get()} << 32) | pair.peer.Get();
    const uint64_t ports = (uint64_t{pair.local_port} << 16) | pair.peer_port;
    return (addresses ^ (ports * 0x9e3779b97f4a7c15)) * 0xff51afd7ed558ccd >> 16;
}

void
TcpDemux::Attach(const Pair& pair, TcpLinux& socket)
{
    m_sockets[pair] = &socket;
}

void
TcpDemux::Detach(const Pair& pair, const TcpLinux& socket)
{
    const auto found = m_sockets.find(pair);
    if (found != m_sockets.end() && found->second == &socket)
    {
        m_sockets.erase(found);
    }
}

IpL4Protocol::RxStatus
TcpDemux::Receive(Ptr<Packet> packet, const Ipv4Header& header, Ptr<Ipv4Interface> interface)
{
    // RFC 9293 3.1: ports, sequence number, acknowledgment number, data offset.
    std::array<uint8_t, 13> fixed;
    if (packet->CopyData(fixed.data(), fixed.size()) == fixed.size())
    {
        const auto source_port = static_cast<uint16_t>(fixed[0] << 8 | fixed[1]);
        const auto destination_port = static_cast<uint16_t>(fixed[2] << 8 | fixed[3]);
        const auto found =
            m_sockets.find({header.GetDestination(), header.GetSource(), destination_port, source_port});
        if (found != m_sockets.end() && found->second->IsBound())
        {
            const SequenceNumber32 sequence(static_cast<uint32_t>(fixed[4]) << 24 | fixed[5] << 16 | fixed[6] << 8 |
                                            fixed[7]);
            const Ptr<TcpLinux> socket = found->second;
            socket->SegmentArrives(packet, sequence, (fixed[12] >> 4) * 4U);
            return IpL4Protocol::RX_OK;
        }
    }
    return TcpL4Protocol::Receive(packet, header, interface);
}

} // namespace cosim
