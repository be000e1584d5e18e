// SPDX-License-Identifier: GPL-2.0-only
//
// IPv4 routing by host routes in a hash table: ns-3's static routing searches a list, per packet and UE.
#pragma once

#include "ns3/ipv4-route.h"
#include "ns3/ipv4-routing-protocol.h"

#include <unordered_map>

namespace cosim
{

class HostRouting : public ns3::Ipv4RoutingProtocol
{
  public:
    static ns3::TypeId GetTypeId();

    /// Packets for `destination` leave by `device` with the source address `source`.
    void AddRoute(ns3::Ipv4Address destination, ns3::Ipv4Address source, ns3::Ptr<ns3::NetDevice> device);

    /// Packets for anything else leave by `device`.
    void SetDefaultRoute(ns3::Ipv4Address source, ns3::Ptr<ns3::NetDevice> device);

    ns3::Ptr<ns3::Ipv4Route> RouteOutput(ns3::Ptr<ns3::Packet> packet,
                                         const ns3::Ipv4Header& header,
                                         ns3::Ptr<ns3::NetDevice> device,
                                         ns3::Socket::SocketErrno& error) override;
    bool RouteInput(ns3::Ptr<const ns3::Packet> packet,
                    const ns3::Ipv4Header& header,
                    ns3::Ptr<const ns3::NetDevice> device,
                    const UnicastForwardCallback& forward,
                    const MulticastForwardCallback& multicast,
                    const LocalDeliverCallback& deliver,
                    const ErrorCallback& error) override;
    void NotifyInterfaceUp(uint32_t interface) override;
    void NotifyInterfaceDown(uint32_t interface) override;
    void NotifyAddAddress(uint32_t interface, ns3::Ipv4InterfaceAddress address) override;
    void NotifyRemoveAddress(uint32_t interface, ns3::Ipv4InterfaceAddress address) override;
    void SetIpv4(ns3::Ptr<ns3::Ipv4> ipv4) override;
    void PrintRoutingTable(ns3::Ptr<ns3::OutputStreamWrapper> stream,
                           ns3::Time::Unit unit = ns3::Time::S) const override;

  private:
    void DoDispose() override;
    ns3::Ptr<ns3::Ipv4Route> Find(ns3::Ipv4Address destination) const;

    std::unordered_map<uint32_t, ns3::Ptr<ns3::Ipv4Route>> m_routes;
    std::unordered_map<uint32_t, uint32_t> m_local; // address -> interface
    ns3::Ptr<ns3::Ipv4Route> m_default;
};

} // namespace cosim
