// SPDX-License-Identifier: GPL-2.0-only
//
// Datagrams between UEs and servers and when they arrived: the load of a benchmark. No ns-3 header, as in network.h.
#pragma once

#include "network.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace cosim
{

/// Messages of `packets` datagrams each, handed to UDP at once. Message k is due k periods after `from_ns` plus a random
/// part of a period, the same for all of the flow, and is late by a random part of `spread_ns`.
struct UdpFlow
{
    std::string ue;
    std::string path;
    bool up{true};
    int32_t packets{1};
    int32_t payload_bytes{64};
    int64_t from_ns{0};
    int64_t until_ns{0}; // no message is due then or later
    int64_t period_ns{20'000'000};
    int64_t spread_ns{0};
    int64_t window_bytes{0}; // above 0: no messages; as many datagrams as keep this many bytes of payload on their way
};

/// UDP checks nothing: a message has arrived when all its datagrams have.
struct UdpMessage
{
    int64_t sent_ns{0};
    int64_t arrived_ns{-1}; // -1: not in whole
    int32_t missing{0};     // datagrams
};

class UdpLoad
{
  public:
    /// Throws std::invalid_argument on a name that the network does not have or a value out of range.
    UdpLoad(Network& network, const std::vector<UdpFlow>& flows, uint64_t seed);
    ~UdpLoad();
    UdpLoad(const UdpLoad&) = delete;
    UdpLoad& operator=(const UdpLoad&) = delete;

    /// Messages sent so far, in order.
    const std::vector<UdpMessage>& Messages(int32_t flow) const;

    /// Payload that has arrived so far.
    int64_t ReceivedBytes(int32_t flow) const;

    /// Messages sent that have not arrived in whole, of all flows.
    int64_t Unfinished() const;

  private:
    struct Impl;
    std::unique_ptr<Impl> m_impl;
};

} // namespace cosim
