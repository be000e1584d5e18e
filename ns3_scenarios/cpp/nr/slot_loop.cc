// SPDX-License-Identifier: GPL-2.0-only
#include "slot_loop.h"

#include <algorithm>
#include <utility>

namespace cosim::nr
{

SlotLoop::SlotLoop(const CellConfig& config,
                   const Frame& frame,
                   Agenda& agenda,
                   Buffers& buffers,
                   Harq& harq,
                   SlotBook& book,
                   GnbMac& gnb,
                   UeContexts& ues,
                   RadioKpis& kpis)
    : m_config(config),
      m_frame(frame),
      m_agenda(agenda),
      m_buffers(buffers),
      m_harq(harq),
      m_book(book),
      m_gnb(gnb),
      m_ues(ues),
      m_kpis(kpis)
{
}

void
SlotLoop::Wake(int64_t now_ns)
{
    m_next_slot = std::min(m_next_slot, std::max(m_frame.SlotFrom(now_ns), m_slot + 1));
}

int64_t
SlotLoop::NextNs() const
{
    int64_t next_ns = std::min(m_agenda.NextNs(), m_next_slot == kNever ? kNever : m_frame.StartNs(m_next_slot));
    for (const std::deque<Result>& results : m_results)
    {
        next_ns = results.empty() ? next_ns : std::min(next_ns, results.front().t_ns);
    }
    return next_ns;
}

void
SlotLoop::RunTo(int64_t t_ns)
{
    // At one time: the RLC's timers, then what has been decoded, then the slot that starts, which knows of both.
    for (int64_t now_ns = NextNs(); now_ns <= t_ns; now_ns = NextNs())
    {
        m_agenda.RunTo(now_ns);
        for (std::deque<Result>& results : m_results)
        {
            while (!results.empty() && results.front().t_ns == now_ns)
            {
                const Result result = results.front();
                results.pop_front();
                // A HARQ-ACK may have come first, and the TB be on its way again or given up.
                if (m_harq[result.index].transmission == result.transmission)
                {
                    Decode(now_ns, result.index);
                }
            }
        }
        if (m_next_slot != kNever && m_frame.StartNs(m_next_slot) == now_ns)
        {
            RunSlot(m_next_slot);
        }
    }
    m_agenda.RunTo(t_ns);
}

void
SlotLoop::RunSlot(int64_t slot)
{
    const int64_t now_ns = m_frame.StartNs(slot);
    m_slot = slot;
    m_next_slot = kNever;
    HearAcks(now_ns, slot);
    for (const int32_t ue : m_book[slot].srs)
    {
        m_gnb.Knowledge().HearSr(ue);
    }
    m_gnb.Decide(now_ns, slot);
    BuildPdus(now_ns, slot);
    SendSrs(now_ns, slot);
    Transmit(slot);
    m_book.Clear(slot);
    m_next_slot = std::min(m_next_slot, NextSlot(now_ns, slot));
}

void
SlotLoop::HearAcks(int64_t now_ns, int64_t slot)
{
    for (const int32_t index : m_book[slot].acks)
    {
        Judge(now_ns, index);
        TransportBlock& block = m_harq[index];
        if (block.round == 1)
        {
            m_ues[static_cast<size_t>(block.ue)].link.Feedback(false, block.allocation.mcs, block.decoded);
        }
        block.acknowledged = block.decoded;
        if (!block.decoded && m_harq.MayTransmitAgain(block))
        {
            m_harq.Waiting(false).push_back(index);
        }
        else if (!block.decoded)
        {
            m_buffers.Lose(block);
            m_harq.Release(index);
        }
        else if (block.received)
        {
            m_harq.Release(index);
        }
    }
}

void
SlotLoop::BuildPdus(int64_t now_ns, int64_t slot)
{
    for (const int32_t index : m_book[slot].builds)
    {
        m_ues[static_cast<size_t>(m_harq[index].ue)].mac.Build(now_ns, m_harq[index]);
    }
    m_gnb.BuildPeriodic(now_ns, slot);
}

void
SlotLoop::SendSrs(int64_t now_ns, int64_t slot)
{
    for (size_t ue = 0; ue < m_ues.size(); ++ue)
    {
        UeContext& context = m_ues[ue];
        context.mac.Look(now_ns);
        if (!context.Interrupted(now_ns) && context.mac.SrSlot(slot) == slot)
        {
            context.mac.SendSr(slot);
            context.drx.SrPending(true);
            m_book[slot + 1].srs.push_back(static_cast<int32_t>(ue));
        }
    }
}

void
SlotLoop::Transmit(int64_t slot)
{
    std::vector<int32_t>& indices = m_book[slot].transmissions;
    std::sort(indices.begin(), indices.end(), [this](int32_t a, int32_t b) {
        const TransportBlock &first = m_harq[a], &second = m_harq[b];
        return first.end_ns != second.end_ns ? first.end_ns < second.end_ns : first.transmission < second.transmission;
    });
    // A HARQ-ACK is known at the end of its slot.
    const int64_t ack_slot = m_frame.PucchFrom(slot + m_config.timing.k1_slots) + 1;
    for (const int32_t index : indices)
    {
        const TransportBlock& block = m_harq[index];
        const int64_t decode_ns = block.up ? m_config.timing.gnb_decode_ns : m_config.timing.ue_decode_ns;
        m_results[block.up ? 0 : 1].push_back(Result{block.end_ns + decode_ns, index, block.transmission});
        if (!block.up)
        {
            m_book[ack_slot].acks.push_back(index);
        }
    }
}

int64_t
SlotLoop::NextSlot(int64_t now_ns, int64_t slot)
{
    int64_t next = std::min(m_book.NextFrom(slot + 1), m_gnb.NextSlot(now_ns, slot));
    for (const UeContext& context : m_ues)
    {
        if (next > slot + 1 && !context.Interrupted(now_ns))
        {
            next = std::min(next, context.mac.SrSlot(slot + 1));
        }
    }
    return next;
}

void
SlotLoop::Decode(int64_t now_ns, int32_t index)
{
    Judge(now_ns, index);
    TransportBlock& block = m_harq[index];
    if (block.up)
    {
        DecodeUplink(now_ns, index);
    }
    else if (block.decoded)
    {
        block.received = true;
        m_buffers.Receive(now_ns, block);
        if (block.acknowledged)
        {
            m_harq.Release(index);
        }
    }
    Wake(now_ns);
}

void
SlotLoop::DecodeUplink(int64_t now_ns, int32_t index)
{
    const TransportBlock& block = m_harq[index];
    UeContext& ue = m_ues[static_cast<size_t>(block.ue)];
    if (block.round == 1)
    {
        ue.link.Feedback(true, block.allocation.mcs, block.decoded);
    }
    if (block.decoded)
    {
        m_gnb.Knowledge().HearBsr(index);
        m_buffers.Receive(now_ns, block);
    }
    else if (m_harq.MayTransmitAgain(block))
    {
        m_harq.Waiting(true).push_back(index);
        return;
    }
    else
    {
        ue.mac.Lose(block);
        m_buffers.Lose(block);
    }
    m_gnb.Knowledge().Close(index);
    m_harq.Release(index);
}

void
SlotLoop::Judge(int64_t now_ns, int32_t index)
{
    const TransportBlock& block = m_harq[index];
    if (block.judged)
    {
        return;
    }
    const Allocation& allocation = block.allocation;
    Link& link = m_ues[static_cast<size_t>(block.ue)].link;
    const double sinr_db = link.SinrDb(block.start_ns, block.up, allocation.rbs);
    link.Heard(block.up, allocation.rbs);
    m_harq.Judge(index, sinr_db, link.HearsControl(block.start_ns));
    const Transmission transmission{.slot = block.slot,
                                    .ue = block.ue,
                                    .up = block.up,
                                    .first_rb = allocation.first_rb,
                                    .rbs = allocation.rbs,
                                    .first_symbol = allocation.first_symbol,
                                    .symbols = allocation.symbols,
                                    .mcs = allocation.mcs,
                                    .round = block.round,
                                    .tb_bits = 8 * block.n_bytes,
                                    .decoded = block.decoded};
    m_kpis.Transmitted(now_ns, transmission, sinr_db);
    if (m_record)
    {
        m_transmissions.push_back(transmission);
    }
}

std::vector<Transmission>
SlotLoop::TakeTransmissions()
{
    return std::exchange(m_transmissions, {});
}

} // namespace cosim::nr
