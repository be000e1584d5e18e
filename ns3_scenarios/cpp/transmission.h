// SPDX-License-Identifier: GPL-2.0-only
//
// When a direction of a link sends its packets: at a rate, or at the delivery opportunities of a trace.
#pragma once

#include "network.h"

#include <cstdint>

namespace cosim
{

/// The first and the last byte of a packet on its way out, in ns-3's time.
///
/// With opportunities: `opportunity` ends it, counted from 0 at the epoch, and has `left_bytes` for the packet after
/// it; -1: none.
struct Transmission
{
    int64_t start_ns{0};
    int64_t end_ns{0};
    int64_t opportunity{-1};
    int64_t left_bytes{0};
};

/// The earliest time at which a packet entering now could be sent. One that enters at the instant of an opportunity
/// misses it, as in mahimahi, which uses up an opportunity before it reads a packet.
int64_t EarliestStart(const Direction& value, int64_t now_ns);

/// When a packet that is ready at a time starts, after the packet before it.
int64_t NextStart(const Direction& value, const Transmission& before, int64_t ready_ns);

/// The transmission of such a packet of `n_bytes` of IP.
///
/// At a rate it takes its bits divided by the rate, rounded up. At opportunities it takes what the packet before has
/// left of one that is not over when it is ready, and as many further ones as it needs: mahimahi's
/// `LinkQueue::rationalize`. There a packet has four bytes more, the packet information of Linux's TUN device
/// (if_tun.h, struct tun_pi), so that an Ethernet MTU fills the 1,504 bytes of an opportunity.
Transmission Transmit(const Direction& value, const Transmission& before, int64_t ready_ns, int64_t n_bytes);

/// Whether a change leaves a direction the opportunities that it has: it gives a period and no time.
bool KeepsOpportunities(const Opportunities& value);

/// Whether two traces are the same, so that the count of opportunities goes on.
bool SameOpportunities(const Opportunities& a, const Opportunities& b);

} // namespace cosim
