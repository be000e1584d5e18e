// SPDX-License-Identifier: GPL-2.0-only
#include "link_adaptation.h"

#include "error_model.h"
#include "mcs.h"
#include "transport_block.h"

#include <algorithm>
#include <cstddef>
#include <limits>

namespace cosim::nr
{

namespace
{

constexpr int32_t kMaxCqi = 15;
constexpr int64_t kShortBits = 292; // 38.212 7.2.2: base graph 2 at any code rate

} // namespace

LinkAdaptation::LinkAdaptation(const LinkAdaptationConfig& config, int32_t mcs_table, int64_t resource_elements, bool up)
    : m_mcs_table(mcs_table),
      m_resource_elements(resource_elements),
      m_up(up)
{
    Set(config);
}

void LinkAdaptation::Set(const LinkAdaptationConfig& config)
{
    m_config = config;
    m_offset_db = config.olla ? m_offset_db : 0;
    m_thresholds_db = ThresholdsDb(m_resource_elements, 0);
    m_others_db.clear();
    m_reported.resize(m_thresholds_db.size());
    for (int32_t mcs = 0; mcs <= MaxMcs(m_mcs_table); ++mcs)
    {
        m_reported[static_cast<size_t>(mcs)] = config.cqi_quantised && !m_up ? ThroughCqi(mcs) : mcs;
    }
}

std::vector<double> LinkAdaptation::ThresholdsDb(int64_t resource_elements, double short_block_margin_db) const
{
    std::vector<double> thresholds_db(static_cast<size_t>(MaxMcs(m_mcs_table)) + 1);
    double next_db = std::numeric_limits<double>::infinity();
    for (int32_t mcs = MaxMcs(m_mcs_table); mcs >= 0; --mcs)
    {
        const Modulation modulation = Mcs(m_mcs_table, mcs);
        const int64_t bits = std::max<int64_t>(24, TransportBlockBits(resource_elements, modulation, 1));
        const double margin_db = bits <= kShortBits ? short_block_margin_db : 0;
        const double needed_db = SinrForTransportBlockBler(modulation, bits, m_config.bler_target) + margin_db;
        next_db = std::min(next_db, SinrWithMarginDb(needed_db, m_config));
        thresholds_db[static_cast<size_t>(mcs)] = next_db;
    }
    return thresholds_db;
}

int32_t LinkAdaptation::ThroughCqi(int32_t mcs) const
{
    const double efficiency = Mcs(m_mcs_table, mcs).Efficiency();
    int32_t cqi = kMaxCqi;
    while (CqiEfficiency(m_mcs_table, cqi) > efficiency) // CQI 1 exceeds no MCS of its table
    {
        --cqi;
    }
    int32_t left = mcs;
    while (left > 0 && Mcs(m_mcs_table, left).Efficiency() > CqiEfficiency(m_mcs_table, cqi))
    {
        --left;
    }
    return left;
}

int32_t LinkAdaptation::McsFor(double known_sinr_db) const
{
    // The SINR is seldom far from the last one.
    const double sinr_db = known_sinr_db + m_offset_db;
    while (m_usable > 0 && m_thresholds_db[m_usable - 1] > sinr_db)
    {
        --m_usable;
    }
    while (m_usable < m_thresholds_db.size() && m_thresholds_db[m_usable] <= sinr_db)
    {
        ++m_usable;
    }
    return m_reported[m_usable > 0 ? m_usable - 1 : 0];
}

int32_t LinkAdaptation::McsFor(double known_sinr_db, int64_t resource_elements) const
{
    std::vector<double>& thresholds_db = m_others_db[resource_elements];
    if (thresholds_db.empty())
    {
        thresholds_db = ThresholdsDb(resource_elements, m_config.short_block_margin_db);
    }
    const auto above = std::upper_bound(thresholds_db.begin(), thresholds_db.end(), known_sinr_db + m_offset_db);
    const std::ptrdiff_t usable = above - thresholds_db.begin();
    return m_reported[static_cast<size_t>(std::max<std::ptrdiff_t>(usable - 1, 0))];
}

void LinkAdaptation::Feedback(int32_t mcs, bool decoded)
{
    if (!m_config.olla || (decoded && mcs == m_reported.back()) || (!decoded && mcs == 0))
    {
        return;
    }
    m_offset_db += decoded ? m_config.olla_step_db * m_config.bler_target / (1 - m_config.bler_target)
                           : -m_config.olla_step_db;
}

} // namespace cosim::nr
