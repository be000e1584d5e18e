// SPDX-License-Identifier: GPL-2.0-only
#include "bbr_pacer.h"

#include "ns3/simulator.h"

#include <algorithm>

namespace cosim
{

using namespace ns3;

namespace
{

constexpr uint32_t kUnpacedSegments = 10;

} // namespace

void
BbrPacer::Sent(uint32_t n_bytes, double rate, uint32_t burst_segments)
{
    const Time now = Simulator::Now();
    if (m_left == 0 || m_start != now)
    {
        m_start = now;
        m_credit = std::max(now - m_next, Time(0));
        m_left = burst_segments;
        m_burst_ns = 0;
    }
    --m_left;
    if (++m_segments < kUnpacedSegments || rate <= 0)
    {
        m_next = now;
        return;
    }
    m_burst_ns += static_cast<int64_t>(n_bytes * 1e9 / rate);
    m_next = now + NanoSeconds(m_burst_ns - std::min(m_burst_ns / 2, m_credit.GetNanoSeconds()));
}

bool
BbrPacer::Holds() const
{
    const Time now = Simulator::Now();
    return m_next > now && !(m_start == now && m_left > 0);
}

Time
BbrPacer::Next() const
{
    return m_next;
}

} // namespace cosim
