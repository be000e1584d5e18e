// SPDX-License-Identifier: GPL-2.0-only
#include "link_device.h"

#include "epoch.h"

#include "ns3/channel.h"
#include "ns3/simulator.h"

#include <array>

namespace cosim
{

using namespace ns3;

namespace
{

/// Destination address and both ports of an IPv4 packet with TCP (RFC 791 3.1 without options, RFC 9293 3.1).
uint64_t
FlowOf(const Packet& packet)
{
    std::array<uint8_t, 24> head{};
    packet.CopyData(head.data(), head.size());
    uint64_t flow = 0;
    for (std::size_t i = 16; i < head.size(); ++i)
    {
        flow = flow << 8 | head[i];
    }
    return flow;
}

} // namespace

NS_OBJECT_ENSURE_REGISTERED(LinkDevice);

TypeId
LinkDevice::GetTypeId()
{
    static TypeId tid = TypeId("cosim::LinkDevice").SetParent<NetDevice>().AddConstructor<LinkDevice>();
    return tid;
}

void
LinkDevice::Connect(Transmitter& outgoing, StampContext& context, bool originates)
{
    m_outgoing = &outgoing;
    m_context = &context;
    m_originates = originates;
}

void
LinkDevice::SetIpv4(Ptr<Ipv4L3Protocol> ipv4)
{
    m_ipv4 = ipv4;
}

void
LinkDevice::SetCapture(Ptr<PcapFileWrapper> capture)
{
    m_capture = capture;
}

void
LinkDevice::Receive(Ptr<Packet> packet, const PacketStamp& stamp)
{
    m_context->arriving = stamp;
    Capture(packet);
    m_ipv4->Receive(this, packet, Ipv4L3Protocol::PROT_NUMBER, m_address, m_address, PACKET_HOST);
}

bool
LinkDevice::Send(Ptr<Packet> packet, const Address&, uint16_t)
{
    Capture(packet);
    return m_outgoing->Enter(packet,
                             m_originates ? PacketStamp::Emitted(Simulator::Now().GetNanoSeconds(), FlowOf(*packet))
                                          : m_context->arriving);
}

bool
LinkDevice::SendFrom(Ptr<Packet> packet, const Address&, const Address& dest, uint16_t protocol)
{
    return Send(packet, dest, protocol);
}

void
LinkDevice::Capture(Ptr<const Packet> packet) const
{
    if (m_capture)
    {
        m_capture->Write(NanoSeconds(EpochNow()), packet);
    }
}

void
LinkDevice::DoDispose()
{
    m_ipv4 = nullptr;
    m_capture = nullptr;
    m_node = nullptr;
    NetDevice::DoDispose();
}

void
LinkDevice::SetIfIndex(const uint32_t index)
{
    m_if_index = index;
}

uint32_t
LinkDevice::GetIfIndex() const
{
    return m_if_index;
}

Ptr<Channel>
LinkDevice::GetChannel() const
{
    return nullptr;
}

void
LinkDevice::SetAddress(Address address)
{
    m_address = Mac48Address::ConvertFrom(address);
}

Address
LinkDevice::GetAddress() const
{
    return m_address;
}

bool
LinkDevice::SetMtu(const uint16_t mtu)
{
    m_mtu = mtu;
    return true;
}

uint16_t
LinkDevice::GetMtu() const
{
    return m_mtu;
}

bool
LinkDevice::IsLinkUp() const
{
    return true;
}

void
LinkDevice::AddLinkChangeCallback(Callback<void>)
{
}

bool
LinkDevice::IsBroadcast() const
{
    return false;
}

Address
LinkDevice::GetBroadcast() const
{
    return m_address;
}

bool
LinkDevice::IsMulticast() const
{
    return false;
}

Address
LinkDevice::GetMulticast(Ipv4Address) const
{
    return m_address;
}

Address
LinkDevice::GetMulticast(Ipv6Address) const
{
    return m_address;
}

bool
LinkDevice::IsBridge() const
{
    return false;
}

bool
LinkDevice::IsPointToPoint() const
{
    return true;
}

Ptr<Node>
LinkDevice::GetNode() const
{
    return m_node;
}

void
LinkDevice::SetNode(Ptr<Node> node)
{
    m_node = node;
}

bool
LinkDevice::NeedsArp() const
{
    return false;
}

void
LinkDevice::SetReceiveCallback(ReceiveCallback)
{
}

void
LinkDevice::SetPromiscReceiveCallback(PromiscReceiveCallback)
{
}

bool
LinkDevice::SupportsSendFrom() const
{
    return false;
}

} // namespace cosim
