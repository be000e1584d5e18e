// SPDX-License-Identifier: GPL-2.0-only
//
// The gNB's MAC: who gets a slot's resources, by what it knows when it decides.
#pragma once

#include "buffers.h"
#include "config.h"
#include "frame.h"
#include "harq.h"
#include "periodic_grants.h"
#include "scheduler.h"
#include "slot_book.h"
#include "ue_context.h"
#include "uplink_knowledge.h"

#include <cstdint>
#include <vector>

namespace cosim::nr
{

class GnbMac
{
  public:
    GnbMac(const CellConfig& config, const Frame& frame, Buffers& buffers, Harq& harq, SlotBook& book, UeContexts& ues);

    void SetGrants(const UplinkGrantConfig& grants);
    void SetScheduler(const SchedulerConfig& scheduler);

    /// At a slot's start: give away downlink of the slot `schedule_ahead_slots` later and the uplink of its DCIs.
    void Decide(int64_t now_ns, int64_t slot);

    /// At a slot's start: UEs build MAC PDUs for configured and proactive grants.
    void BuildPeriodic(int64_t now_ns, int64_t slot);

    UplinkKnowledge& Knowledge()
    {
        return m_knowledge;
    }

    /// The first slot after `slot` in which a decision is due or a UE with data builds a MAC PDU for a periodic grant.
    int64_t NextSlot(int64_t now_ns, int64_t slot);

  private:
    void DecideDownlink(int64_t now_ns, int64_t slot);
    void DecideUplink(int64_t now_ns, int64_t dci_slot, int64_t slot);
    void DemandRetransmissions(int64_t now_ns, bool up);
    void DemandDownlink(int64_t now_ns, int32_t ue);
    void DemandUplink(int64_t now_ns, int32_t ue);
    void Retransmit(const Allocation& allocation, bool up, int64_t slot);
    void SendDownlink(int64_t now_ns, int64_t slot, const Allocation& allocation);
    void GrantUplink(int64_t now_ns, int64_t dci_slot, int64_t slot, Allocation allocation);
    int32_t UplinkMcs(int64_t now_ns, int32_t ue, int64_t n_bytes);
    Resources UplinkResources(int64_t slot) const;
    int64_t SrsUe(int64_t slot) const;
    bool Reachable(int64_t now_ns, int64_t dci_slot, int32_t ue) const;
    UeContext& Ue(int32_t ue)
    {
        return m_ues[static_cast<size_t>(ue)];
    }

    const CellConfig& m_config;
    const Frame& m_frame;
    Buffers& m_buffers;
    Harq& m_harq;
    SlotBook& m_book;
    UeContexts& m_ues;
    Scheduler m_ul_scheduler;
    Scheduler m_dl_scheduler;
    PeriodicGrants m_periodic;
    UplinkGrantConfig m_grants;
    bool m_ofdma;
    int32_t m_most_ul_symbols{0};   // of any slot
    int64_t m_most_build_ahead{0};  // slots from building a MAC PDU to its PUSCH
    UplinkKnowledge m_knowledge;
    std::vector<Demand> m_demands;
    std::vector<Allocation> m_allocations;
};

} // namespace cosim::nr
