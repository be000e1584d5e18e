// SPDX-License-Identifier: GPL-2.0-only
//
// What is to be done in slots to come.
#pragma once

#include "agenda.h"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace cosim::nr
{

/// TBs by their index in Harq, UEs by number.
struct SlotWork
{
    std::vector<int32_t> srs;           // UEs whose SR the gNB has heard by the slot's start
    std::vector<int32_t> acks;          // downlink TBs whose HARQ-ACK it has heard
    std::vector<int32_t> builds;        // uplink TBs whose MAC PDU the UE builds
    std::vector<int32_t> transmissions; // TBs on the air in this slot

    bool Empty() const
    {
        return srs.empty() && acks.empty() && builds.empty() && transmissions.empty();
    }
};

class SlotBook
{
  public:
    /// `ahead_slots`: nothing is booked further from the slot in hand.
    explicit SlotBook(int64_t ahead_slots)
    {
        size_t size = 1;
        while (static_cast<int64_t>(size) <= ahead_slots)
        {
            size *= 2;
        }
        m_work.resize(size);
    }

    SlotWork& operator[](int64_t slot)
    {
        m_last_slot = std::max(m_last_slot, slot);
        return m_work[static_cast<size_t>(slot) & (m_work.size() - 1)];
    }

    void Clear(int64_t slot)
    {
        SlotWork& work = m_work[static_cast<size_t>(slot) & (m_work.size() - 1)];
        work.srs.clear();
        work.acks.clear();
        work.builds.clear();
        work.transmissions.clear();
    }

    /// The first slot from this one on with something to do; kNever if there is none.
    int64_t NextFrom(int64_t slot) const
    {
        for (; slot <= m_last_slot; ++slot)
        {
            if (!m_work[static_cast<size_t>(slot) & (m_work.size() - 1)].Empty())
            {
                return slot;
            }
        }
        return kNever;
    }

  private:
    std::vector<SlotWork> m_work;
    int64_t m_last_slot{-1}; // that anybody asked for
};

} // namespace cosim::nr
