// SPDX-License-Identifier: GPL-2.0-only
//
// Fast fading of a wideband carrier: paths of different delays that fade one by one.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace cosim::nr
{

inline constexpr int kTaps = 16;

/// Instants at which fading is computed in one go, kFadingStepS apart.
inline constexpr int kFadingSteps = 32;
inline constexpr double kFadingStepS = 0.005;

/// Mean powers of the taps of a channel; they add up to 1. An exponential power delay profile of this r.m.s. delay
/// spread, seen at the resolution of the bandwidth (1/B; never finer than a quarter of the spread, so that beyond some
/// eight independent paths bandwidth smooths no more).
std::array<double, kTaps> TapPowers(double bandwidth_hz, double delay_spread_s);

/// A UE in uniform motion: where it is at `from_s`, how fast it is, and the carrier's wavelength.
struct Motion
{
    double from_s;
    double x_m;
    double y_m;
    double vx_mps;
    double vy_mps;
    double wavelength_m;
};

/// Complex amplitudes of the taps at one instant, each of mean power 1.
struct Taps
{
    std::array<double, kTaps> real;
    std::array<double, kTaps> imag;
};

/// Rayleigh fading by Clarke's model: each tap is the sum of plane waves from all around, so that a UE at v sees
/// frequencies up to v f_c / c and the same at the same place. Moving things around a UE that rests shift each wave a
/// little more, as in the TGn channel models (IEEE 802.11-03/940r4, 4.7.1: 1.2 km/h, bell-shaped spectrum).
class TapFading
{
  public:
    TapFading(uint64_t seed, std::string_view name);

    /// The taps at `motion.from_s` and the kFadingSteps - 1 instants after it.
    void Compute(const Motion& motion, std::array<Taps, kFadingSteps>& out) const;

  private:
    static constexpr int kWaves = 8; // of a tap

    struct Wave
    {
        double cos_direction;
        double sin_direction;
        double phase;
        double scatterer_mps; // that its last scatterer adds
    };

    std::vector<Wave> m_waves; // kWaves x kTaps, the taps of one wave side by side
};

/// Power gain of the carrier as a whole, mean 1: the sum over the taps (Parseval), whose first has a line of sight of
/// this amplitude and phase against the scattered rest; none if `rician_k` is 0.
double WidebandGain(const Taps& taps, const std::array<double, kTaps>& powers, double rician_k, double los_phase);

} // namespace cosim::nr
