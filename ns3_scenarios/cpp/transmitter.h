// SPDX-License-Identifier: GPL-2.0-only
//
// What a device hands its packets to.
#pragma once

#include "packet_stamp.h"

#include "ns3/packet.h"
#include "ns3/ptr.h"

namespace cosim
{

class Transmitter
{
  public:
    virtual ~Transmitter() = default;

    /// Take a packet from a node; false if there is no room for it.
    virtual bool Enter(ns3::Ptr<ns3::Packet> packet, const PacketStamp& stamp) = 0;
};

} // namespace cosim
