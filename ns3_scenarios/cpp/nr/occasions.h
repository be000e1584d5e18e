// SPDX-License-Identifier: GPL-2.0-only
//
// In which slots periodic resources of a UE come: SRs, configured and proactive grants.
#pragma once

#include "frame.h"

#include <cstdint>

namespace cosim::nr
{

/// The first slot from `slot` on with an occasion of a PUCCH or PUSCH resource of `period` slots. Each period's
/// occasion, `offset` slots after its start, moves to the next slot that can carry it: a gNB configures no other.
int64_t PucchOccasion(const Frame& frame, int64_t slot, int64_t period, int64_t offset);
int64_t PuschOccasion(const Frame& frame, int64_t slot, int64_t period, int64_t offset);

} // namespace cosim::nr
