// SPDX-License-Identifier: GPL-2.0-only
//
// Which MCS the gNB gives a UE in one direction: from the SINR it knows, by the error model's margin, CQI and OLLA.
#pragma once

#include "config.h"

#include <cstdint>

namespace cosim::nr
{

class LinkAdaptation
{
  public:
    LinkAdaptation(const LinkAdaptationConfig& config, int32_t mcs_table, int64_t typical_tb_bits);

    void Set(const LinkAdaptationConfig& config);

    /// MCS for a SINR as the gNB knows it: the greatest whose TB BLER is within the target; 0 where none is.
    int32_t McsFor(double known_sinr_db) const;

    /// HARQ-ACK of a first transmission, for OLLA.
    void Feedback(bool decoded);

    double OffsetDb() const;
};

} // namespace cosim::nr
