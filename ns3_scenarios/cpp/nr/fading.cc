// SPDX-License-Identifier: GPL-2.0-only
#include "fading.h"

#include "../random_stream.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace cosim::nr
{

namespace
{

constexpr double kTurn = 2 * std::numbers::pi;
constexpr double kScatterersMps = 1.2 / 3.6;

/// Speed of a scatterer whose Doppler shifts f have the spectrum 1 / (1 + 9 (f / f_d)^2), up to 5 f_d: the quantile of a
/// Cauchy distribution cut off on both sides.
double
ScattererMps(double share)
{
    const double most = std::atan(3 * 5);
    return kScatterersMps / 3 * std::tan((2 * share - 1) * most);
}

} // namespace

std::array<double, kTaps>
TapPowers(double bandwidth_hz, double delay_spread_s)
{
    const double spacing = std::max(1 / (bandwidth_hz * delay_spread_s), 0.25);
    std::array<double, kTaps> powers{};
    double sum = 0;
    for (int tap = 0; tap < kTaps; ++tap)
    {
        powers[tap] = std::exp(-tap * spacing);
        sum += powers[tap];
    }
    for (double& power : powers)
    {
        power /= sum;
    }
    return powers;
}

TapFading::TapFading(uint64_t seed, std::string_view name)
{
    RandomStream random(seed, name);
    m_waves.reserve(kWaves * kTaps);
    for (int wave = 0; wave < kWaves; ++wave)
    {
        for (int tap = 0; tap < kTaps; ++tap)
        {
            // One from each of as many sectors as there are waves: no tap hears from one side only.
            const double direction = kTurn * (wave + random.Uniform()) / kWaves;
            const double phase = kTurn * random.Uniform();
            m_waves.push_back(Wave{std::cos(direction), std::sin(direction), phase, ScattererMps(random.Uniform())});
        }
    }
}

void
TapFading::Compute(const Motion& motion, std::array<Taps, kFadingSteps>& out) const
{
    const double k = kTurn / motion.wavelength_m;
    const double amplitude = std::sqrt(1.0 / kWaves);
    out.fill(Taps{});
    for (int wave = 0; wave < kWaves; ++wave)
    {
        // The phase of a wave is linear in time: one rotation a step.
        Taps now;
        Taps turn;
        for (int tap = 0; tap < kTaps; ++tap)
        {
            const Wave& at = m_waves[wave * kTaps + tap];
            const double phase =
                at.phase + k * (motion.x_m * at.cos_direction + motion.y_m * at.sin_direction + at.scatterer_mps * motion.from_s);
            const double step =
                k * kFadingStepS * (motion.vx_mps * at.cos_direction + motion.vy_mps * at.sin_direction + at.scatterer_mps);
            now.real[tap] = amplitude * std::cos(phase);
            now.imag[tap] = amplitude * std::sin(phase);
            turn.real[tap] = std::cos(step);
            turn.imag[tap] = std::sin(step);
        }
        for (Taps& sum : out)
        {
            for (int tap = 0; tap < kTaps; ++tap)
            {
                const double real = now.real[tap];
                const double imag = now.imag[tap];
                sum.real[tap] += real;
                sum.imag[tap] += imag;
                now.real[tap] = real * turn.real[tap] - imag * turn.imag[tap];
                now.imag[tap] = real * turn.imag[tap] + imag * turn.real[tap];
            }
        }
    }
}

double
WidebandGain(const Taps& taps, const std::array<double, kTaps>& powers, double rician_k, double los_phase)
{
    const double scattered = 1 / (rician_k + 1);
    const double first = std::sqrt(powers[0] * scattered);
    const double los = std::sqrt(rician_k * scattered);
    const double real = los * std::cos(los_phase) + first * taps.real[0];
    const double imag = los * std::sin(los_phase) + first * taps.imag[0];
    double gain = real * real + imag * imag;
    for (int tap = 1; tap < kTaps; ++tap)
    {
        gain += scattered * powers[tap] * (taps.real[tap] * taps.real[tap] + taps.imag[tap] * taps.imag[tap]);
    }
    return gain;
}

} // namespace cosim::nr
