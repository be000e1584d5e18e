// SPDX-License-Identifier: GPL-2.0-only
//
// Which packets of one direction of a link are lost.
#pragma once

#include "network.h"
#include "random_stream.h"

#include "ns3/packet.h"

#include <cstdint>
#include <string>

namespace cosim
{

/// Loss of each packet by itself (Bernoulli), loss in bursts (Gilbert-Elliott), and of a segment that is named.
///
/// Loss by itself is drawn by the packet's name (PacketIdentity), bursts by the order of packets: their state is the
/// link's. Every packet takes the same draws, whatever the values: a change of one leaves later draws in step.
class LossProcess
{
  public:
    /// `streams`: what the names of its random streams begin with.
    LossProcess(uint64_t seed, const std::string& streams);

    /// Whether the next packet is lost. As in netem's `gemodel`, a packet is lost with the probability of the state
    /// that it finds, and the state may change after it; the first packet finds the good one.
    bool Next(const Direction& value, const ns3::Packet& packet, uint64_t name);

    /// Lose the `segment`-th TCP segment with payload from now on, counted from 1.
    void Lose(int64_t segment);

  private:
    bool NextInBursts(const GilbertElliott& value);

    RandomStream m_loss;
    RandomStream m_burst_state;
    RandomStream m_burst_loss;
    bool m_bad{false};
    int64_t m_segments_to_loss{0}; // 0: none is to be lost
};

} // namespace cosim
