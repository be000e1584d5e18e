// SPDX-License-Identifier: GPL-2.0-only
#include "link.h"

#include "transport_block.h"

#include <algorithm>
#include <cmath>

namespace cosim::nr
{

namespace
{

double
BandwidthHz(int32_t rbs, int32_t numerology)
{
    return 12.0 * rbs * 15'000.0 * (1 << numerology);
}

/// Resource elements of all RBs in the slot with the most symbols.
int64_t
SlotElements(const CarrierConfig& carrier, const Frame& frame, bool up)
{
    int32_t symbols = 0;
    for (int64_t slot = 0; slot < frame.Period(); ++slot)
    {
        symbols = std::max(symbols, up ? frame.UlSymbols(slot) : frame.DlSymbols(slot));
    }
    return ResourceElements(carrier, up ? carrier.ul_rbs : carrier.dl_rbs, symbols);
}

} // namespace

Link::Link(const CellConfig& config, const UeConfig& ue, const Frame& frame)
    : m_radio(ue.radio, "nr/" + ue.name, config.seed,
              BandwidthHz(config.carrier.dl_rbs, config.carrier.numerology),
              BandwidthHz(config.carrier.ul_rbs, config.carrier.numerology)),
      m_ul(config.link, config.carrier.ul_mcs_table, SlotElements(config.carrier, frame, true), true),
      m_dl(config.link, config.carrier.dl_mcs_table, SlotElements(config.carrier, frame, false), false),
      m_grants(config.grants),
      m_carrier(config.carrier),
      m_by_last_rbs(config.link.by_last_rbs),
      m_last_rbs{config.carrier.ul_rbs, config.carrier.dl_rbs},
      m_ul_layers_db(config.carrier.layer_cost_db * std::log2(config.carrier.ul_layers)),
      m_dl_layers_db(config.carrier.layer_cost_db * std::log2(config.carrier.dl_layers)),
      m_cqi_delay_ns(config.link.cqi_delay_ns),
      m_control_sinr_db(config.link.control_sinr_db)
{
    Remember(0);
}

void
Link::SetRadio(int64_t now_ns, const RadioConfig& radio)
{
    m_radio.Set(now_ns, radio);
    Remember(now_ns);
}

void
Link::SetLink(const LinkAdaptationConfig& link)
{
    m_ul.Set(link);
    m_dl.Set(link);
    m_by_last_rbs = link.by_last_rbs;
    m_cqi_delay_ns = link.cqi_delay_ns;
    m_control_sinr_db = link.control_sinr_db;
}

void
Link::SetGrants(const UplinkGrantConfig& grants)
{
    m_grants = grants;
}

double
Link::SinrDb(int64_t t_ns, bool up, int32_t rbs) const
{
    const bool remembered = m_constant && t_ns >= m_constant_from_ns;
    return OfLayerDb(remembered ? m_constant_db[up ? 0 : 1] : m_radio.SinrDb(t_ns, up), up, rbs);
}

bool
Link::HearsControl(int64_t t_ns) const
{
    const bool remembered = m_constant && t_ns >= m_constant_from_ns;
    return (remembered ? m_constant_db[1] : m_radio.SinrDb(t_ns, false)) >= m_control_sinr_db;
}

int32_t
Link::Mcs(int64_t now_ns, bool up, int32_t rbs) const
{
    const double known_db = SinrDb(std::max<int64_t>(now_ns - m_cqi_delay_ns, 0), up, rbs);
    const LinkAdaptation& adaptation = up ? m_ul : m_dl;
    const int32_t last_rbs = m_last_rbs[up ? 0 : 1];
    if (m_by_last_rbs && last_rbs < (up ? m_carrier.ul_rbs : m_carrier.dl_rbs))
    {
        return adaptation.McsFor(known_db, ResourceElements(m_carrier, last_rbs, 1));
    }
    return adaptation.McsFor(known_db);
}

void
Link::Feedback(bool up, int32_t mcs, bool decoded)
{
    (up ? m_ul : m_dl).Feedback(mcs, decoded);
}

void
Link::Remember(int64_t now_ns)
{
    m_constant = m_radio.Constant();
    m_constant_from_ns = now_ns;
    if (m_constant)
    {
        m_constant_db[0] = m_radio.SinrDb(now_ns, true);
        m_constant_db[1] = m_radio.SinrDb(now_ns, false);
    }
}

double
Link::OfLayerDb(double sinr_db, bool up, int32_t rbs) const
{
    if (!up)
    {
        return sinr_db - m_dl_layers_db;
    }
    if (m_grants.power_limited && rbs < m_carrier.ul_rbs)
    {
        // The same power in fewer RBs; the cap holds for what this gains, not for the carrier-wide SINR.
        const double narrow_db = sinr_db + 10 * std::log10(static_cast<double>(m_carrier.ul_rbs) / rbs);
        sinr_db = std::max(sinr_db, std::min(narrow_db, m_grants.power_cap_db));
    }
    return sinr_db - m_ul_layers_db;
}

} // namespace cosim::nr
