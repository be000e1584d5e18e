// SPDX-License-Identifier: GPL-2.0-only
#include "path_loss.h"

#include <algorithm>
#include <cmath>

namespace cosim::nr
{

namespace
{

constexpr double kLightMps = 3.0e8;           // as TR 38.901 Table 7.4.1-1, note 1 has it
constexpr double kEffectiveHeightM = 1.0;     // h_E of the same note; in UMa above 13 m it is a draw there, not here
constexpr double kLeastDistanceM = 1.0;       // of the tables; nearer counts as this

double
Square(double value)
{
    return value * value;
}

double
BreakPointM(double gnb_height_m, double ue_height_m, double frequency_ghz)
{
    return 4 * (gnb_height_m - kEffectiveHeightM) * (ue_height_m - kEffectiveHeightM) * frequency_ghz * 1e9 / kLightMps;
}

} // namespace

double
PathLossDb(Scenario scenario, bool line_of_sight, double d2d_m, double gnb_height_m, double ue_height_m, double frequency_ghz)
{
    const double height_m = gnb_height_m - ue_height_m;
    const double distance = std::log10(std::max(std::hypot(d2d_m, height_m), kLeastDistanceM));
    const double frequency = std::log10(frequency_ghz);
    if (scenario == Scenario::kInH)
    {
        const double los = 32.4 + 17.3 * distance + 20 * frequency;
        return line_of_sight ? los : std::max(los, 17.3 + 38.3 * distance + 24.9 * frequency);
    }

    const bool uma = scenario == Scenario::kUma;
    const double break_m = BreakPointM(gnb_height_m, ue_height_m, frequency_ghz);
    const double at_1m = (uma ? 28.0 : 32.4) + 20 * frequency;
    const double los = d2d_m <= break_m
                           ? at_1m + (uma ? 22 : 21) * distance
                           : at_1m + 40 * distance - (uma ? 9.0 : 9.5) * std::log10(Square(break_m) + Square(height_m));
    if (line_of_sight)
    {
        return los;
    }
    const double nlos = uma ? 13.54 + 39.08 * distance + 20 * frequency - 0.6 * (ue_height_m - 1.5)
                            : 22.4 + 35.3 * distance + 21.3 * frequency - 0.3 * (ue_height_m - 1.5);
    return std::max(los, nlos);
}

double
LineOfSightProbability(Scenario scenario, double d2d_m, double ue_height_m)
{
    if (scenario == Scenario::kInH)
    {
        return d2d_m <= 1.2 ? 1 : d2d_m < 6.5 ? std::exp(-(d2d_m - 1.2) / 4.7) : 0.32 * std::exp(-(d2d_m - 6.5) / 32.6);
    }
    if (d2d_m <= 18)
    {
        return 1;
    }
    const double near = 18 / d2d_m;
    if (scenario == Scenario::kUmi)
    {
        return near + (1 - near) * std::exp(-d2d_m / 36);
    }
    const double above_m = std::clamp(ue_height_m - 13, 0.0, 10.0);
    const double high = std::pow(above_m / 10, 1.5) * 1.25 * std::pow(d2d_m / 100, 3) * std::exp(-d2d_m / 150);
    return (near + (1 - near) * std::exp(-d2d_m / 63)) * (1 + high);
}

double
ShadowingDb(Scenario scenario, bool line_of_sight)
{
    switch (scenario)
    {
    case Scenario::kUmi:
        return line_of_sight ? 4 : 7.82;
    case Scenario::kUma:
        return line_of_sight ? 4 : 6;
    default:
        return line_of_sight ? 3 : 8.03;
    }
}

double
ShadowingCorrelationM(Scenario scenario, bool line_of_sight)
{
    switch (scenario)
    {
    case Scenario::kUmi:
        return line_of_sight ? 10 : 13;
    case Scenario::kUma:
        return line_of_sight ? 37 : 50;
    default:
        return line_of_sight ? 10 : 6;
    }
}

double
LineOfSightCorrelationM(Scenario scenario)
{
    return scenario == Scenario::kInH ? 10 : 50;
}

double
RicianKDb(Scenario scenario)
{
    return scenario == Scenario::kInH ? 7 : 9;
}

double
DelaySpreadS(Scenario scenario, bool line_of_sight, double frequency_ghz)
{
    switch (scenario)
    {
    case Scenario::kUmi:
        return std::pow(10, (line_of_sight ? -7.14 : -6.83) - 0.24 * std::log10(1 + std::max(frequency_ghz, 2.0)));
    case Scenario::kUma: {
        const double lg = std::log10(std::max(frequency_ghz, 6.0));
        return std::pow(10, line_of_sight ? -6.955 - 0.0963 * lg : -6.28 - 0.204 * lg);
    }
    default: {
        const double lg = std::log10(1 + std::max(frequency_ghz, 6.0));
        return std::pow(10, line_of_sight ? -7.692 - 0.01 * lg : -7.173 - 0.28 * lg);
    }
    }
}

} // namespace cosim::nr
