// SPDX-License-Identifier: GPL-2.0-only
//
// Which MCS the gNB gives a UE in one direction: from the SINR it knows, by the error model's margin, CQI and OLLA.
#pragma once

#include "config.h"

#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

namespace cosim::nr
{

class LinkAdaptation
{
  public:
    /// `resource_elements`: of the allocation whose TB is to be within the BLER target (a slot's on all RBs). The
    /// downlink (not `up`) is quantised by CQI if the configuration says so; in the uplink the gNB measures by itself.
    LinkAdaptation(const LinkAdaptationConfig& config, int32_t mcs_table, int64_t resource_elements, bool up);

    void Set(const LinkAdaptationConfig& config);

    /// MCS for a SINR as the gNB knows it: the greatest whose TB BLER is within the target; 0 where none is. With CQI:
    /// the greatest CQI whose efficiency does not exceed that MCS's, then the greatest MCS whose efficiency does not
    /// exceed that CQI's.
    int32_t McsFor(double known_sinr_db) const;

    /// The same for a TB of another allocation, with the margin of short code blocks.
    int32_t McsFor(double known_sinr_db, int64_t resource_elements) const;

    /// HARQ-ACK of a first transmission with this MCS, for OLLA. The offset does not move beyond what changes the MCS:
    /// an ACK of the greatest MCS and an error of MCS 0 leave it as it is.
    void Feedback(int32_t mcs, bool decoded);

    double OffsetDb() const
    {
        return m_offset_db;
    }

    /// The least SINR (dB) for which McsFor gives this MCS or a greater one, without OLLA and CQI.
    double ThresholdDb(int32_t mcs) const
    {
        return m_thresholds_db[static_cast<size_t>(mcs)];
    }

  private:
    int32_t ThroughCqi(int32_t mcs) const;
    std::vector<double> ThresholdsDb(int64_t resource_elements, double short_block_margin_db) const;

    LinkAdaptationConfig m_config;
    int32_t m_mcs_table;
    int64_t m_resource_elements;
    bool m_up;
    double m_offset_db{0};
    std::vector<double> m_thresholds_db; // by MCS, never falling
    mutable std::map<int64_t, std::vector<double>> m_others_db; // of other allocations that were asked for
    std::vector<int32_t> m_reported;     // by MCS: the MCS that is left of it
    mutable size_t m_usable{0};          // MCSs whose threshold was reached when it was last asked for
};

} // namespace cosim::nr
