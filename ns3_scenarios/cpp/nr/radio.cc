// SPDX-License-Identifier: GPL-2.0-only
#include "radio.h"

#include <algorithm>
#include <stdexcept>
#include <vector>

namespace cosim::nr
{

namespace
{

constexpr int64_t kHistoryNs = 1'000'000'000; // what the gNB knew up to this long ago can still be read

/// The point that holds at a time (the first one before it).
const TracePoint&
PointAt(const std::vector<TracePoint>& trace, int64_t t_ns)
{
    const auto next = std::upper_bound(trace.begin(), trace.end(), t_ns, [](int64_t t, const TracePoint& point) {
        return t < point.t_ns;
    });
    return next == trace.begin() ? trace.front() : *(next - 1);
}

void
Check(const RadioConfig& config)
{
    if (config.kind < 0 || config.kind > 1)
    {
        throw std::invalid_argument("kind of a radio is 0 or 1");
    }
    if (config.kind == 1 && config.trace.empty())
    {
        throw std::invalid_argument("a trace has at least one point");
    }
}

} // namespace

/// What is set and from when.
struct Period
{
    int64_t from_ns;
    RadioConfig config;
};

struct Radio::Impl
{
    std::vector<Period> periods; // in order of time; the first also holds before its start

    const Period& At(int64_t t_ns) const
    {
        auto period = periods.end() - 1;
        while (period != periods.begin() && period->from_ns > t_ns)
        {
            --period;
        }
        return *period;
    }
};

Radio::Radio(const RadioConfig& config, const std::string& stream, uint64_t seed, double dl_bandwidth_hz, double ul_bandwidth_hz)
    : m_impl(std::make_unique<Impl>())
{
    (void)stream;
    (void)seed;
    (void)dl_bandwidth_hz;
    (void)ul_bandwidth_hz;
    Check(config);
    m_impl->periods.push_back(Period{0, config});
}

Radio::~Radio() = default;

void
Radio::Set(int64_t now_ns, const RadioConfig& config)
{
    Check(config);
    auto& periods = m_impl->periods;
    while (periods.size() > 1 && periods[1].from_ns <= now_ns - kHistoryNs)
    {
        periods.erase(periods.begin());
    }
    periods.push_back(Period{now_ns, config});
}

double
Radio::SinrDb(int64_t t_ns, bool up) const
{
    const RadioConfig& config = m_impl->At(t_ns).config;
    if (config.kind == 0)
    {
        return up ? config.ul_sinr_db : config.dl_sinr_db;
    }
    const TracePoint& point = PointAt(config.trace, t_ns);
    return up ? point.ul_sinr_db : point.dl_sinr_db;
}

bool
Radio::Constant() const
{
    const RadioConfig& config = m_impl->periods.back().config;
    return config.kind == 0 || config.trace.size() == 1;
}

} // namespace cosim::nr
