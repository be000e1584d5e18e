// SPDX-License-Identifier: GPL-2.0-only
#include "transport_block.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <iterator>

namespace cosim::nr
{

namespace
{

constexpr int32_t kSubcarriers = 12; // of an RB
constexpr int64_t kLargestOfTable = 3824;

/// 38.214 Table 5.1.3.2-1.
constexpr int64_t kSizes[] = {
    24,   32,   40,   48,   56,   64,   72,   80,   88,   96,   104,  112,  120,  128,  136,  144,
    152,  160,  168,  176,  184,  192,  208,  224,  240,  256,  272,  288,  304,  320,  336,  352,
    368,  384,  408,  432,  456,  480,  504,  528,  552,  576,  608,  640,  672,  704,  736,  768,
    808,  848,  888,  928,  984,  1032, 1064, 1128, 1160, 1192, 1224, 1256, 1288, 1320, 1352, 1416,
    1480, 1544, 1608, 1672, 1736, 1800, 1864, 1928, 2024, 2088, 2152, 2216, 2280, 2408, 2472, 2536,
    2600, 2664, 2728, 2792, 2856, 2976, 3104, 3240, 3368, 3496, 3624, 3752, kLargestOfTable,
};

/// floor(log2(x)) of x >= 1.
int32_t FloorLog2(double x)
{
    return std::bit_width(static_cast<uint64_t>(x)) - 1;
}

int64_t CeilDiv(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/// Step 3: rounded down to a multiple of 2^n, then up to the next size of the table.
int64_t SmallTransportBlock(double information_bits)
{
    const int32_t n = std::max(3, information_bits < 1 ? 0 : FloorLog2(information_bits) - 6);
    const int64_t step = int64_t{1} << n;
    const int64_t rounded = std::max<int64_t>(24, static_cast<int64_t>(information_bits) / step * step);
    return *std::lower_bound(std::begin(kSizes), std::end(kSizes), rounded);
}

/// Step 4: rounded to the nearest multiple of 2^n (ties up), then up to equal code blocks of whole bytes.
int64_t LargeTransportBlock(double information_bits, double code_rate)
{
    const double step = std::ldexp(1.0, FloorLog2(information_bits - 24) - 5);
    const int64_t rounded =
        std::max<int64_t>(3840, static_cast<int64_t>(step * std::floor((information_bits - 24) / step + 0.5)));
    int64_t blocks = 1;
    if (code_rate <= 0.25)
    {
        blocks = CeilDiv(rounded + 24, 3816);
    }
    else if (rounded > 8424)
    {
        blocks = CeilDiv(rounded + 24, 8424);
    }
    return 8 * blocks * CeilDiv(rounded + 24, 8 * blocks) - 24;
}

} // namespace

int64_t ResourceElements(const CarrierConfig& carrier, int32_t rbs, int32_t symbols)
{
    const int32_t per_rb = kSubcarriers * symbols - carrier.dmrs_re_per_rb - carrier.dmrs_re_per_rb_symbol * symbols -
                           carrier.overhead_re_per_rb;
    return per_rb <= 0 ? 0 : static_cast<int64_t>(std::min(156, per_rb)) * rbs;
}

int64_t TransportBlockBits(int64_t resource_elements, const Modulation& modulation, int32_t layers)
{
    if (resource_elements <= 0)
    {
        return 0;
    }
    const double information_bits =
        static_cast<double>(resource_elements) * modulation.code_rate * modulation.bits_per_symbol * layers;
    return information_bits <= kLargestOfTable ? SmallTransportBlock(information_bits)
                                               : LargeTransportBlock(information_bits, modulation.code_rate);
}

int32_t CodeBlocks(int64_t bits, double code_rate)
{
    const bool base_graph_2 = bits <= 292 || (bits <= kLargestOfTable && code_rate <= 0.67) || code_rate <= 0.25;
    const int64_t largest = base_graph_2 ? 3840 : 8448;
    const int64_t with_crc = bits + (bits > kLargestOfTable ? 24 : 16);
    return with_crc <= largest ? 1 : static_cast<int32_t>(CeilDiv(with_crc, largest - 24));
}

} // namespace cosim::nr
