// SPDX-License-Identifier: GPL-2.0-only
#include "random_field.h"

#include "../random_stream.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace cosim::nr
{

namespace
{

constexpr int kWaves = 64;
// The exponential correlation's spectrum falls so slowly that the last of 64 waves could be shorter than a wavelength of
// the carrier, which is not shadowing: none is shorter than a tenth of the correlation distance.
constexpr double kMostWaveNumber = 2 * std::numbers::pi * 10;

/// Quantile of the wave number of an isotropic field in the plane (radians per correlation distance). The spectrum of
/// exp(-r) is (1 + k^2)^(-3/2), that of exp(-r^2) is exp(-k^2 / 4), each times k for the ring of all directions.
double
WaveNumber(Correlation correlation, double share)
{
    const double rest = 1 - share;
    const double k = correlation == Correlation::kExponential ? std::sqrt(1 / (rest * rest) - 1) : 2 * std::sqrt(-std::log(rest));
    return std::min(k, kMostWaveNumber);
}

} // namespace

RandomField::RandomField(uint64_t seed, std::string_view name, Correlation correlation)
{
    RandomStream random(seed, name);
    m_waves.reserve(kWaves);
    for (int i = 0; i < kWaves; ++i)
    {
        const double k = WaveNumber(correlation, (i + random.Uniform()) / kWaves);
        const double direction = 2 * std::numbers::pi * random.Uniform();
        const double phase = 2 * std::numbers::pi * random.Uniform();
        m_waves.push_back(Wave{k * std::cos(direction), k * std::sin(direction), phase});
    }
}

double
RandomField::At(double x, double y) const
{
    double sum = 0;
    for (const Wave& wave : m_waves)
    {
        sum += std::cos(wave.kx * x + wave.ky * y + wave.phase);
    }
    return sum * std::sqrt(2.0 / kWaves);
}

} // namespace cosim::nr
