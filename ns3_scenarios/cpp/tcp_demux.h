// SPDX-License-Identifier: GPL-2.0-only
//
// Finds the socket of an arriving segment by a hash of its addresses and ports.
#pragma once

#include "ns3/ipv4-address.h"
#include "ns3/tcp-l4-protocol.h"

#include <cstdint>
#include <unordered_map>

namespace cosim
{

class TcpLinux;

/// ns-3's TcpL4Protocol parses the whole TCP header twice before the socket parses it again, each time creating an
/// object per option, and searches a list of all end points. Segments of established pairs skip that.
class TcpDemux : public ns3::TcpL4Protocol
{
  public:
    static ns3::TypeId GetTypeId();

    struct Pair
    {
        ns3::Ipv4Address local;
        ns3::Ipv4Address peer;
        uint16_t local_port{0};
        uint16_t peer_port{0};

        bool operator==(const Pair& other) const = default;
    };

    void Attach(const Pair& pair, TcpLinux& socket);
    void Detach(const Pair& pair, const TcpLinux& socket);

    using ns3::TcpL4Protocol::Receive;
    ns3::IpL4Protocol::RxStatus Receive(ns3::Ptr<ns3::Packet> packet,
                                        const ns3::Ipv4Header& header,
                                        ns3::Ptr<ns3::Ipv4Interface> interface) override;

  private:
    struct Hash
    {
        std::size_t operator()(const Pair& pair) const;
    };

    std::unordered_map<Pair, TcpLinux*, Hash> m_sockets;
};

} // namespace cosim
