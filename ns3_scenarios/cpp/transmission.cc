// SPDX-License-Identifier: GPL-2.0-only
#include "transmission.h"

#include "epoch.h"

#include <algorithm>

namespace cosim
{

namespace
{

constexpr int64_t kTunHeaderBytes = 4;

bool
HasOpportunities(const Direction& value)
{
    return value.opportunities.period_ns > 0;
}

int64_t
TimeOf(const Opportunities& trace, int64_t number)
{
    const auto count = static_cast<int64_t>(trace.times_ns.size());
    return kEpochNs + number / count * trace.period_ns + trace.times_ns[static_cast<std::size_t>(number % count)];
}

/// The number of the first opportunity at or after a time.
int64_t
FirstAt(const Opportunities& trace, int64_t at_ns)
{
    const auto& times = trace.times_ns;
    const int64_t since_epoch_ns = std::max<int64_t>(0, at_ns - kEpochNs);
    const int64_t period = since_epoch_ns / trace.period_ns;
    const auto count = static_cast<int64_t>(times.size());
    // The last opportunities of the period before may lie on its end, which is this one's beginning.
    const int64_t offset_ns = since_epoch_ns - period * trace.period_ns;
    if (period > 0 && offset_ns == 0)
    {
        const auto end = std::lower_bound(times.begin(), times.end(), trace.period_ns);
        return (period - 1) * count + (end - times.begin());
    }
    return period * count + (std::lower_bound(times.begin(), times.end(), offset_ns) - times.begin());
}

/// The opportunity in which a packet starts, and what is left of it.
Transmission
Open(const Opportunities& trace, const Transmission& before, int64_t ready_ns)
{
    Transmission open = before;
    const bool over = before.opportunity < 0 || before.left_bytes == 0 || TimeOf(trace, before.opportunity) < ready_ns;
    if (over)
    {
        const int64_t earliest_ns = std::max(ready_ns, before.end_ns);
        open.opportunity = std::max(before.opportunity + 1, FirstAt(trace, earliest_ns));
        open.left_bytes = trace.bytes_per_opportunity;
    }
    open.start_ns = open.end_ns = TimeOf(trace, open.opportunity);
    return open;
}

} // namespace

int64_t
EarliestStart(const Direction& value, int64_t now_ns)
{
    return HasOpportunities(value) ? now_ns + 1 : now_ns;
}

int64_t
NextStart(const Direction& value, const Transmission& before, int64_t ready_ns)
{
    if (HasOpportunities(value))
    {
        return Open(value.opportunities, before, ready_ns).start_ns;
    }
    return value.rate_bps == 0 ? ready_ns : std::max(ready_ns, before.end_ns);
}

Transmission
Transmit(const Direction& value, const Transmission& before, int64_t ready_ns, int64_t n_bytes)
{
    if (!HasOpportunities(value))
    {
        const int64_t start_ns = NextStart(value, before, ready_ns);
        const int64_t rate_bps = value.rate_bps;
        const int64_t duration_ns = rate_bps == 0 ? 0 : (n_bytes * 8 * 1'000'000'000 + rate_bps - 1) / rate_bps;
        return {.start_ns = start_ns, .end_ns = start_ns + duration_ns};
    }
    const Opportunities& trace = value.opportunities;
    Transmission sent = Open(trace, before, ready_ns);
    const int64_t missing_bytes = n_bytes + kTunHeaderBytes - sent.left_bytes;
    const int64_t further =
        missing_bytes <= 0 ? 0 : (missing_bytes + trace.bytes_per_opportunity - 1) / trace.bytes_per_opportunity;
    sent.opportunity += further;
    sent.left_bytes = further * trace.bytes_per_opportunity - missing_bytes;
    sent.end_ns = TimeOf(trace, sent.opportunity);
    return sent;
}

bool
KeepsOpportunities(const Opportunities& value)
{
    return value.period_ns > 0 && value.times_ns.empty();
}

bool
SameOpportunities(const Opportunities& a, const Opportunities& b)
{
    return a.period_ns == b.period_ns && a.bytes_per_opportunity == b.bytes_per_opportunity && a.times_ns == b.times_ns;
}

} // namespace cosim
