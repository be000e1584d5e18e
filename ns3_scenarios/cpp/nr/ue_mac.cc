// SPDX-License-Identifier: GPL-2.0-only
#include "ue_mac.h"

#include "occasions.h"

#include <algorithm>
#include <cmath>

namespace cosim::nr
{

UeMac::UeMac(const CellConfig& config, int32_t ue, const Frame& frame, Buffers& buffers, RadioKpis& kpis)
    : m_config(config),
      m_ue(ue),
      m_frame(frame),
      m_buffers(buffers),
      m_kpis(kpis),
      m_grants(config.grants)
{
}

std::shared_ptr<AccessCycle>
UeMac::Join(int64_t now_ns)
{
    if (m_sr == Sr::kNone && m_unbuilt == 0 && m_reported_bytes == 0)
    {
        Trigger(now_ns);
    }
    return m_cycle;
}

void
UeMac::Look(int64_t now_ns)
{
    if (m_sr == Sr::kNone && m_unbuilt == 0 && m_reported_bytes == 0 && HasData(now_ns))
    {
        Trigger(now_ns);
    }
}

void
UeMac::Trigger(int64_t now_ns)
{
    m_sr = Sr::kTriggered;
    m_triggered_ns = now_ns;
    m_sr_ready_slot = m_frame.SlotFrom(now_ns) + m_config.timing.sr_ready_slots;
    m_cycle = std::make_shared<AccessCycle>();
}

int64_t
UeMac::SrSlot(int64_t slot) const
{
    if (m_sr != Sr::kTriggered || m_unbuilt > 0)
    {
        return kNever;
    }
    // An SR of 2 or 7 symbols' period finds its occasion in every slot.
    const auto period = std::max<int64_t>(1, std::llround(m_grants.sr_period_slots));
    const int64_t allowed = m_frame.SlotFrom(m_sr_allowed_ns) - 1; // it ends at the slot's end
    return PucchOccasion(m_frame, std::max({slot, m_sr_ready_slot, allowed}), period, m_ue);
}

void
UeMac::SendSr(int64_t slot)
{
    const int64_t end_ns = m_frame.StartNs(slot + 1);
    m_sr = Sr::kSent;
    m_sr_allowed_ns = end_ns + m_grants.sr_prohibit_ns;
    m_cycle->sr_end_ns = end_ns;
    m_kpis.SrWaited(m_frame.StartNs(slot), m_ue, end_ns - m_triggered_ns);
}

bool
UeMac::Build(int64_t now_ns, TransportBlock& block)
{
    if (!block.configured)
    {
        --m_unbuilt;
    }
    if (m_cycle)
    {
        m_cycle->pusch_start_ns = block.start_ns;
        if (m_sr == Sr::kSent)
        {
            m_kpis.GrantWaited(now_ns, m_ue, block.start_ns - m_cycle->sr_end_ns);
        }
        m_cycle.reset();
    }
    m_sr = Sr::kNone;
    block.serial = m_serial++;
    const int64_t bsr_bytes = BsrBytes(Waiting(now_ns), m_config.rlc);
    block.has_bsr = block.n_bytes >= bsr_bytes;
    const bool filled = m_buffers.Fill(now_ns, block, block.n_bytes - (block.has_bsr ? bsr_bytes : 0));
    if (block.has_bsr)
    {
        block.bsr = Waiting(now_ns);
        for (int64_t& n_bytes : block.bsr)
        {
            n_bytes = m_grants.bsr_limit_bytes > 0 ? std::min(n_bytes, m_grants.bsr_limit_bytes) : n_bytes;
        }
        m_reported_bytes = SumOf(block.bsr);
        m_reported_serial = block.serial;
    }
    return filled || m_reported_bytes > 0;
}

void
UeMac::Lose(const TransportBlock& block)
{
    // Later BSRs have told of the data, if there are any; else another SR does (as after retxBSR-Timer).
    if (block.serial == m_reported_serial)
    {
        m_reported_bytes = 0;
    }
}

LcgBytes
UeMac::Waiting(int64_t now_ns) const
{
    LcgBytes waiting{};
    const std::vector<int64_t>& pending = m_buffers.Pending(now_ns, m_ue, true);
    for (size_t bearer = 0; bearer < pending.size(); ++bearer)
    {
        waiting[static_cast<size_t>(m_config.bearers[bearer].lcg)] += pending[bearer];
    }
    return waiting;
}

} // namespace cosim::nr
