// SPDX-License-Identifier: GPL-2.0-only
//
// From SINR to block error rate.
#pragma once

#include "mcs.h"

#include <cstdint>

namespace cosim::nr
{

/// SINR (dB) at which a code block of `bits` bits has this BLER.
double SinrForBler(const Modulation& modulation, int64_t code_block_bits, double bler);

/// BLER of one code block.
double CodeBlockBler(double sinr_db, const Modulation& modulation, int64_t code_block_bits);

/// BLER of a TB of `bits` bits: 1 - (1 - p)^C over its code blocks.
double TransportBlockBler(double sinr_db, const Modulation& modulation, int64_t bits);

/// Sum of the SINRs of several transmissions of a TB (HARQ with soft combining), dB. Incremental redundancy's coding
/// gain comes on top where the first transmission's code rate was high.
double CombinedSinrDb(double earlier_db, double latest_db, const Modulation& modulation, double combining_loss_db);

} // namespace cosim::nr
