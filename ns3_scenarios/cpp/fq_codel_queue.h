// SPDX-License-Identifier: GPL-2.0-only
//
// FlowQueue-CoDel as the queue of a direction of a link.
#pragma once

#include "network.h"
#include "packet_stamp.h"

#include "ns3/fq-codel-queue-disc.h"
#include "ns3/packet.h"
#include "ns3/ptr.h"

#include <cstdint>
#include <optional>

namespace cosim
{

/// ns-3's FqCoDelQueueDisc (RFC 8290) over its CoDelQueueDisc (RFC 8289), without ECN. Packets are hashed by source and
/// destination address, protocol and ports, as ns-3's Ipv4QueueDiscItem does, without a random salt.
///
/// Packets leave by deficit round robin and CoDel drops at their departure, so that nothing can be settled when a
/// packet enters.
class FqCodelQueue
{
  public:
    struct Waiting
    {
        ns3::Ptr<ns3::Packet> packet;
        PacketStamp stamp;
    };

    explicit FqCodelQueue(const FqCodel& value);
    ~FqCodelQueue();
    FqCodelQueue(const FqCodelQueue&) = delete;
    FqCodelQueue& operator=(const FqCodelQueue&) = delete;

    void Enqueue(ns3::Ptr<ns3::Packet> packet, const PacketStamp& stamp);

    /// The packet to send now; none if there is none, or CoDel has dropped the last.
    std::optional<Waiting> Dequeue();

    bool Empty() const;
    int64_t Bytes() const;

    /// Packets dropped since the last call, for want of room or by CoDel.
    int64_t TakeDrops();

  private:
    ns3::Ptr<ns3::FqCoDelQueueDisc> m_disc;
    int64_t m_drops_taken{0};
};

} // namespace cosim
