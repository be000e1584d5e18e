// SPDX-License-Identifier: GPL-2.0-only
#include "bbr_path.h"

#include "ns3/simulator.h"

#include <algorithm>

namespace cosim
{

using namespace ns3;

namespace
{

// Linux: net/ipv4/tcp_bbr.c.
constexpr uint64_t kRateUnit = 1 << 24;
constexpr uint32_t kRateRounds = 10;
constexpr uint32_t kInitialWindow = 10;
constexpr uint32_t kFullRounds = 3;
constexpr uint32_t kExtraAckedRounds = 5;
constexpr uint32_t kEpochAckedLimit = 1 << 20;
constexpr int64_t kExtraAckedLimitUs = 100'000;
const Time kMinRttWindow = Seconds(10);

} // namespace

BbrPath::BbrPath()
    : m_rate(kRateRounds, 0, 0)
{
}

void
BbrPath::Begin()
{
    KeepMinRtt();
    StartEpoch();
}

void
BbrPath::Update(const BbrSample& sample, uint32_t window)
{
    m_round_start = false;
    if (sample.interval_us > 0)
    {
        UpdateRate(sample);
        UpdateAggregation(sample, window);
    }
}

void
BbrPath::UpdateRate(const BbrSample& sample)
{
    if (sample.prior_delivered >= m_round_end)
    {
        StartRound(sample.delivered_ever);
        ++m_round;
        m_round_start = true;
    }
    const uint64_t rate = sample.delivered * kRateUnit / sample.interval_us;
    if (!sample.app_limited || rate >= Rate())
    {
        m_rate.Update(rate, m_round);
    }
}

/// How many segments more were acknowledged in an epoch than the rate explains.
void
BbrPath::UpdateAggregation(const BbrSample& sample, uint32_t window)
{
    if (m_round_start && ++m_slot_rounds >= kExtraAckedRounds)
    {
        m_slot_rounds = 0;
        m_slot ^= 1;
        m_extra_acked[m_slot] = 0;
    }
    uint64_t expected = Delivers((Simulator::Now() - m_epoch).GetMicroSeconds());
    if (m_epoch_acked <= expected || m_epoch_acked + sample.acked >= kEpochAckedLimit)
    {
        StartEpoch();
        expected = 0;
    }
    m_epoch_acked += sample.acked;
    const uint32_t extra = std::min(m_epoch_acked - static_cast<uint32_t>(expected), window);
    m_extra_acked[m_slot] = std::max(m_extra_acked[m_slot], extra);
}

/// Full once three rounds that the application did not limit have not raised the rate by a quarter.
void
BbrPath::UpdateFull(const BbrSample& sample)
{
    if (m_full || !m_round_start || sample.app_limited)
    {
        return;
    }
    if (Rate() >= m_full_rate * 5 / 4)
    {
        m_full_rate = Rate();
        m_full_rounds = 0;
        return;
    }
    m_full = ++m_full_rounds >= kFullRounds;
}

bool
BbrPath::UpdateMinRtt(const BbrSample& sample)
{
    const bool expired = Simulator::Now() > m_min_rtt_stamp + kMinRttWindow;
    const bool shorter = m_min_rtt_us < 0 || sample.rtt_us < m_min_rtt_us;
    if (sample.rtt_us >= 0 && (shorter || (expired && !sample.maybe_delayed)))
    {
        m_min_rtt_us = sample.rtt_us;
        KeepMinRtt();
    }
    return expired;
}

void
BbrPath::StartRound(uint64_t delivered_ever)
{
    m_round_end = delivered_ever;
}

void
BbrPath::StartEpoch()
{
    m_epoch = Simulator::Now();
    m_epoch_acked = 0;
}

void
BbrPath::KeepMinRtt()
{
    m_min_rtt_stamp = Simulator::Now();
}

void
BbrPath::ForgetFullRate()
{
    m_full_rate = 0;
}

bool
BbrPath::RoundStart() const
{
    return m_round_start;
}

bool
BbrPath::Full() const
{
    return m_full;
}

int64_t
BbrPath::MinRttUs() const
{
    return m_min_rtt_us;
}

double
BbrPath::SegmentsPerSecond() const
{
    return static_cast<double>(Rate()) * 1e6 / kRateUnit;
}

uint64_t
BbrPath::Rate() const
{
    return m_rate.GetBest();
}

uint64_t
BbrPath::Delivers(int64_t time_us) const
{
    return Rate() * time_us / kRateUnit;
}

uint32_t
BbrPath::BandwidthDelayProduct(uint32_t gain) const
{
    if (m_min_rtt_us < 0)
    {
        return kInitialWindow;
    }
    const uint64_t product = Rate() * m_min_rtt_us * gain / kBbrUnit;
    return static_cast<uint32_t>((product + kRateUnit - 1) / kRateUnit);
}

uint32_t
BbrPath::AggregationWindow() const
{
    const auto limit = static_cast<uint32_t>(Delivers(kExtraAckedLimitUs));
    return m_full ? std::min(std::max(m_extra_acked[0], m_extra_acked[1]), limit) : 0;
}

} // namespace cosim
