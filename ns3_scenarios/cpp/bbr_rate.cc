// SPDX-License-Identifier: GPL-2.0-only
#include "bbr_rate.h"

#include "ns3/simulator.h"

#include <algorithm>

namespace cosim
{

using namespace ns3;

NS_OBJECT_ENSURE_REGISTERED(BbrRate);

TypeId
BbrRate::GetTypeId()
{
    static TypeId tid = TypeId("cosim::BbrRate").SetParent<TcpRateOps>();
    return tid;
}

BbrRate::BbrRate(Ptr<const TcpTxBuffer> buffer, uint32_t segment_size)
    : m_buffer(std::move(buffer)),
      m_segment_size(segment_size)
{
}

void
BbrRate::SkbSent(TcpTxItem* segment, bool nothing_in_flight)
{
    // Linux asks for nothing unacknowledged, so that a timeout, which declares all lost, starts no new interval.
    if (nothing_in_flight && m_buffer->GetLost() == 0 && m_buffer->GetSacked() == 0)
    {
        m_first_sent = Simulator::Now();
        m_delivered_time = Simulator::Now();
    }
    TcpTxItem::RateInformation& info = segment->GetRateInformation();
    info.m_firstSent = m_first_sent;
    info.m_deliveredTime = m_delivered_time;
    info.m_isAppLimited = AppLimited();
    info.m_delivered = m_delivered;
}

void
BbrRate::SkbDelivered(TcpTxItem* segment)
{
    TcpTxItem::RateInformation& info = segment->GetRateInformation();
    if (info.m_deliveredTime == Time::Max())
    {
        return; // counted when it was SACKed
    }
    const Time now = Simulator::Now();
    const Time sent = segment->GetLastSent();
    ++m_delivered;
    ++m_coming.acked;
    m_acked_bytes += segment->GetSeqSize();
    m_connection.m_delivered += segment->GetSeqSize();
    m_delivered_time = now;
    if (segment->IsRetrans())
    {
        m_repaired_bytes += segment->GetSeqSize();
    }
    else
    {
        m_coming.rtt_us = (now - sent).GetMicroSeconds();
    }
    if (!m_timed || sent >= m_first_sent)
    {
        m_timed = true;
        // The longer of the two phases, against compressed ACKs.
        m_coming.interval_us = std::max(sent - info.m_firstSent, now - info.m_deliveredTime).GetMicroSeconds();
        m_coming.prior_delivered = info.m_delivered;
        m_coming.app_limited = info.m_isAppLimited;
        m_first_sent = sent;
    }
    info.m_deliveredTime = Time::Max();
}

void
BbrRate::CalculateAppLimited(uint32_t,
                             uint32_t,
                             uint32_t,
                             const SequenceNumber32&,
                             const SequenceNumber32&,
                             const uint32_t,
                             const uint32_t)
{
}

void
BbrRate::ApplicationWrites(const SequenceNumber32& next, uint32_t in_flight_bytes)
{
    const bool little_left = m_buffer->TailSequence() - next < static_cast<int32_t>(m_segment_size);
    if (little_left && m_buffer->GetLost() <= m_buffer->GetRetransmitsCount())
    {
        MarkAppLimited(in_flight_bytes);
    }
}

const TcpRateOps::TcpRateSample&
BbrRate::GenerateSample(uint32_t, uint32_t, bool, uint32_t in_flight_before, const Time& min_rtt)
{
    if (m_delivered > m_app_limited)
    {
        m_app_limited = 0;
    }
    const uint32_t lost = m_buffer->GetLost();
    m_coming.lost =
        Segments(static_cast<uint32_t>(std::max<int64_t>(int64_t{lost} + m_repaired_bytes - m_lost_bytes, 0)));
    m_coming.in_flight_before = Segments(in_flight_before);
    m_coming.nothing_out =
        m_coming.acked == 0 && in_flight_before == 0 && lost == 0 && m_buffer->GetSacked() == 0;
    m_coming.delivered_ever = m_delivered;
    m_coming.delivered = m_delivered - m_coming.prior_delivered;
    m_coming.maybe_delayed = m_acked_bytes < m_segment_size && m_coming.acked == 1 && m_coming.delivered == 1;
    if (!m_timed || m_coming.interval_us < min_rtt.GetMicroSeconds())
    {
        m_coming.interval_us = 0;
    }
    m_sample = m_coming;
    m_coming = BbrSample();
    m_timed = false;
    m_acked_bytes = 0;
    m_repaired_bytes = 0;
    m_lost_bytes = lost;
    return m_unused;
}

const TcpRateOps::TcpRateConnection&
BbrRate::GetConnectionRate()
{
    return m_connection;
}

const BbrSample&
BbrRate::Sample() const
{
    return m_sample;
}

void
BbrRate::MarkAppLimited(uint32_t in_flight_bytes)
{
    m_app_limited = std::max<uint64_t>(m_delivered + Segments(in_flight_bytes), 1);
}

bool
BbrRate::AppLimited() const
{
    return m_app_limited != 0;
}

void
BbrRate::LossesKnown()
{
    m_lost_bytes = m_buffer->GetLost();
}

uint32_t
BbrRate::Segments(uint32_t n_bytes) const
{
    return (n_bytes + m_segment_size - 1) / m_segment_size;
}

} // namespace cosim
