// SPDX-License-Identifier: GPL-2.0-only
//
// Tables of TR 38.901 for the three scenarios of a cell: path loss, LOS probability, and what varies around them.
#pragma once

#include <cstdint>

namespace cosim::nr
{

enum class Scenario : int32_t
{
    kUmi = 0,
    kUma = 1,
    kInH = 2 // mixed office
};

/// dB (Table 7.4.1-1). Distances and heights in m, frequency in GHz. Nearer than 1 m counts as 1 m.
double PathLossDb(Scenario scenario, bool line_of_sight, double d2d_m, double gnb_height_m, double ue_height_m, double frequency_ghz);

/// Table 7.4.2-1.
double LineOfSightProbability(Scenario scenario, double d2d_m, double ue_height_m);

/// Distance over which the LOS state is correlated, m (Table 7.6.3.1-2).
double LineOfSightCorrelationM(Scenario scenario);

/// Standard deviation of shadow fading, dB (Table 7.4.1-1), and its correlation distance, m (Table 7.5-6).
double ShadowingDb(Scenario scenario, bool line_of_sight);
double ShadowingCorrelationM(Scenario scenario, bool line_of_sight);

/// Mean Rician K factor of LOS, dB, and the median r.m.s. delay spread, s (Table 7.5-6).
double RicianKDb(Scenario scenario);
double DelaySpreadS(Scenario scenario, bool line_of_sight, double frequency_ghz);

} // namespace cosim::nr
