// SPDX-License-Identifier: GPL-2.0-only
//
// Gain between the gNB and a UE by TR 38.901: where it moves, whether it sees the gNB, shadowing and fading.
#pragma once

#include "config.h"
#include "fading.h"
#include "random_field.h"

#include <array>
#include <cstdint>
#include <string>

namespace cosim::nr
{

/// What is set from a time on: the gNB stands at (0, 0), the UE moves in a straight line from where the config has it.
struct Stretch
{
    uint64_t serial{0}; // of the Set; no two are alike
    int64_t from_ns{0};
    RadioConfig config;
};

double XAt(const Stretch& stretch, int64_t t_ns);
double YAt(const Stretch& stretch, int64_t t_ns);

/// One gain for both directions: they share a carrier (TDD), or are near enough to it that only fading would differ.
/// All that is random is a function of place (fading: of place and time), so that what is read depends neither on what
/// was read before nor on how the UE got there. Gains hold for kFadingStepS.
class Channel
{
  public:
    Channel(const std::string& ue, uint64_t seed, double bandwidth_hz);

    /// dB, without antenna gains.
    double GainDb(const Stretch& stretch, int64_t t_ns);

  private:
    /// Median gain, shadowing included, if there were a line of sight or none, and the share of power that has one.
    struct Place
    {
        double los_db;
        double nlos_db;
        double los_share;
    };

    struct Block
    {
        uint64_t serial{0};
        int64_t index{-1};
        std::array<double, kFadingSteps> gain_db{};
    };

    Place At(const RadioConfig& config, double x_m, double y_m) const;
    void Compute(const Stretch& stretch, int64_t index, Block& block) const;

    static constexpr int kBlocks = 8; // 1.28 s: what the gNB knew up to a second ago is still there

    double m_bandwidth_hz;
    RandomField m_los_state;
    RandomField m_los_shadowing;
    RandomField m_nlos_shadowing;
    TapFading m_fading;
    std::array<Block, kBlocks> m_blocks;
};

} // namespace cosim::nr
