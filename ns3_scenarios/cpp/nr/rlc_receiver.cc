// SPDX-License-Identifier: GPL-2.0-only
#include "rlc_receiver.h"

#include <algorithm>
#include <utility>

namespace cosim::nr
{

namespace
{

// Of a status report (38.322 6.2.2.5): its header, and in a NACK the NACK range and the SO pair. A NACK's first field
// is as long as the header of a data PDU.
constexpr int64_t kStatusHeaderBytes = 3;
constexpr int64_t kNackRangeBytes = 1;
constexpr int64_t kNackOffsetsBytes = 4;
constexpr int64_t kMaxNackRange = 255;

} // namespace

RlcReceiver::RlcReceiver(const RlcConfig& config, Agenda& agenda, Complete complete, Discard discard, Wake wake)
    : m_config(config),
      m_agenda(agenda),
      m_complete(std::move(complete)),
      m_discard(std::move(discard)),
      m_wake(std::move(wake)),
      m_reassembly(agenda, [this] { ExpireReassembly(); }),
      m_status_prohibit(agenda, [this] {
          if (m_status_due)
          {
              m_wake();
          }
      })
{
}

void
RlcReceiver::Receive(int64_t now_ns, const RlcPdu& pdu)
{
    if (m_config.acknowledged)
    {
        ReceiveAcknowledged(now_ns, pdu);
    }
    else
    {
        ReceiveUnacknowledged(now_ns, pdu);
    }
}

void
RlcReceiver::ReceiveUnacknowledged(int64_t now_ns, const RlcPdu& pdu)
{
    if (pdu.serial < m_sdus.First())
    {
        // A whole SDU has no SN in UM (38.322 5.2.2.2.2): PDCP judges whether it is too late.
        if (pdu.offset == 0 && pdu.last)
        {
            m_complete(now_ns, pdu);
        }
        return;
    }
    const bool completed = Store(pdu);
    Progress(now_ns);
    if (completed)
    {
        m_complete(now_ns, pdu);
    }
}

void
RlcReceiver::ReceiveAcknowledged(int64_t now_ns, const RlcPdu& pdu)
{
    const bool stale = pdu.serial < m_sdus.First() || (m_sdus.Holds(pdu.serial) && m_sdus[pdu.serial].complete);
    const bool completed = !stale && Store(pdu);
    Progress(now_ns);
    if (pdu.poll && !stale)
    {
        m_open_polls.push_back(pdu.serial);
    }
    if (ClosePolls() || (pdu.poll && stale))
    {
        TriggerStatus();
    }
    if (completed)
    {
        m_complete(now_ns, pdu);
    }
}

/// Whether the SDU has become whole.
bool
RlcReceiver::Store(const RlcPdu& pdu)
{
    m_sdus.ExtendTo(pdu.serial + 1);
    Sdu& sdu = m_sdus[pdu.serial];
    if (sdu.complete)
    {
        return false;
    }
    if (pdu.offset > 0 || !pdu.last)
    {
        sdu.segments.Add(pdu.offset, pdu.offset + pdu.n_bytes, pdu.last);
    }
    sdu.complete = (pdu.offset == 0 && pdu.last) || sdu.segments.Complete();
    return sdu.complete;
}

bool
RlcReceiver::Skip(int64_t now_ns, int64_t serial)
{
    if (serial < m_sdus.First())
    {
        return false;
    }
    m_sdus.ExtendTo(serial + 1);
    if (m_sdus[serial].complete)
    {
        return false;
    }
    m_sdus[serial].complete = true;
    Progress(now_ns);
    if (ClosePolls())
    {
        TriggerStatus();
    }
    return true;
}

/// State variables and t-Reassembly after the reception buffer has changed (38.322 5.2.2.2.3, 5.2.3.2.3).
void
RlcReceiver::Progress(int64_t now_ns)
{
    while (!m_sdus.Empty() && m_sdus[m_sdus.First()].complete)
    {
        m_sdus.PopFront();
    }
    const int64_t first = m_sdus.First();
    m_highest_status = std::max(m_highest_status, first);
    while (m_sdus.Holds(m_highest_status) && m_sdus[m_highest_status].complete)
    {
        ++m_highest_status;
    }
    if (m_reassembly.Running() &&
        (m_reassembly_end <= first || (m_reassembly_end == first + 1 && !m_sdus[first].segments.HasGap())))
    {
        m_reassembly.Stop();
    }
    if (!m_reassembly.Running() && Lacks(first))
    {
        m_reassembly_end = m_sdus.End();
        m_reassembly.Start(now_ns + m_config.t_reassembly_ns);
    }
}

/// Something has come after bytes that are missing from SDU `base` on.
bool
RlcReceiver::Lacks(int64_t base) const
{
    return m_sdus.End() > base + 1 || (m_sdus.End() == base + 1 && m_sdus[base].segments.HasGap());
}

void
RlcReceiver::ExpireReassembly()
{
    int64_t base = 0;
    if (m_config.acknowledged)
    {
        m_highest_status = m_reassembly_end;
        while (m_sdus.Holds(m_highest_status) && m_sdus[m_highest_status].complete)
        {
            ++m_highest_status;
        }
        base = m_highest_status;
    }
    else
    {
        DiscardUpTo(m_reassembly_end);
        base = m_sdus.First();
    }
    if (Lacks(base))
    {
        m_reassembly_end = m_sdus.End();
        m_reassembly.Start(m_agenda.NowNs() + m_config.t_reassembly_ns);
    }
    if (m_config.acknowledged)
    {
        ClosePolls();
        TriggerStatus();
    }
}

void
RlcReceiver::DiscardUpTo(int64_t serial)
{
    while (!m_sdus.Empty() && (m_sdus.First() < serial || m_sdus[m_sdus.First()].complete))
    {
        const int64_t first = m_sdus.First();
        const Sdu sdu = m_sdus.PopFront();
        if (!sdu.complete && !sdu.segments.Empty())
        {
            m_discard(first);
        }
    }
}

/// Whether there are polls to answer: one waits until nothing ahead of it can still come out of order (38.322 5.3.4).
bool
RlcReceiver::ClosePolls()
{
    return std::erase_if(m_open_polls, [this](int64_t serial) { return serial < m_highest_status; }) > 0;
}

void
RlcReceiver::TriggerStatus()
{
    m_status_due = true;
    if (StatusReady()) // again if it was ready before: it may have grown
    {
        m_wake();
    }
}

bool
RlcReceiver::StatusReady() const
{
    return m_status_due && !m_status_prohibit.Running();
}

int64_t
RlcReceiver::StatusBytes() const
{
    RlcPdu status;
    return StatusReady() ? Report(RlcNack::kSduEnd, status) : 0;
}

int64_t
RlcReceiver::FillStatus(int64_t now_ns, int64_t room_bytes, RlcPdu& pdu)
{
    if (!StatusReady() || room_bytes < kStatusHeaderBytes)
    {
        return 0;
    }
    pdu.status = true;
    pdu.n_bytes = Report(room_bytes, pdu);
    // What had no room goes into the next report.
    m_status_due = pdu.ack < m_highest_status;
    m_status_prohibit.Start(now_ns + m_config.t_status_prohibit_ns);
    return pdu.n_bytes;
}

/// The report's size; the missing SDUs that find no room are left to a later one.
int64_t
RlcReceiver::Report(int64_t room_bytes, RlcPdu& status) const
{
    int64_t used = kStatusHeaderBytes;
    for (status.ack = m_sdus.First(); status.ack < m_highest_status; ++status.ack)
    {
        const Sdu& sdu = m_sdus[status.ack];
        if (sdu.complete)
        {
            continue;
        }
        const std::size_t before = status.nacks.size();
        if (!sdu.segments.Empty())
        {
            for (const SduSegments::Range& range : sdu.segments.Missing(RlcNack::kSduEnd))
            {
                status.nacks.push_back(RlcNack{status.ack, 1, range.start, range.end});
                used += m_config.rlc_bytes + kNackOffsetsBytes;
            }
        }
        else if (before > 0 && status.nacks.back().start == 0 && status.nacks.back().end == RlcNack::kSduEnd &&
                 status.nacks.back().serial + status.nacks.back().count == status.ack &&
                 status.nacks.back().count < kMaxNackRange)
        {
            RlcNack& range = status.nacks.back();
            const int64_t more = range.count == 1 ? kNackRangeBytes : 0;
            if (used + more > room_bytes)
            {
                return used;
            }
            used += more;
            ++range.count;
            continue;
        }
        else
        {
            status.nacks.push_back(RlcNack{.serial = status.ack});
            used += m_config.rlc_bytes;
        }
        if (used > room_bytes)
        {
            for (; status.nacks.size() > before; status.nacks.pop_back())
            {
                const bool whole = status.nacks.back().start == 0 && status.nacks.back().end == RlcNack::kSduEnd;
                used -= m_config.rlc_bytes + (whole ? 0 : kNackOffsetsBytes);
            }
            return used;
        }
    }
    return used;
}

} // namespace cosim::nr
