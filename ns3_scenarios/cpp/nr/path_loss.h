// SPDX-License-Identifier: GPL-2.0-only
//
// Path loss and LOS probability of TR 38.901 Tables 7.4.1-1 and 7.4.2-1.
#pragma once

#include <cstdint>

namespace cosim::nr
{

enum class Scenario : int32_t
{
    kUmi = 0,
    kUma = 1,
    kInH = 2
};

/// dB. Distances and heights in m, frequency in GHz.
double PathLossDb(Scenario scenario, bool line_of_sight, double d2d_m, double gnb_height_m, double ue_height_m, double frequency_ghz);

double LineOfSightProbability(Scenario scenario, double d2d_m, double ue_height_m);

/// Standard deviation of shadow fading, dB (Table 7.4.1-1), and its correlation distance, m (Table 7.5-6).
double ShadowingDb(Scenario scenario, bool line_of_sight);
double ShadowingCorrelationM(Scenario scenario, bool line_of_sight);

} // namespace cosim::nr
