// SPDX-License-Identifier: GPL-2.0-only
//
// A Gaussian random field over the plane: what a UE finds at a place, however and however often it gets there.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace cosim::nr
{

/// How a field is correlated over a distance of r correlation distances: 1/e at 1 in both.
enum class Correlation
{
    kExponential, // exp(-r): TR 38.901 7.4.4
    kSmooth       // exp(-r^2): no jitter of a state that is a threshold of the field
};

/// Mean 0 and variance 1 at each place, over all seeds. A sum of plane waves of random phase and direction, whose wave
/// numbers are drawn from the spectrum of the correlation, one from each of as many equally likely ranges as there are
/// waves (Jaeckel, Raschkowski, Burkhardt, Thiele: Efficient Sum-of-Sinusoids-Based Spatial Consistency for the 3GPP
/// New-Radio Channel Model, IEEE Globecom Workshops 2018).
class RandomField
{
  public:
    RandomField(uint64_t seed, std::string_view name, Correlation correlation);

    /// Value at a place in units of the correlation distance.
    double At(double x, double y) const;

  private:
    struct Wave
    {
        double kx;
        double ky;
        double phase;
    };

    std::vector<Wave> m_waves;
};

} // namespace cosim::nr
