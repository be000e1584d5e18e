// SPDX-License-Identifier: GPL-2.0-only
//
// From SINR to block error rate.
//
// A code block of K bits in n = K / (Q_m R) symbols fails with the probability of the normal approximation (Polyanskiy,
// Poor, Verdu: Channel Coding Rate in the Finite Blocklength Regime, IEEE Trans. IT 2010, 10.1109/TIT.2010.2043769):
//   p = Q((n C - K + log2(n) / 2) / sqrt(n V))
// C and V are mean and variance per symbol of what Gray-mapped QAM with bit-wise decoding (BICM: Caire, Taricco,
// Biglieri, IEEE Trans. IT 1998, 10.1109/18.669123) tells in white noise at the SINR less the loss of a real decoder.
#pragma once

#include "config.h"
#include "mcs.h"

#include <cstdint>

namespace cosim::nr
{

/// SINR (dB) at which a code block of `bits` bits has this BLER.
double SinrForBler(const Modulation& modulation, int64_t code_block_bits, double bler);

/// BLER of one code block.
double CodeBlockBler(double sinr_db, const Modulation& modulation, int64_t code_block_bits);

/// SINR (dB) at which a TB of `bits` bits has this BLER.
double SinrForTransportBlockBler(const Modulation& modulation, int64_t bits, double bler);

/// BLER of a TB of `bits` bits: 1 - (1 - p)^C over its code blocks.
double TransportBlockBler(double sinr_db, const Modulation& modulation, int64_t bits);

/// SINR of a TB after one more transmission of it, dB. The share of the retransmission that repeats coded bits adds its
/// SINR to theirs (Chase combining); the share that is new parity adds its mutual information (incremental redundancy).
/// New are as many bits as the mother code has beside the first transmission's: 1 / R_mother - 1 / R per information
/// bit, with R_mother 1/3 in base graph 1 and 1/5 in base graph 2 (38.212 5.3.2); none of a code rate as low as that.
double CombinedSinrDb(double earlier_db, double latest_db, const Modulation& modulation, double combining_loss_db);

/// SINR (dB) of the receiver of this model that decodes as well as one with the margin of `link` does at `sinr_db`:
/// SINR / (margin (1 + low_sinr_loss / SINR)). The second factor is the loss by channel estimates of reference signals
/// that are as noisy as the data, which makes the SINR that counts fall with the square of a low SINR (Hassibi, Hochwald:
/// How Much Training Is Needed in Multiple-Antenna Wireless Links?, IEEE Trans. IT 2003, 10.1109/TIT.2003.809594).
double ReceiverSinrDb(double sinr_db, const LinkAdaptationConfig& link);

/// Its inverse: the SINR at which the receiver with the margin of `link` decodes as well as this model's at `sinr_db`.
double SinrWithMarginDb(double sinr_db, const LinkAdaptationConfig& link);

} // namespace cosim::nr
