// SPDX-License-Identifier: GPL-2.0-only
//
// What the gNB knows of the uplink buffers of UEs: SRs, BSRs, and what it has granted since.
#pragma once

#include "config.h"
#include "harq.h"

#include <cstdint>
#include <vector>

namespace cosim::nr
{

class UplinkKnowledge
{
  public:
    UplinkKnowledge(const CellConfig& config, Harq& harq);

    void HearSr(int32_t ue)
    {
        m_ues[static_cast<size_t>(ue)].sr = true;
    }

    /// A PUSCH that is still to be sent was given to its UE; it answers an SR.
    void Grant(int32_t index);

    /// An uplink TB was decoded. BSRs count in the order in which they were written.
    void HearBsr(int32_t index);

    /// An uplink TB ends, decoded or not.
    void Close(int32_t index);

    /// An SR that has not been answered.
    bool Sr(int32_t ue) const
    {
        return m_ues[static_cast<size_t>(ue)].sr;
    }

    /// What the latest BSR told, less the grants that came after it was written, the most urgent group first.
    const LcgBytes& Left(int32_t ue) const
    {
        return m_ues[static_cast<size_t>(ue)].left;
    }

    int64_t LeftBytes(int32_t ue) const
    {
        return m_ues[static_cast<size_t>(ue)].left_bytes;
    }

    /// Whether there is something to grant.
    bool Wants(int32_t ue) const
    {
        return Sr(ue) || LeftBytes(ue) > 0;
    }

    /// Logical channel groups that have a bearer, in order of priority, and their priority: the best of a bearer's.
    const std::vector<int32_t>& Lcgs() const
    {
        return m_lcgs;
    }

    int32_t Priority(int32_t lcg) const
    {
        return m_priorities[static_cast<size_t>(lcg)];
    }

  private:
    struct Ue
    {
        bool sr{false};
        LcgBytes bsr{}; // the latest by serial of its MAC PDU
        int64_t bsr_serial{-1};
        std::vector<int32_t> granted; // TBs whose MAC PDUs were or will be built after that one
        LcgBytes left{};
        int64_t left_bytes{0};
    };

    void Subtract(Ue& ue);

    RlcConfig m_rlc;
    Harq& m_harq;
    std::vector<int32_t> m_lcgs;
    std::vector<int32_t> m_priorities; // by LCG
    std::vector<Ue> m_ues;
};

} // namespace cosim::nr
