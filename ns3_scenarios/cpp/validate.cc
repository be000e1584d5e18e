// SPDX-License-Identifier: GPL-2.0-only
#include "validate.h"

#include <algorithm>
#include <stdexcept>

namespace cosim
{

namespace
{

constexpr int64_t kMaxTimeNs = 3'600'000'000'000;
constexpr int64_t kMaxRateBps = 1'000'000'000'000;
constexpr int64_t kMaxTracePeriodNs = 366 * 24 * kMaxTimeNs;
constexpr int64_t kMaxFlows = 1 << 16;
constexpr int64_t kMaxPackets = 1 << 20;

void
Require(bool condition, const std::string& text)
{
    if (!condition)
    {
        throw std::invalid_argument(text);
    }
}

void
ValidateQueue(const std::string& link, const FqCodel& value)
{
    if (value.flows == 0)
    {
        return;
    }
    Require(value.target_ns >= 1 && value.target_ns <= kMaxTimeNs, link + ": CoDel's target must be 1 ns to 1 h");
    Require(value.interval_ns >= 1 && value.interval_ns <= kMaxTimeNs, link + ": CoDel's interval must be 1 ns to 1 h");
    Require(value.flows >= 1 && value.flows <= kMaxFlows, link + ": FQ-CoDel must have 1 to 65536 flows");
    Require(value.quantum_bytes >= 1 && value.quantum_bytes <= kMaxPackets,
            link + ": FQ-CoDel's quantum must be 1 to 1048576 bytes");
    Require(value.packets >= 1 && value.packets <= kMaxPackets, link + ": FQ-CoDel must hold 1 to 1048576 packets");
}

void
ValidateTrace(const std::string& link, const Opportunities& value)
{
    const auto& times = value.times_ns;
    if (value.period_ns == 0 && times.empty())
    {
        return;
    }
    Require(value.period_ns >= 1 && value.period_ns <= kMaxTracePeriodNs,
            link + ": the period of delivery opportunities must be 1 ns to 366 days");
    Require(!times.empty() && times.front() >= 0 && times.back() <= value.period_ns &&
                std::ranges::is_sorted(times),
            link + ": delivery opportunities must be at least one, in order, from 0 to their period");
    Require(value.bytes_per_opportunity >= 1, link + ": a delivery opportunity must carry at least 1 byte");
}

} // namespace

void
Validate(const std::string& link, const Direction& value)
{
    Require(value.delay_ns >= 0 && value.delay_ns <= kMaxTimeNs, link + ": delay must be 0 to 1 h");
    Require(value.jitter_ns >= 0 && value.jitter_ns <= kMaxTimeNs, link + ": jitter must be 0 to 1 h");
    Require(value.jitter_hold_ns >= 0 && value.jitter_hold_ns <= kMaxTimeNs, link + ": jitter must be held 0 to 1 h");
    Require(value.rate_bps >= 0 && value.rate_bps <= kMaxRateBps, link + ": rate must be 1 bit/s to 1 Tbit/s or none");
    Require(value.loss >= 0 && value.loss <= 1, link + ": loss must be 0 to 1");
    Require(value.jitter_shape >= 0.01 && value.jitter_shape <= 1000, link + ": jitter's shape must be 0.01 to 1000");
    const GilbertElliott& burst = value.burst_loss;
    for (const double share : {burst.good_to_bad, burst.bad_to_good, burst.loss_good, burst.loss_bad})
    {
        Require(share >= 0 && share <= 1, link + ": probabilities of bursts of loss must be 0 to 1");
    }
    ValidateQueue(link, value.fq_codel);
    ValidateTrace(link, value.opportunities);
}

} // namespace cosim
