// SPDX-License-Identifier: GPL-2.0-only
#include "link_adaptation.h"

#include "error_model.h"
#include "mcs.h"
#include "transport_block.h"

#include <algorithm>

namespace cosim::nr
{

namespace
{

constexpr int32_t kMaxCqi = 15;

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
    const int32_t entries = MaxMcs(m_mcs_table) + 1;
    m_thresholds_db.resize(static_cast<size_t>(entries));
    m_reported.resize(static_cast<size_t>(entries));
    for (int32_t mcs = entries - 1; mcs >= 0; --mcs)
    {
        const Modulation modulation = Mcs(m_mcs_table, mcs);
        const int64_t bits = std::max<int64_t>(24, TransportBlockBits(m_resource_elements, modulation, 1));
        const double needed_db = SinrForTransportBlockBler(modulation, bits, config.bler_target);
        const double threshold_db = SinrWithMarginDb(needed_db, config);
        const size_t at = static_cast<size_t>(mcs);
        m_thresholds_db[at] = mcs + 1 < entries ? std::min(threshold_db, m_thresholds_db[at + 1]) : threshold_db;
        m_reported[at] = config.cqi_quantised && !m_up ? ThroughCqi(mcs) : mcs;
    }
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
