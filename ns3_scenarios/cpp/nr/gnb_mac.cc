// SPDX-License-Identifier: GPL-2.0-only
#include "gnb_mac.h"

#include "mcs.h"
#include "transport_block.h"

#include <algorithm>

namespace cosim::nr
{

namespace
{

Scheduler
MakeScheduler(const CellConfig& config, bool up)
{
    const CarrierConfig& carrier = config.carrier;
    const int32_t table = up ? carrier.ul_mcs_table : carrier.dl_mcs_table;
    const int32_t layers = up ? carrier.ul_layers : carrier.dl_layers;
    const auto tb_bytes = [carrier, table, layers](int32_t mcs, int32_t rbs, int32_t symbols) {
        return TransportBlockBits(ResourceElements(carrier, rbs, symbols), Mcs(table, mcs), layers) / 8;
    };
    return Scheduler(config.scheduler, static_cast<int32_t>(config.ues.size()), tb_bytes);
}

} // namespace

GnbMac::GnbMac(const CellConfig& config,
               const Frame& frame,
               Buffers& buffers,
               Harq& harq,
               SlotBook& book,
               UeContexts& ues)
    : m_config(config),
      m_frame(frame),
      m_buffers(buffers),
      m_harq(harq),
      m_book(book),
      m_ues(ues),
      m_ul_scheduler(MakeScheduler(config, true)),
      m_dl_scheduler(MakeScheduler(config, false)),
      m_periodic(config, frame, m_ul_scheduler, ues),
      m_grants(config.grants),
      m_ofdma(config.scheduler.ofdma),
      m_knowledge(config, harq)
{
    for (int64_t slot = 0; slot < frame.Period(); ++slot)
    {
        if (frame.UlSymbols(slot) > 0)
        {
            m_most_ul_symbols = std::max(m_most_ul_symbols, frame.UlSymbols(slot));
            m_most_build_ahead = std::max(m_most_build_ahead, slot - m_periodic.BuildSlot(slot));
        }
    }
}

void
GnbMac::SetGrants(const UplinkGrantConfig& grants)
{
    m_grants = grants;
    m_periodic.Set(grants);
}

void
GnbMac::SetScheduler(const SchedulerConfig& scheduler)
{
    m_ul_scheduler.Set(scheduler);
    m_dl_scheduler.Set(scheduler);
    m_periodic.Set(scheduler);
    m_ofdma = scheduler.ofdma;
}

void
GnbMac::Decide(int64_t now_ns, int64_t slot)
{
    const int64_t dci_slot = slot + m_config.timing.schedule_ahead_slots;
    if (m_frame.DlSymbols(dci_slot) > 0)
    {
        DecideDownlink(now_ns, dci_slot);
    }
    for (const int64_t after : m_frame.UlSlotsAfter(dci_slot))
    {
        DecideUplink(now_ns, dci_slot, dci_slot + after);
    }
}

bool
GnbMac::Reachable(int64_t now_ns, int64_t dci_slot, int32_t ue) const
{
    const UeContext& context = m_ues[static_cast<size_t>(ue)];
    return !context.Interrupted(now_ns) && context.drx.Awake(m_frame.StartNs(dci_slot));
}

void
GnbMac::DemandRetransmissions(int64_t now_ns, bool up)
{
    m_demands.clear();
    for (const int32_t index : m_harq.Waiting(up))
    {
        const TransportBlock& block = m_harq[index];
        if (!Ue(block.ue).Interrupted(now_ns))
        {
            m_demands.push_back(Demand{.ue = block.ue,
                                       .priority = block.priority,
                                       .n_bytes = block.n_bytes,
                                       .mcs = block.allocation.mcs,
                                       .retransmission = true,
                                       .rbs = block.allocation.rbs,
                                       .symbols = block.allocation.symbols,
                                       .harq_process = block.process});
        }
    }
}

void
GnbMac::DecideDownlink(int64_t now_ns, int64_t slot)
{
    DemandRetransmissions(now_ns, false);
    for (int32_t ue = 0; ue < static_cast<int32_t>(m_ues.size()); ++ue)
    {
        if (m_harq.HasFree(ue, false) && Reachable(now_ns, slot, ue))
        {
            DemandDownlink(now_ns, ue);
        }
    }
    if (m_demands.empty())
    {
        return;
    }
    const Resources resources{m_config.carrier.dl_rbs, m_frame.FirstDlSymbol(slot), m_frame.DlSymbols(slot), false};
    m_dl_scheduler.Allocate(resources, m_demands, m_allocations);
    for (const Allocation& allocation : m_allocations)
    {
        if (allocation.retransmission)
        {
            Retransmit(allocation, false, slot);
        }
        else
        {
            SendDownlink(now_ns, slot, allocation);
        }
    }
}

void
GnbMac::DemandDownlink(int64_t now_ns, int32_t ue)
{
    const std::vector<int64_t>& pending = m_buffers.Pending(now_ns, ue, false);
    const size_t first = m_demands.size();
    for (const int32_t bearer : m_buffers.ByPriority())
    {
        const int64_t n_bytes = pending[static_cast<size_t>(bearer)];
        const int32_t priority = m_config.bearers[static_cast<size_t>(bearer)].priority;
        if (n_bytes > 0 && m_demands.size() > first && m_demands.back().priority == priority)
        {
            m_demands.back().n_bytes += n_bytes;
        }
        else if (n_bytes > 0)
        {
            const int32_t mcs = m_demands.size() > first ? m_demands.back().mcs
                                                         : Ue(ue).link.Mcs(now_ns, false, m_config.carrier.dl_rbs);
            m_demands.push_back(Demand{.ue = ue, .priority = priority, .n_bytes = n_bytes, .mcs = mcs});
        }
    }
}

void
GnbMac::Retransmit(const Allocation& allocation, bool up, int64_t slot)
{
    const int32_t index = m_harq.Of(allocation.ue, up, allocation.harq_process);
    std::vector<int32_t>& waiting = m_harq.Waiting(up);
    waiting.erase(std::find(waiting.begin(), waiting.end(), index));
    m_harq.Transmit(index, slot, allocation, m_frame);
    m_book[slot].transmissions.push_back(index);
}

void
GnbMac::SendDownlink(int64_t now_ns, int64_t slot, const Allocation& allocation)
{
    const int32_t index = m_harq.New(allocation.ue, false, allocation);
    m_harq.Transmit(index, slot, allocation, m_frame);
    TransportBlock& block = m_harq[index];
    if (!m_buffers.Fill(now_ns, block, block.n_bytes))
    {
        m_harq.Release(index); // too few bytes for a header
        return;
    }
    Ue(allocation.ue).drx.Activity(block.start_ns);
    m_book[slot].transmissions.push_back(index);
}

void
GnbMac::DecideUplink(int64_t now_ns, int64_t dci_slot, int64_t slot)
{
    DemandRetransmissions(now_ns, true);
    const int64_t excluded_ue = m_config.carrier.srs_excludes_pusch ? SrsUe(slot) : -1;
    for (int32_t ue = 0; ue < static_cast<int32_t>(m_ues.size()); ++ue)
    {
        if (ue != excluded_ue && m_knowledge.Wants(ue) && m_harq.HasFree(ue, true) && Reachable(now_ns, dci_slot, ue))
        {
            DemandUplink(now_ns, ue);
        }
    }
    if (m_demands.empty())
    {
        return;
    }
    // Also without any grants: none may be put into this slot once its resources have been given away.
    const Resources resources = m_periodic.Beside(now_ns, slot, UplinkResources(slot), m_demands);
    m_ul_scheduler.Allocate(resources, m_demands, m_allocations);
    for (const Allocation& allocation : m_allocations)
    {
        if (allocation.retransmission)
        {
            Retransmit(allocation, true, slot);
        }
        else
        {
            GrantUplink(now_ns, dci_slot, slot, allocation);
        }
    }
}

Resources
GnbMac::UplinkResources(int64_t slot) const
{
    const int32_t srs_symbols = SrsUe(slot) >= 0 ? m_config.carrier.srs_symbols : 0;
    const int32_t symbols = std::max(0, m_frame.UlSymbols(slot) - srs_symbols);
    return Resources{m_config.carrier.ul_rbs, m_frame.FirstUlSymbol(slot), symbols, true};
}

/// The UE that has its SRS in a slot, or -1: UEs have them in uplink slots one after another.
int64_t
GnbMac::SrsUe(int64_t slot) const
{
    const CarrierConfig& carrier = m_config.carrier;
    if (carrier.srs_symbols == 0)
    {
        return -1;
    }
    const int64_t period = m_frame.Period();
    int64_t before = 0; // uplink slots of the pattern before this one
    int64_t in_pattern = 0;
    for (int64_t of_pattern = 0; of_pattern < period; ++of_pattern)
    {
        before += of_pattern < slot % period && m_frame.UlSymbols(of_pattern) > 0 ? 1 : 0;
        in_pattern += m_frame.UlSymbols(of_pattern) > 0 ? 1 : 0;
    }
    const int64_t turn = (slot / period * in_pattern + before) % carrier.srs_period_slots;
    return turn < static_cast<int64_t>(m_ues.size()) ? turn : -1;
}

void
GnbMac::DemandUplink(int64_t now_ns, int32_t ue)
{
    if (m_knowledge.LeftBytes(ue) == 0)
    {
        // Nobody knows what the SR is for: it may be urgent.
        const RlcConfig& rlc = m_config.rlc;
        const int64_t header_bytes = rlc.mac_bytes + rlc.rlc_bytes + rlc.pdcp_bytes + BsrBytes({}, rlc);
        const int64_t n_bytes = m_grants.first_grant_bytes + header_bytes;
        m_demands.push_back(Demand{.ue = ue,
                                   .priority = m_knowledge.Priority(m_knowledge.Lcgs().front()),
                                   .n_bytes = n_bytes,
                                   .mcs = UplinkMcs(now_ns, ue, n_bytes)});
        return;
    }
    const int32_t mcs = UplinkMcs(now_ns, ue, m_knowledge.LeftBytes(ue));
    const LcgBytes& left = m_knowledge.Left(ue);
    int64_t bsr_bytes = BsrBytes(left, m_config.rlc);
    for (const int32_t lcg : m_knowledge.Lcgs())
    {
        if (const int64_t n_bytes = left[static_cast<size_t>(lcg)]; n_bytes > 0)
        {
            m_demands.push_back(Demand{.ue = ue,
                                       .priority = m_knowledge.Priority(lcg),
                                       .n_bytes = n_bytes + bsr_bytes,
                                       .mcs = mcs});
            bsr_bytes = 0;
        }
    }
}

int32_t
GnbMac::UplinkMcs(int64_t now_ns, int32_t ue, int64_t n_bytes)
{
    const Link& link = Ue(ue).link;
    const int32_t rbs = m_config.carrier.ul_rbs;
    const int32_t wide = link.Mcs(now_ns, true, rbs);
    if (!link.PowerLimited() || !m_ofdma)
    {
        return wide;
    }
    // For no fewer RBs than it takes with the MCS of the whole carrier, and so for more than it will get.
    const int64_t per_rb = std::max<int64_t>(1, m_ul_scheduler.TbBytes(wide, rbs, m_most_ul_symbols) / rbs);
    return link.Mcs(now_ns, true, static_cast<int32_t>(std::min<int64_t>(rbs, n_bytes / per_rb + 1)));
}

void
GnbMac::GrantUplink(int64_t now_ns, int64_t dci_slot, int64_t slot, Allocation allocation)
{
    UeContext& ue = Ue(allocation.ue);
    if (ue.link.PowerLimited() && allocation.rbs < m_config.carrier.ul_rbs)
    {
        allocation.mcs = std::max(allocation.mcs, ue.link.Mcs(now_ns, true, allocation.rbs));
        allocation.tb_bytes = m_ul_scheduler.TbBytes(allocation.mcs, allocation.rbs, allocation.symbols);
    }
    const int32_t index = m_harq.New(allocation.ue, true, allocation);
    m_harq.Transmit(index, slot, allocation, m_frame);
    m_book[m_periodic.BuildSlot(slot)].builds.push_back(index);
    m_book[slot].transmissions.push_back(index);
    m_knowledge.Grant(index);
    ue.mac.Grant();
    ue.drx.SrPending(false);
    ue.drx.Activity(m_frame.StartNs(dci_slot));
}

void
GnbMac::BuildPeriodic(int64_t now_ns, int64_t slot)
{
    if (!m_periodic.Any())
    {
        return;
    }
    for (int64_t pusch = slot; pusch <= slot + m_most_build_ahead; ++pusch)
    {
        if (m_frame.UlSymbols(pusch) == 0 || m_periodic.BuildSlot(pusch) != slot)
        {
            continue;
        }
        Resources resources = UplinkResources(pusch);
        for (const PeriodicGrant& grant : m_periodic.In(now_ns, pusch, resources))
        {
            UeContext& ue = Ue(grant.allocation.ue);
            const bool used = grant.padded || ue.mac.HasData(now_ns);
            if (!used || ue.Interrupted(now_ns) || !m_harq.HasFree(grant.allocation.ue, true))
            {
                continue;
            }
            const int32_t index = m_harq.New(grant.allocation.ue, true, grant.allocation);
            m_harq.Transmit(index, pusch, grant.allocation, m_frame);
            m_harq[index].configured = true;
            ue.mac.Build(now_ns, m_harq[index]);
            m_book[pusch].transmissions.push_back(index);
            // The gNB takes it into account from here on, which is no later than it hears of it.
            m_knowledge.Grant(index);
        }
    }
}

int64_t
GnbMac::NextSlot(int64_t now_ns, int64_t slot)
{
    const auto reachable = [this, now_ns](int32_t index) { return !Ue(m_harq[index].ue).Interrupted(now_ns); };
    for (const bool up : {true, false})
    {
        const std::vector<int32_t>& waiting = m_harq.Waiting(up);
        if (std::any_of(waiting.begin(), waiting.end(), reachable))
        {
            return slot + 1;
        }
    }
    int64_t next = kNever;
    for (int32_t ue = 0; ue < static_cast<int32_t>(m_ues.size()); ++ue)
    {
        const UeContext& context = Ue(ue);
        if (context.Interrupted(now_ns))
        {
            continue;
        }
        if (m_knowledge.Wants(ue) || m_buffers.Any(now_ns, ue, false))
        {
            // Asleep: the decision whose DCI is in the first slot of the on-duration.
            const int64_t ahead_slots = m_config.timing.schedule_ahead_slots;
            const int64_t awake_ns = context.drx.AwakeFrom(m_frame.StartNs(slot + 1 + ahead_slots));
            next = std::min(next, m_frame.SlotFrom(awake_ns) - ahead_slots);
        }
        if (m_periodic.Any() && context.mac.HasData(now_ns))
        {
            next = std::min(next, m_periodic.NextBuild(slot, ue));
        }
        if (next <= slot + 1)
        {
            return slot + 1;
        }
    }
    return next;
}

} // namespace cosim::nr
