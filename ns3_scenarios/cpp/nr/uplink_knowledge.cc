// SPDX-License-Identifier: GPL-2.0-only
#include "uplink_knowledge.h"

#include <algorithm>
#include <limits>

namespace cosim::nr
{

namespace
{

constexpr int32_t kNoBearer = std::numeric_limits<int32_t>::max();

} // namespace

UplinkKnowledge::UplinkKnowledge(const CellConfig& config, Harq& harq)
    : m_rlc(config.rlc),
      m_harq(harq),
      m_priorities(kLcgs, kNoBearer),
      m_ues(config.ues.size())
{
    for (const BearerConfig& bearer : config.bearers)
    {
        int32_t& priority = m_priorities[static_cast<size_t>(bearer.lcg)];
        priority = std::min(priority, bearer.priority);
    }
    for (int32_t lcg = 0; lcg < kLcgs; ++lcg)
    {
        if (Priority(lcg) != kNoBearer)
        {
            m_lcgs.push_back(lcg);
        }
    }
    std::stable_sort(m_lcgs.begin(), m_lcgs.end(), [this](int32_t a, int32_t b) { return Priority(a) < Priority(b); });
}

void
UplinkKnowledge::Grant(int32_t index)
{
    Ue& ue = m_ues[static_cast<size_t>(m_harq[index].ue)];
    ue.sr = false;
    ue.granted.push_back(index);
    Subtract(ue);
}

void
UplinkKnowledge::HearBsr(int32_t index)
{
    const TransportBlock& block = m_harq[index];
    Ue& ue = m_ues[static_cast<size_t>(block.ue)];
    if (!block.has_bsr || block.serial < ue.bsr_serial)
    {
        return;
    }
    ue.bsr = block.bsr;
    ue.bsr_serial = block.serial;
    std::erase_if(ue.granted, [this, &block](int32_t granted) {
        return m_harq[granted].serial >= 0 && m_harq[granted].serial <= block.serial;
    });
    Subtract(ue);
}

void
UplinkKnowledge::Close(int32_t index)
{
    Ue& ue = m_ues[static_cast<size_t>(m_harq[index].ue)];
    if (std::erase(ue.granted, index) > 0)
    {
        Subtract(ue);
    }
}

void
UplinkKnowledge::Subtract(Ue& ue)
{
    int64_t granted_bytes = 0;
    for (const int32_t index : ue.granted)
    {
        granted_bytes += m_harq[index].n_bytes - BsrBytes(ue.bsr, m_rlc);
    }
    ue.left_bytes = 0;
    for (const int32_t lcg : m_lcgs)
    {
        int64_t& left = ue.left[static_cast<size_t>(lcg)];
        left = ue.bsr[static_cast<size_t>(lcg)];
        const int64_t taken_bytes = std::clamp<int64_t>(granted_bytes, 0, left);
        granted_bytes -= taken_bytes;
        left -= taken_bytes;
        ue.left_bytes += left;
    }
}

} // namespace cosim::nr
