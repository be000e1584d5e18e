// SPDX-License-Identifier: GPL-2.0-only
//
// What a packet is, as a number: the same in two runs for the same segment of the same connection.
#pragma once

#include "ns3/packet.h"

#include <cstdint>
#include <unordered_map>

namespace cosim
{

/// Names the IPv4 packets that pass one direction of a link.
///
/// A TCP segment with payload is named by its connection and by where in the stream it begins, in full segments, so that
/// the shorter one that a small window makes does not rename all that follow; one that is sent again also by how many
/// times. A segment without payload is named by its acknowledgement number and how many in a row had the same. Any other
/// packet is the n-th of its flow.
///
/// Draws by name stay in step when an earlier packet was late or lost, which draws by the order of packets do not: after
/// a loss two paths of unequal length carry different numbers of acknowledgements and retransmissions.
class PacketIdentity
{
  public:
    /// To be asked once for each packet, in the order in which they pass.
    uint64_t Name(const ns3::Packet& packet);

  private:
    struct Flow
    {
        uint64_t salt{0}; // of a flow that was forgotten, or takes the place of one
        bool begun{false};
        uint32_t next{0}; // the sequence number after the highest that has passed
        uint32_t full{1}; // payload of the largest segment so far, bytes
        uint64_t place{0}; // of the latest segment that was new, in full segments
        uint64_t beside{0}; // how many began there before it
        uint64_t acknowledged{UINT64_MAX}; // the last number, none at first
        uint64_t repeats{0};
        uint64_t others{0};
        std::unordered_map<uint32_t, uint64_t> again; // place -> segments that were not new
    };

    Flow& FlowOf(uint64_t connection);
    uint64_t TimesAgain(Flow& flow, uint32_t place) const;

    std::unordered_map<uint64_t, Flow> m_flows;
    std::unordered_map<uint64_t, Flow> m_earlier; // not seen since m_flows was begun
    uint64_t m_rotations{0}; // how often flows were forgotten
};

} // namespace cosim
