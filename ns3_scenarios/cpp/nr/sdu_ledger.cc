// SPDX-License-Identifier: GPL-2.0-only
#include "sdu_ledger.h"

#include <algorithm>

namespace cosim::nr
{

namespace
{

/// Cuts a span of time at instants that come in order; one outside what is left of the span cuts off nothing or all.
class Cutter
{
  public:
    Cutter(int64_t from_ns, int64_t to_ns)
        : m_at_ns(from_ns),
          m_to_ns(std::max(from_ns, to_ns))
    {
    }

    int64_t Until(int64_t t_ns)
    {
        const int64_t from_ns = m_at_ns;
        m_at_ns = std::clamp(t_ns, m_at_ns, m_to_ns);
        return m_at_ns - from_ns;
    }

    int64_t Rest()
    {
        return Until(m_to_ns);
    }

  private:
    int64_t m_at_ns;
    int64_t m_to_ns;
};

} // namespace

AccessParts
PartsUntilReceipt(const SduRecord& sdu, const AirTimes& first, const AirTimes& air, int64_t now_ns)
{
    AccessParts parts;
    Cutter cutter(sdu.arrival_ns, now_ns);
    if (sdu.cycle)
    {
        parts.sr_wait_ns = cutter.Until(std::min(sdu.cycle->sr_end_ns, first.start_ns));
        parts.grant_wait_ns = cutter.Until(std::min(sdu.cycle->pusch_start_ns, first.start_ns));
    }
    parts.queue_ns = cutter.Until(first.start_ns);
    parts.air_ns = cutter.Until(first.end_ns);
    if (&first != &air)
    {
        // HARQ may still be busy with the first TB when a repeated poll brings the bytes.
        parts.harq_ns = cutter.Until(std::min(first.done_ns, air.end_ns));
        parts.rlc_recovery_ns = cutter.Until(air.end_ns);
    }
    parts.harq_ns += cutter.Until(air.done_ns);
    parts.processing_ns = cutter.Rest();
    return parts;
}

} // namespace cosim::nr
