// SPDX-License-Identifier: GPL-2.0-only
#include "pdcp.h"

#include <utility>

namespace cosim::nr
{

PdcpReceiver::PdcpReceiver(int64_t t_reordering_ns, Agenda& agenda, Deliver deliver, Lose lose)
    : m_t_reordering_ns(t_reordering_ns),
      m_agenda(agenda),
      m_deliver(std::move(deliver)),
      m_lose(std::move(lose)),
      m_reordering(agenda, [this] { Expire(); })
{
}

bool
PdcpReceiver::Expects(int64_t serial) const
{
    return serial >= m_sdus.End() || (m_sdus.Holds(serial) && m_sdus[serial].state == State::kMissing);
}

void
PdcpReceiver::Receive(int64_t now_ns, int64_t serial, const AccessParts& parts)
{
    Place(now_ns, serial, Sdu{State::kHeld, now_ns, parts});
}

void
PdcpReceiver::Skip(int64_t now_ns, int64_t serial)
{
    if (Expects(serial))
    {
        Place(now_ns, serial, Sdu{State::kSkipped, now_ns, {}});
    }
}

void
PdcpReceiver::Place(int64_t now_ns, int64_t serial, const Sdu& sdu)
{
    m_sdus.ExtendTo(serial + 1);
    m_sdus[serial] = sdu;
    DeliverRun(now_ns);
    if (m_reordering.Running() && m_sdus.First() >= m_reordering_end)
    {
        m_reordering.Stop();
    }
    Await(now_ns);
}

void
PdcpReceiver::PassFront(int64_t now_ns)
{
    const int64_t serial = m_sdus.First();
    Sdu sdu = m_sdus.PopFront();
    if (sdu.state == State::kHeld)
    {
        sdu.parts.pdcp_reorder_ns = now_ns - sdu.received_ns;
        m_deliver(now_ns, serial, sdu.parts);
    }
    else if (sdu.state == State::kMissing)
    {
        m_lose(serial);
    }
}

void
PdcpReceiver::DeliverRun(int64_t now_ns)
{
    while (!m_sdus.Empty() && m_sdus[m_sdus.First()].state != State::kMissing)
    {
        PassFront(now_ns);
    }
}

void
PdcpReceiver::Await(int64_t now_ns)
{
    if (!m_reordering.Running() && !m_sdus.Empty())
    {
        m_reordering_end = m_sdus.End();
        m_reordering.Start(now_ns + m_t_reordering_ns);
    }
}

void
PdcpReceiver::Expire()
{
    const int64_t now_ns = m_agenda.NowNs();
    while (m_sdus.First() < m_reordering_end)
    {
        PassFront(now_ns);
    }
    DeliverRun(now_ns);
    Await(now_ns);
}

} // namespace cosim::nr
