// SPDX-License-Identifier: GPL-2.0-only
//
// Random numbers of one purpose on one direction of one link, so that a knob of one link leaves the draws of all
// others as they were.
#pragma once

#include <cmath>
#include <cstdint>
#include <string_view>

namespace cosim
{

/// The finalizer of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014).
inline uint64_t
Mix(uint64_t z)
{
    z += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

/// SplitMix64, seeded by the run's seed and a name by way of FNV-1a.
class RandomStream
{
  public:
    RandomStream(uint64_t seed, std::string_view name)
        : m_state(seed)
    {
        uint64_t hash = 0xcbf29ce484222325;
        for (const char c : name)
        {
            hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
        }
        m_state = Next() ^ hash;
        Next();
    }

    /// Uniform in [0, 1).
    double Uniform()
    {
        return static_cast<double>(Next() >> 11) * 0x1p-53;
    }

    /// The uniform number that belongs to a name, however many were drawn.
    double UniformOf(uint64_t name) const
    {
        return static_cast<double>(Mix(m_state ^ name) >> 11) * 0x1p-53;
    }

    /// Exponential with mean 1.
    double Exponential()
    {
        return -std::log1p(-Uniform());
    }

  private:
    uint64_t Next()
    {
        const uint64_t z = Mix(m_state);
        m_state += 0x9e3779b97f4a7c15;
        return z;
    }

    uint64_t m_state;
};

} // namespace cosim
