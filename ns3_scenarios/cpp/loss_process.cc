// SPDX-License-Identifier: GPL-2.0-only
#include "loss_process.h"

#include "tcp_head.h"

namespace cosim
{

LossProcess::LossProcess(uint64_t seed, const std::string& streams)
    : m_loss(seed, streams + "loss"),
      m_burst_state(seed, streams + "burst-state"),
      m_burst_loss(seed, streams + "burst-loss")
{
}

bool
LossProcess::Next(const Direction& value, const ns3::Packet& packet, uint64_t name)
{
    const bool lost_by_itself = m_loss.UniformOf(name) < value.loss;
    const bool lost_in_a_burst = NextInBursts(value.burst_loss);
    const bool named = m_segments_to_loss > 0 && TcpHead(packet).PayloadBytes() > 0 && --m_segments_to_loss == 0;
    return lost_by_itself || lost_in_a_burst || named;
}

void
LossProcess::Lose(int64_t segment)
{
    m_segments_to_loss = segment;
}

bool
LossProcess::NextInBursts(const GilbertElliott& value)
{
    const bool lost = m_burst_loss.Uniform() < (m_bad ? value.loss_bad : value.loss_good);
    const bool turns = m_burst_state.Uniform() < (m_bad ? value.bad_to_good : value.good_to_bad);
    m_bad = m_bad != turns;
    return lost;
}

} // namespace cosim
