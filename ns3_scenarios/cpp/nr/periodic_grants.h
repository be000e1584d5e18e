// SPDX-License-Identifier: GPL-2.0-only
//
// PUSCHs that nobody asked for: configured grants (38.321 5.8.2) and proactive ones.
#pragma once

#include "config.h"
#include "frame.h"
#include "scheduler.h"
#include "ue_context.h"

#include <array>
#include <cstdint>
#include <vector>

namespace cosim::nr
{

/// A part of a slot's PUSCH resources that is kept for a UE, whether it uses it or not.
struct PeriodicGrant
{
    Allocation allocation;
    bool padded{false}; // the UE sends padding when it has no data (no skipping: 38.321 5.4.3.1.3)
};

/// Each UE has its own offset in the period. Grants of a slot lie at the far end of what the scheduler fills first.
class PeriodicGrants
{
  public:
    PeriodicGrants(const CellConfig& config, const Frame& frame, Scheduler& scheduler, UeContexts& ues);

    void Set(const UplinkGrantConfig& grants)
    {
        m_grants = grants;
    }

    void Set(const SchedulerConfig& scheduler)
    {
        m_ofdma = scheduler.ofdma;
    }

    bool Any() const
    {
        return m_grants.configured_period_slots > 0 || m_grants.proactive_period_slots > 0;
    }

    /// The grants of an uplink slot, as they are at the first look at it; they leave the rest of its `resources` to the
    /// scheduler.
    const std::vector<PeriodicGrant>& In(int64_t now_ns, int64_t slot, Resources& resources);

    /// What they leave of a slot. A retransmission that would find no room beside them, in this slot and perhaps in any,
    /// cancels them all (38.213 11.2A).
    Resources Beside(int64_t now_ns, int64_t slot, const Resources& whole, const std::vector<Demand>& demands);

    /// The first slot after `slot` in which a UE builds a MAC PDU for a grant of its own; kNever without any.
    int64_t NextBuild(int64_t slot, int32_t ue) const;

    /// The slot in which a UE builds the MAC PDU of a PUSCH.
    int64_t BuildSlot(int64_t slot) const;

  private:
    struct Slot
    {
        int64_t slot{-1};
        bool ofdma{true};
        std::vector<PeriodicGrant> grants;
    };

    void Make(int64_t now_ns, int64_t slot, Resources left, Slot& made);
    void Add(int64_t now_ns, int32_t ue, int64_t n_bytes, bool padded, Resources& left, Slot& made);

    const CellConfig& m_config;
    const Frame& m_frame;
    Scheduler& m_scheduler;
    UeContexts& m_ues;
    UplinkGrantConfig m_grants;
    bool m_ofdma;
    std::vector<Slot> m_slots; // by slot modulo their number
};

} // namespace cosim::nr
