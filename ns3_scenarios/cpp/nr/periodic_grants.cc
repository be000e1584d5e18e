// SPDX-License-Identifier: GPL-2.0-only
#include "periodic_grants.h"

#include "occasions.h"

#include <algorithm>

namespace cosim::nr
{

namespace
{

constexpr size_t kSlots = 128; // more than from a decision to its PUSCH

bool
Fits(const Demand& retransmission, const Resources& resources)
{
    return retransmission.rbs <= resources.rbs && retransmission.symbols <= resources.symbols;
}

} // namespace

PeriodicGrants::PeriodicGrants(const CellConfig& config, const Frame& frame, Scheduler& scheduler, UeContexts& ues)
    : m_config(config),
      m_frame(frame),
      m_scheduler(scheduler),
      m_ues(ues),
      m_grants(config.grants),
      m_ofdma(config.scheduler.ofdma),
      m_slots(kSlots)
{
}

const std::vector<PeriodicGrant>&
PeriodicGrants::In(int64_t now_ns, int64_t slot, Resources& resources)
{
    Slot& made = m_slots[static_cast<size_t>(slot) % kSlots];
    if (made.slot != slot)
    {
        Make(now_ns, slot, resources, made);
    }
    for (const PeriodicGrant& grant : made.grants)
    {
        if (made.ofdma)
        {
            resources.rbs -= grant.allocation.rbs;
        }
        else
        {
            resources.first_symbol += grant.allocation.symbols;
            resources.symbols -= grant.allocation.symbols;
        }
    }
    return made.grants;
}

void
PeriodicGrants::Make(int64_t now_ns, int64_t slot, Resources left, Slot& made)
{
    made.slot = slot;
    made.ofdma = m_ofdma;
    made.grants.clear();
    if (!Any() || left.symbols < 1)
    {
        return;
    }
    for (size_t i = 0; i < m_ues.size(); ++i)
    {
        const auto ue = static_cast<int32_t>(i);
        const bool configured = m_grants.configured_period_slots > 0 &&
                                PuschOccasion(m_frame, slot, m_grants.configured_period_slots, ue) == slot;
        const bool proactive = m_grants.proactive_period_slots > 0 &&
                               PuschOccasion(m_frame, slot, m_grants.proactive_period_slots, ue) == slot;
        if (configured || proactive)
        {
            const int64_t n_bytes = std::max(configured ? m_grants.configured_bytes : 0,
                                             proactive ? m_grants.proactive_bytes : 0);
            Add(now_ns, ue, n_bytes, proactive, left, made);
        }
    }
}

Resources
PeriodicGrants::Beside(int64_t now_ns, int64_t slot, const Resources& whole, const std::vector<Demand>& demands)
{
    Resources rest = whole;
    In(now_ns, slot, rest);
    const auto needs_more = [&](const Demand& demand) {
        return demand.retransmission && Fits(demand, whole) && !Fits(demand, rest);
    };
    if (std::any_of(demands.begin(), demands.end(), needs_more))
    {
        m_slots[static_cast<size_t>(slot) % kSlots].grants.clear();
        return whole;
    }
    return rest;
}

void
PeriodicGrants::Add(int64_t now_ns, int32_t ue, int64_t n_bytes, bool padded, Resources& left, Slot& made)
{
    const int32_t mcs = m_ues[static_cast<size_t>(ue)].link.Mcs(now_ns, true, m_config.carrier.ul_rbs);
    int32_t& room = m_ofdma ? left.rbs : left.symbols;
    int32_t units = 1;
    const auto bytes = [&] {
        return m_ofdma ? m_scheduler.TbBytes(mcs, units, left.symbols) : m_scheduler.TbBytes(mcs, left.rbs, units);
    };
    while (units < room && bytes() < n_bytes)
    {
        ++units;
    }
    if (units > room || bytes() == 0)
    {
        return; // the slot is full of others' grants, or too short
    }
    room -= units;
    Allocation allocation{.ue = ue, .mcs = mcs};
    // OFDMA: the last RBs; TDMA: the first symbols, since the scheduler begins with the last.
    allocation.first_rb = m_ofdma ? left.rbs : 0;
    allocation.rbs = m_ofdma ? units : left.rbs;
    allocation.first_symbol = left.first_symbol;
    allocation.symbols = m_ofdma ? left.symbols : units;
    allocation.tb_bytes = bytes();
    if (!m_ofdma)
    {
        left.first_symbol += units;
    }
    made.grants.push_back(PeriodicGrant{allocation, padded});
}

int64_t
PeriodicGrants::NextBuild(int64_t slot, int32_t ue) const
{
    int64_t next = kNever;
    for (const int64_t period : {m_grants.configured_period_slots, m_grants.proactive_period_slots})
    {
        if (period > 0)
        {
            int64_t occasion = PuschOccasion(m_frame, slot + 1, period, ue);
            while (BuildSlot(occasion) <= slot)
            {
                occasion = PuschOccasion(m_frame, occasion + 1, period, ue);
            }
            next = std::min(next, BuildSlot(occasion));
        }
    }
    return next;
}

int64_t
PeriodicGrants::BuildSlot(int64_t slot) const
{
    return std::max(m_frame.DciSlot(slot), slot - m_config.timing.pdu_ahead_slots);
}

} // namespace cosim::nr
