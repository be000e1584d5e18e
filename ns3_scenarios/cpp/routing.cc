// SPDX-License-Identifier: GPL-2.0-only
#include "routing.h"

#include "ns3/net-device.h"
#include "ns3/output-stream-wrapper.h"

namespace cosim
{

using namespace ns3;

NS_OBJECT_ENSURE_REGISTERED(HostRouting);

namespace
{

Ptr<Ipv4Route>
MakeRoute(Ipv4Address destination, Ipv4Address source, Ptr<NetDevice> device)
{
    Ptr<Ipv4Route> route = Create<Ipv4Route>();
    route->SetDestination(destination);
    route->SetSource(source);
    route->SetGateway(Ipv4Address::GetZero());
    route->SetOutputDevice(device);
    return route;
}

} // namespace

TypeId
HostRouting::GetTypeId()
{
    static TypeId tid = TypeId("cosim::HostRouting").SetParent<Ipv4RoutingProtocol>().AddConstructor<HostRouting>();
    return tid;
}

void
HostRouting::AddRoute(Ipv4Address destination, Ipv4Address source, Ptr<NetDevice> device)
{
    m_routes[destination.Get()] = MakeRoute(destination, source, device);
}

void
HostRouting::SetDefaultRoute(Ipv4Address source, Ptr<NetDevice> device)
{
    m_default = MakeRoute(Ipv4Address::GetZero(), source, device);
}

Ptr<Ipv4Route>
HostRouting::Find(Ipv4Address destination) const
{
    const auto found = m_routes.find(destination.Get());
    return found == m_routes.end() ? m_default : found->second;
}

Ptr<Ipv4Route>
HostRouting::RouteOutput(Ptr<Packet>, const Ipv4Header& header, Ptr<NetDevice>, Socket::SocketErrno& error)
{
    Ptr<Ipv4Route> route = Find(header.GetDestination());
    error = route ? Socket::ERROR_NOTERROR : Socket::ERROR_NOROUTETOHOST;
    return route;
}

bool
HostRouting::RouteInput(Ptr<const Packet> packet,
                        const Ipv4Header& header,
                        Ptr<const NetDevice>,
                        const UnicastForwardCallback& forward,
                        const MulticastForwardCallback&,
                        const LocalDeliverCallback& deliver,
                        const ErrorCallback&)
{
    const Ipv4Address destination = header.GetDestination();
    if (const auto local = m_local.find(destination.Get()); local != m_local.end())
    {
        deliver(packet, header, local->second);
        return true;
    }
    if (const Ptr<Ipv4Route> route = Find(destination))
    {
        forward(route, packet, header);
        return true;
    }
    return false;
}

void
HostRouting::NotifyInterfaceUp(uint32_t)
{
}

void
HostRouting::NotifyInterfaceDown(uint32_t)
{
}

void
HostRouting::NotifyAddAddress(uint32_t interface, Ipv4InterfaceAddress address)
{
    m_local[address.GetLocal().Get()] = interface;
}

void
HostRouting::NotifyRemoveAddress(uint32_t, Ipv4InterfaceAddress address)
{
    m_local.erase(address.GetLocal().Get());
}

void
HostRouting::SetIpv4(Ptr<Ipv4>)
{
}

void
HostRouting::PrintRoutingTable(Ptr<OutputStreamWrapper> stream, Time::Unit) const
{
    for (const auto& [destination, route] : m_routes)
    {
        *stream->GetStream() << Ipv4Address(destination) << " if " << route->GetOutputDevice()->GetIfIndex() << '\n';
    }
}

void
HostRouting::DoDispose()
{
    m_routes.clear();
    m_default = nullptr;
    Ipv4RoutingProtocol::DoDispose();
}

} // namespace cosim
