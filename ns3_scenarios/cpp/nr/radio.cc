// SPDX-License-Identifier: GPL-2.0-only
#include "radio.h"

#include "channel.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>
#include <vector>

namespace cosim::nr
{

namespace
{

constexpr int64_t kHistoryNs = 1'000'000'000; // what the gNB knew up to this long ago can still be read
constexpr double kThermalDbmPerHz = -174;     // at 290 K

enum Kind
{
    kFixed,
    kTrace,
    kGeometry
};

void
Check(const RadioConfig& config)
{
    if (config.kind < kFixed || config.kind > kGeometry)
    {
        throw std::invalid_argument("a radio's kind is 0, 1 or 2");
    }
    if (config.kind == kTrace && config.trace.empty())
    {
        throw std::invalid_argument("a trace has at least one point");
    }
    if (config.kind == kGeometry && (config.scenario < 0 || config.scenario > 2))
    {
        throw std::invalid_argument("a radio's scenario is 0, 1 or 2");
    }
}

/// The point that holds at a time.
const TracePoint&
PointAt(const std::vector<TracePoint>& trace, int64_t t_ns)
{
    const auto next = std::upper_bound(trace.begin(), trace.end(), t_ns, [](int64_t t, const TracePoint& point) {
        return t < point.t_ns;
    });
    return next == trace.begin() ? trace.front() : *(next - 1);
}

/// SINR for a channel of gain 0 dB: the transmitter's power on all of its carrier over noise and interference.
double
BudgetDb(const RadioConfig& config, bool up, double bandwidth_hz)
{
    const double power_dbm = up ? config.ue_power_dbm : config.gnb_power_dbm;
    const double noise_figure_db = up ? config.gnb_noise_figure_db : config.ue_noise_figure_db;
    const double noise_dbm = kThermalDbmPerHz + 10 * std::log10(bandwidth_hz) + noise_figure_db;
    return power_dbm + config.antenna_gain_db - noise_dbm - config.interference_margin_db;
}

} // namespace

/// A stretch, and what its budgets come to.
struct Setting
{
    Stretch stretch;
    double ul_db;
    double dl_db;
};

struct Radio::Impl
{
    Channel channel;
    double dl_bandwidth_hz;
    double ul_bandwidth_hz;
    std::vector<Setting> settings; // in order of time; the first also holds before its start

    void Add(Stretch stretch)
    {
        const double ul_db = BudgetDb(stretch.config, true, ul_bandwidth_hz);
        const double dl_db = BudgetDb(stretch.config, false, dl_bandwidth_hz);
        settings.push_back(Setting{std::move(stretch), ul_db, dl_db});
    }

    const Setting& At(int64_t t_ns) const
    {
        auto setting = settings.end() - 1;
        while (setting != settings.begin() && setting->stretch.from_ns > t_ns)
        {
            --setting;
        }
        return *setting;
    }

    void Forget(int64_t before_ns)
    {
        while (settings.size() > 1 && settings[1].stretch.from_ns <= before_ns)
        {
            settings.erase(settings.begin());
        }
    }
};

Radio::Radio(const RadioConfig& config, const std::string& stream, uint64_t seed, double dl_bandwidth_hz, double ul_bandwidth_hz)
    : m_impl(new Impl{Channel(stream, seed, dl_bandwidth_hz), dl_bandwidth_hz, ul_bandwidth_hz, {}})
{
    Check(config);
    m_impl->Add(Stretch{1, 0, config});
}

Radio::~Radio() = default;

void
Radio::Set(int64_t now_ns, const RadioConfig& config)
{
    Check(config);
    m_impl->Forget(now_ns - kHistoryNs);
    m_impl->Add(Stretch{m_impl->settings.back().stretch.serial + 1, now_ns, config});
}

double
Radio::SinrDb(int64_t t_ns, bool up) const
{
    const Setting& setting = m_impl->At(t_ns);
    const RadioConfig& config = setting.stretch.config;
    if (config.kind == kFixed)
    {
        return up ? config.ul_sinr_db : config.dl_sinr_db;
    }
    if (config.kind == kTrace)
    {
        const TracePoint& point = PointAt(config.trace, t_ns);
        return up ? point.ul_sinr_db : point.dl_sinr_db;
    }
    return (up ? setting.ul_db : setting.dl_db) + m_impl->channel.GainDb(setting.stretch, t_ns);
}

bool
Radio::Constant() const
{
    const RadioConfig& config = m_impl->settings.back().stretch.config;
    switch (config.kind)
    {
    case kFixed:
        return true;
    case kTrace:
        return config.trace.size() == 1;
    default:
        return !config.fading && config.vx_mps == 0 && config.vy_mps == 0;
    }
}

} // namespace cosim::nr
