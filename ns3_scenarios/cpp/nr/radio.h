// SPDX-License-Identifier: GPL-2.0-only
//
// SINR of a UE over time.
#pragma once

#include "config.h"

#include <cstdint>
#include <memory>
#include <string>

namespace cosim::nr
{

/// Reads come in order of time but for `SinrDb` of a time up to a second ago (what the gNB knew then).
class Radio
{
  public:
    /// `stream`: the UE's name, for its random numbers. Bandwidths are those of the carrier's RBs.
    Radio(const RadioConfig& config, const std::string& stream, uint64_t seed, double dl_bandwidth_hz, double ul_bandwidth_hz);
    ~Radio();

    /// `x_m`, `y_m` of a config are the place at the time of Set (of the constructor: at time 0). The random processes go
    /// on: the same place has the same shadowing, the same place and time the same fading.
    void Set(int64_t now_ns, const RadioConfig& config);

    /// SINR in dB over the whole carrier, for one layer.
    double SinrDb(int64_t t_ns, bool up) const;

    /// Whether the SINR never changes but by Set.
    bool Constant() const;

  private:
    struct Impl;
    std::unique_ptr<Impl> m_impl;
};

} // namespace cosim::nr
