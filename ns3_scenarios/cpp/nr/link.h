// SPDX-License-Identifier: GPL-2.0-only
//
// The radio link of a UE: its SINR per layer, what the gNB knows of it, and the MCS that follows.
#pragma once

#include "config.h"
#include "frame.h"
#include "link_adaptation.h"
#include "radio.h"

#include <array>
#include <cstdint>

namespace cosim::nr
{

class Link
{
  public:
    /// MCSs are chosen for TBs of a whole slot.
    Link(const CellConfig& config, const UeConfig& ue, const Frame& frame);

    void SetRadio(int64_t now_ns, const RadioConfig& radio);
    void SetLink(const LinkAdaptationConfig& link);
    void SetGrants(const UplinkGrantConfig& grants);

    /// SINR of each layer of a transmission of `rbs` RBs.
    double SinrDb(int64_t t_ns, bool up, int32_t rbs) const;

    /// Whether the UE decodes a DCI, by its downlink SINR.
    bool HearsControl(int64_t t_ns) const;

    /// MCS that the gNB chooses for `rbs` RBs by what it knows.
    int32_t Mcs(int64_t now_ns, bool up, int32_t rbs) const;

    /// A TB of so many RBs has been received, decoded or not: the gNB's latest measurement or report.
    void Heard(bool up, int32_t rbs)
    {
        m_last_rbs[up ? 0 : 1] = rbs;
    }

    /// HARQ-ACK of a first transmission with this MCS.
    void Feedback(bool up, int32_t mcs, bool decoded);

    /// Whether the SINR of a PUSCH depends on its RBs.
    bool PowerLimited() const
    {
        return m_grants.power_limited;
    }

  private:
    void Remember(int64_t now_ns);
    double OfLayerDb(double sinr_db, bool up, int32_t rbs) const;

    Radio m_radio;
    LinkAdaptation m_ul;
    LinkAdaptation m_dl;
    UplinkGrantConfig m_grants;
    CarrierConfig m_carrier;
    bool m_by_last_rbs;
    std::array<int32_t, 2> m_last_rbs; // uplink, downlink
    double m_ul_layers_db;
    double m_dl_layers_db;
    int64_t m_cqi_delay_ns;
    double m_control_sinr_db;
    bool m_constant{false}; // since m_constant_from_ns
    int64_t m_constant_from_ns{0};
    std::array<double, 2> m_constant_db{};
};

} // namespace cosim::nr
