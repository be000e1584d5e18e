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

BbrRate::BbrRate(Ptr<const TcpTxBuffer> buffer)
    : m_buffer(std::move(buffer))
{
}

void
BbrRate::SkbSent(TcpTxItem* segment, bool nothing_in_flight)
{
    // Linux asks for nothing unacknowledged, so that a timeout, which declares all lost, starts no new interval.
    if (nothing_in_flight && m_buffer->GetLost() == 0 && m_buffer->GetSacked() == 0)
    {
        m_connection.m_firstSentTime = Simulator::Now();
        m_connection.m_deliveredTime = Simulator::Now();
    }
    TcpTxItem::RateInformation& info = segment->GetRateInformation();
    info.m_firstSent = m_connection.m_firstSentTime;
    info.m_deliveredTime = m_connection.m_deliveredTime;
    info.m_isAppLimited = AppLimited();
    info.m_delivered = m_connection.m_delivered;
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
    m_connection.m_delivered += segment->GetSeqSize();
    m_connection.m_deliveredTime = now;
    if (segment->IsRetrans())
    {
        m_repaired += segment->GetSeqSize();
    }
    else
    {
        m_next_rtt_us = (now - sent).GetMicroSeconds();
    }
    if (m_next.m_priorTime.IsZero() || sent >= m_connection.m_firstSentTime)
    {
        m_next.m_priorDelivered = static_cast<uint32_t>(info.m_delivered);
        m_next.m_priorTime = info.m_deliveredTime;
        m_next.m_isAppLimited = info.m_isAppLimited;
        m_next.m_sendElapsed = sent - info.m_firstSent;
        m_next.m_ackElapsed = now - info.m_deliveredTime;
        m_connection.m_firstSentTime = sent;
    }
    info.m_deliveredTime = Time::Max();
}

void
BbrRate::CalculateAppLimited(uint32_t window,
                             uint32_t in_flight,
                             uint32_t segment_size,
                             const SequenceNumber32& tail,
                             const SequenceNumber32& next,
                             const uint32_t lost,
                             const uint32_t retransmitted)
{
    if (tail - next < static_cast<int32_t>(segment_size) && in_flight < window && lost <= retransmitted)
    {
        MarkAppLimited(in_flight);
    }
}

const TcpRateOps::TcpRateSample&
BbrRate::GenerateSample(uint32_t delivered, uint32_t, bool is_sack_reneg, uint32_t in_flight_before, const Time& min_rtt)
{
    const auto delivered_now = static_cast<uint32_t>(m_connection.m_delivered);
    if (AppLimited() && static_cast<int32_t>(delivered_now - m_connection.m_appLimited) > 0)
    {
        m_connection.m_appLimited = 0;
    }
    m_sample = m_next;
    m_rtt_us = m_next_rtt_us;
    m_sample.m_ackedSacked = delivered;
    m_sample.m_priorInFlight = in_flight_before;
    const uint32_t lost = m_buffer->GetLost();
    m_sample.m_bytesLoss = static_cast<uint32_t>(
        std::max<int64_t>(int64_t{lost} + m_repaired - m_lost, 0));
    m_lost = lost;
    // The longer of the two phases, against compressed ACKs.
    m_sample.m_interval = std::max(m_sample.m_sendElapsed, m_sample.m_ackElapsed);
    m_sample.m_delivered = static_cast<int32_t>(delivered_now - m_sample.m_priorDelivered);
    if (m_sample.m_priorTime.IsZero() || is_sack_reneg || m_sample.m_interval < min_rtt)
    {
        m_sample.m_interval = Time(0);
    }
    m_next = TcpRateSample();
    m_next_rtt_us = -1;
    m_repaired = 0;
    return m_sample;
}

const TcpRateOps::TcpRateConnection&
BbrRate::GetConnectionRate()
{
    return m_connection;
}

void
BbrRate::MarkAppLimited(uint32_t in_flight)
{
    m_connection.m_appLimited = std::max<uint32_t>(static_cast<uint32_t>(m_connection.m_delivered) + in_flight, 1);
}

bool
BbrRate::AppLimited() const
{
    return m_connection.m_appLimited != 0;
}

uint32_t
BbrRate::Delivered() const
{
    return static_cast<uint32_t>(m_connection.m_delivered);
}

void
BbrRate::LossesKnown()
{
    m_lost = m_buffer->GetLost();
}

int64_t
BbrRate::RttUs() const
{
    return m_rtt_us;
}

bool
BbrRate::AckMayBeDelayed(uint32_t segment_size) const
{
    return m_sample.m_ackedSacked < segment_size &&
           m_sample.m_delivered == static_cast<int32_t>(m_sample.m_ackedSacked);
}

} // namespace cosim
