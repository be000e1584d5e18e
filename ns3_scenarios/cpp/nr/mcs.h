// SPDX-License-Identifier: GPL-2.0-only
//
// MCS and CQI tables of 38.214.
#pragma once

#include <cstdint>

namespace cosim::nr
{

struct Modulation
{
    int32_t bits_per_symbol; // Q_m
    double code_rate;        // R

    double Efficiency() const
    {
        return bits_per_symbol * code_rate;
    }
};

/// 38.214 Tables 5.1.3.1-1, -2, -3 for `table` 1, 2, 3.
Modulation Mcs(int32_t table, int32_t index);
int32_t MaxMcs(int32_t table);

/// Efficiency of CQI 1 to 15 (38.214 Tables 5.2.2.1-2, -3, -4 for MCS `table` 1, 2, 3).
double CqiEfficiency(int32_t table, int32_t cqi);

} // namespace cosim::nr
