// SPDX-License-Identifier: GPL-2.0-only
//
// When a packet left its sender and when it reached each node on its way.
//
// ns-3 calls a host's device in the event in which TCP emits a segment (no ARP, no queue discipline), and a router's
// device in the event in which the packet arrives. A stamp therefore needs no packet tag: a host's device starts one,
// a router's device continues the one of the packet that is being handed up, and a retransmitted copy starts anew.
#pragma once

#include "nr/config.h"

#include <array>
#include <cstdint>

namespace cosim
{

inline constexpr int kHops = 3;

struct PacketStamp
{
    std::array<int64_t, kHops + 1> at_ns{};
    int passed{0};
    uint64_t flow{0}; // destination and ports: a connection, seen from a host
    nr::AccessParts access; // of the hop over a cell, if there is one

    static PacketStamp Emitted(int64_t now_ns, uint64_t flow)
    {
        PacketStamp stamp;
        stamp.at_ns[0] = now_ns;
        stamp.flow = flow;
        return stamp;
    }

    void Arrived(int64_t now_ns)
    {
        if (passed < kHops)
        {
            at_ns[static_cast<std::size_t>(++passed)] = now_ns;
        }
    }
};

/// The stamp of the packet that a node is being handed in the current event.
struct StampContext
{
    PacketStamp arriving;
};

} // namespace cosim
