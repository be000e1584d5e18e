// SPDX-License-Identifier: GPL-2.0-only
//
// The run's epoch in ns-3's time.
#pragma once

#include "ns3/simulator.h"

#include <cstdint>

namespace cosim
{

/// ns-3 needs a first Run before the first packet (the nodes are initialised in it), so the epoch lies after time 0.
inline constexpr int64_t kEpochNs = 1'000'000;

/// Now, in ns since the run's epoch.
inline int64_t
EpochNow()
{
    return ns3::Simulator::Now().GetNanoSeconds() - kEpochNs;
}

} // namespace cosim
