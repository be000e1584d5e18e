// SPDX-License-Identifier: GPL-2.0-only
#include "channel.h"

#include "path_loss.h"

#include <cmath>
#include <limits>
#include <numbers>

namespace cosim::nr
{

namespace
{

constexpr double kLightMps = 299'792'458;
constexpr int64_t kStepNs = 5'000'000; // kFadingStepS
constexpr int64_t kBlockNs = kFadingSteps * kStepNs;
// Path loss, LOS state and shadowing are computed this many steps apart (40 ms), and lie on a line in between.
constexpr int kPlaceSteps = 8;

double
FromDb(double db)
{
    return std::pow(10, db / 10);
}

/// Quantile of the standard normal distribution, to 0.2 % (Winitzki: A handy approximation for the error function and
/// its inverse, 2008).
double
NormalQuantile(double probability)
{
    if (probability <= 0 || probability >= 1)
    {
        return probability <= 0 ? -std::numeric_limits<double>::infinity() : std::numeric_limits<double>::infinity();
    }
    constexpr double kA = 0.147;
    const double log = std::log(4 * probability * (1 - probability));
    const double half = 2 / (std::numbers::pi * kA) + log / 2;
    const double inverse = std::sqrt(std::sqrt(half * half - log / kA) - half);
    return std::numbers::sqrt2 * (probability < 0.5 ? -inverse : inverse);
}

/// Share of the power that takes the line of sight: the square of the soft LOS state of TR 38.901 7.6.3.3 (7.6-18).
double
LineOfSightShare(double field, double probability, double wavelength_m)
{
    const double turn = std::atan(std::sqrt(20 / wavelength_m) * (field + NormalQuantile(probability)));
    const double state = 0.5 + turn / std::numbers::pi;
    return state * state;
}

double
Between(double from, double to, double share)
{
    return from + (to - from) * share;
}

bool
Rests(const RadioConfig& config)
{
    return config.vx_mps == 0 && config.vy_mps == 0;
}

} // namespace

double
XAt(const Stretch& stretch, int64_t t_ns)
{
    return stretch.config.x_m + stretch.config.vx_mps * (static_cast<double>(t_ns - stretch.from_ns) * 1e-9);
}

double
YAt(const Stretch& stretch, int64_t t_ns)
{
    return stretch.config.y_m + stretch.config.vy_mps * (static_cast<double>(t_ns - stretch.from_ns) * 1e-9);
}

Channel::Channel(const std::string& ue, uint64_t seed, double bandwidth_hz)
    : m_bandwidth_hz(bandwidth_hz),
      m_los_state(seed, "nr/" + ue + "/line_of_sight", Correlation::kSmooth),
      m_los_shadowing(seed, "nr/" + ue + "/shadowing_los", Correlation::kExponential),
      m_nlos_shadowing(seed, "nr/" + ue + "/shadowing_nlos", Correlation::kExponential),
      m_fading(seed, "nr/" + ue + "/fading")
{
}

double
Channel::GainDb(const Stretch& stretch, int64_t t_ns)
{
    const bool still = Rests(stretch.config) && !stretch.config.fading;
    const int64_t step = still || t_ns < 0 ? 0 : t_ns / kStepNs;
    const int64_t index = step / kFadingSteps;
    Block& block = m_blocks[index % kBlocks];
    if (block.index != index || block.serial != stretch.serial)
    {
        Compute(stretch, index, block);
    }
    return block.gain_db[step % kFadingSteps];
}

Channel::Place
Channel::At(const RadioConfig& config, double x_m, double y_m) const
{
    const auto scenario = static_cast<Scenario>(config.scenario);
    const double d2d_m = std::hypot(x_m, y_m);
    const auto loss = [&](bool los, const RandomField& shadowing) {
        const double correlation_m = ShadowingCorrelationM(scenario, los);
        const double shadow_db =
            config.shadowing ? ShadowingDb(scenario, los) * shadowing.At(x_m / correlation_m, y_m / correlation_m) : 0;
        return PathLossDb(scenario, los, d2d_m, config.gnb_height_m, config.ue_height_m, config.frequency_ghz) + shadow_db;
    };
    double share = config.line_of_sight;
    if (config.line_of_sight < 0)
    {
        const double correlation_m = LineOfSightCorrelationM(scenario);
        share = LineOfSightShare(m_los_state.At(x_m / correlation_m, y_m / correlation_m),
                                 LineOfSightProbability(scenario, d2d_m, config.ue_height_m),
                                 kLightMps / (config.frequency_ghz * 1e9));
    }
    return Place{-loss(true, m_los_shadowing), -loss(false, m_nlos_shadowing), share};
}

void
Channel::Compute(const Stretch& stretch, int64_t index, Block& block) const
{
    const RadioConfig& config = stretch.config;
    const auto scenario = static_cast<Scenario>(config.scenario);
    const double wavelength_m = kLightMps / (config.frequency_ghz * 1e9);
    const int64_t start_ns = index * kBlockNs;

    std::array<Place, kFadingSteps / kPlaceSteps + 1> places;
    for (std::size_t i = 0; i < places.size(); ++i)
    {
        const int64_t t_ns = start_ns + static_cast<int64_t>(i) * kPlaceSteps * kStepNs;
        places[i] = i > 0 && Rests(config) ? places[0] : At(config, XAt(stretch, t_ns), YAt(stretch, t_ns));
    }

    std::array<Taps, kFadingSteps> taps;
    std::array<double, kTaps> los_powers{};
    std::array<double, kTaps> nlos_powers{};
    if (config.fading)
    {
        m_fading.Compute(Motion{static_cast<double>(start_ns) * 1e-9,
                                XAt(stretch, start_ns),
                                YAt(stretch, start_ns),
                                config.vx_mps,
                                config.vy_mps,
                                wavelength_m},
                         taps);
        los_powers = TapPowers(m_bandwidth_hz, DelaySpreadS(scenario, true, config.frequency_ghz));
        nlos_powers = TapPowers(m_bandwidth_hz, DelaySpreadS(scenario, false, config.frequency_ghz));
    }
    const double rician_k = FromDb(RicianKDb(scenario));

    block.serial = stretch.serial;
    block.index = index;
    for (int step = 0; step < kFadingSteps; ++step)
    {
        const Place& from = places[step / kPlaceSteps];
        const Place& to = places[step / kPlaceSteps + 1];
        const double along = static_cast<double>(step % kPlaceSteps) / kPlaceSteps;
        double los = FromDb(Between(from.los_db, to.los_db, along));
        double nlos = FromDb(Between(from.nlos_db, to.nlos_db, along));
        if (config.fading)
        {
            const int64_t t_ns = start_ns + step * kStepNs;
            const double way_m =
                std::hypot(XAt(stretch, t_ns), YAt(stretch, t_ns), config.gnb_height_m - config.ue_height_m);
            los *= WidebandGain(taps[step], los_powers, rician_k, -2 * std::numbers::pi * way_m / wavelength_m);
            nlos *= WidebandGain(taps[step], nlos_powers, 0, 0);
        }
        const double share = Between(from.los_share, to.los_share, along);
        block.gain_db[step] = 10 * std::log10(share * los + (1 - share) * nlos);
    }
}

} // namespace cosim::nr
