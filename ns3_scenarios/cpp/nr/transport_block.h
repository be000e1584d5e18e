// SPDX-License-Identifier: GPL-2.0-only
//
// Transport block size (38.214 5.1.3.2, for the uplink 6.1.4.2).
#pragma once

#include "config.h"
#include "mcs.h"

#include <cstdint>

namespace cosim::nr
{

/// Resource elements that carry data in an allocation of RBs x symbols: min(156, N'_RE) * n_PRB; 0 if none are left.
int64_t ResourceElements(const CarrierConfig& carrier, int32_t rbs, int32_t symbols);

/// Bits of a TB; 0 if the allocation holds none.
int64_t TransportBlockBits(int64_t resource_elements, const Modulation& modulation, int32_t layers);

/// Number of code blocks that a TB is cut into (38.212 7.2.2 base graph, 5.2.2 segmentation).
int32_t CodeBlocks(int64_t bits, double code_rate);

} // namespace cosim::nr
