// SPDX-License-Identifier: GPL-2.0-only
#include "error_model.h"

#include "transport_block.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <numbers>
#include <stdexcept>
#include <string>
#include <vector>

namespace cosim::nr
{

namespace
{

/// What a decoder of 38.212's LDPC codes loses against the normal approximation, per bit of a QAM symbol. Fitted to the
/// 10 % thresholds of Sionna's AWGN tables, whose distance from the ideal grows with the modulation order.
constexpr double kDecoderLossDbPerBit = 0.16;

constexpr double kLeastDb = -30;
constexpr double kStepDb = 0.25;
constexpr size_t kPoints = 301; // to 45 dB, where 256QAM has long been saturated

double FromDb(double db)
{
    return std::exp(db * (std::numbers::ln10 / 10));
}

double ToDb(double ratio)
{
    return 10 * std::log10(ratio);
}

/// The least argument at which a falling function is no greater than a value, by halving.
double WhereFallsTo(double value, const std::function<double(double)>& falling)
{
    double low = kLeastDb;
    double high = kLeastDb + kStepDb * (kPoints - 1);
    for (int32_t round = 0; round < 40; ++round)
    {
        const double middle = (low + high) / 2;
        (falling(middle) > value ? low : high) = middle;
    }
    return high;
}

/// Mean and variance of the information of a symbol, bits and bits^2.
struct Information
{
    double mean;
    double variance;
};

/// Information in one dimension of Gray-mapped QAM with `bits` bits in that dimension: over points x (half of
/// them: the other half mirrors it) and noise z, the sum over bit levels of log2(p(y | bit) / p(y)), with the
/// trapezoidal rule over +-6 standard deviations of the noise.
Information PamInformation(int32_t bits, double sinr_db)
{
    const int32_t points = 1 << bits;
    const double spacing = std::sqrt(6.0 / (static_cast<double>(points) * points - 1)); // mean energy 1/2
    const double deviation = std::sqrt(0.5 / FromDb(sinr_db));
    double mean = 0;
    double square = 0;
    double weights = 0;
    std::array<double, 16> likelihood{};
    for (int32_t sent = 0; sent < points / 2; ++sent)
    {
        for (double z = -6; z <= 6; z += 0.5)
        {
            std::array<double, 4> same_bit{};
            double all = 0;
            for (int32_t other = 0; other < points; ++other)
            {
                const double distance = z + (sent - other) * spacing / deviation;
                likelihood[other] = std::exp((z * z - distance * distance) / 2);
                all += likelihood[other];
                const int32_t differing = (sent ^ (sent >> 1)) ^ (other ^ (other >> 1));
                for (int32_t level = 0; level < bits; ++level)
                {
                    same_bit[level] += (differing >> level & 1) == 0 ? likelihood[other] : 0;
                }
            }
            double information = 0;
            for (int32_t level = 0; level < bits; ++level)
            {
                information += 1 + std::log2(same_bit[level] / all);
            }
            const double weight = std::exp(-z * z / 2);
            mean += weight * information;
            square += weight * information * information;
            weights += weight;
        }
    }
    mean /= weights;
    return Information{mean, square / weights - mean * mean};
}

/// Information of QAM symbols over SINR, tabulated once; linear between the points.
class InformationCurve
{
  public:
    explicit InformationCurve(int32_t bits_per_symbol)
    {
        for (size_t point = 0; point < kPoints; ++point)
        {
            const Information half = PamInformation(bits_per_symbol / 2, kLeastDb + kStepDb * static_cast<double>(point));
            m_points.push_back(Information{2 * half.mean, 2 * half.variance});
        }
    }

    static const InformationCurve& Of(const Modulation& modulation)
    {
        static const InformationCurve qpsk(2);
        static const InformationCurve qam16(4);
        static const InformationCurve qam64(6);
        static const InformationCurve qam256(8);
        switch (modulation.bits_per_symbol)
        {
        case 2:
            return qpsk;
        case 4:
            return qam16;
        case 6:
            return qam64;
        case 8:
            return qam256;
        default:
            throw std::invalid_argument(std::to_string(modulation.bits_per_symbol) + " bits per symbol are not 2, 4, 6 or 8");
        }
    }

    Information At(double sinr_db) const
    {
        const double position = std::clamp((sinr_db - kLeastDb) / kStepDb, 0.0, static_cast<double>(kPoints - 1));
        const size_t below = std::min(static_cast<size_t>(position), kPoints - 2);
        const double share = position - static_cast<double>(below);
        const Information& a = m_points[below];
        const Information& b = m_points[below + 1];
        return Information{a.mean + share * (b.mean - a.mean), a.variance + share * (b.variance - a.variance)};
    }

    /// The least SINR with a mean, which rises with it.
    double SinrDbFor(double mean) const
    {
        const auto above = std::lower_bound(m_points.begin(), m_points.end(), mean, [](const Information& point, double wanted) {
            return point.mean < wanted;
        });
        if (above == m_points.begin() || above == m_points.end())
        {
            return above == m_points.begin() ? kLeastDb : kLeastDb + kStepDb * static_cast<double>(kPoints - 1);
        }
        const auto below = above - 1;
        const double share = (mean - below->mean) / (above->mean - below->mean);
        return kLeastDb + kStepDb * (static_cast<double>(below - m_points.begin()) + share);
    }

  private:
    std::vector<Information> m_points;
};

double DecoderLossDb(const Modulation& modulation)
{
    return kDecoderLossDbPerBit * modulation.bits_per_symbol;
}

/// BLER of each code block with which a TB of so many has this one.
double BlerOfEach(double bler, int32_t code_blocks)
{
    return -std::expm1(std::log1p(-bler) / code_blocks);
}

int64_t BitsOfEach(int64_t bits, int32_t code_blocks)
{
    return (bits + code_blocks - 1) / code_blocks;
}

} // namespace

double CodeBlockBler(double sinr_db, const Modulation& modulation, int64_t code_block_bits)
{
    const Information symbol = InformationCurve::Of(modulation).At(sinr_db - DecoderLossDb(modulation));
    const double bits = static_cast<double>(code_block_bits);
    const double symbols = bits / modulation.Efficiency();
    const double surplus = symbols * symbol.mean - bits + std::log2(symbols) / 2;
    const double deviation = std::sqrt(symbols * std::max(symbol.variance, 1e-12));
    return std::erfc(surplus / deviation / std::numbers::sqrt2) / 2;
}

double SinrForBler(const Modulation& modulation, int64_t code_block_bits, double bler)
{
    return WhereFallsTo(bler, [&](double sinr_db) { return CodeBlockBler(sinr_db, modulation, code_block_bits); });
}

double TransportBlockBler(double sinr_db, const Modulation& modulation, int64_t bits)
{
    const int32_t code_blocks = CodeBlocks(bits, modulation.code_rate);
    const double each = CodeBlockBler(sinr_db, modulation, BitsOfEach(bits, code_blocks));
    return code_blocks == 1 || each >= 1 ? each : -std::expm1(code_blocks * std::log1p(-each));
}

double SinrForTransportBlockBler(const Modulation& modulation, int64_t bits, double bler)
{
    const int32_t code_blocks = CodeBlocks(bits, modulation.code_rate);
    return SinrForBler(modulation, BitsOfEach(bits, code_blocks), BlerOfEach(bler, code_blocks));
}

double CombinedSinrDb(double earlier_db, double latest_db, const Modulation& modulation, double combining_loss_db)
{
    const double earlier = FromDb(earlier_db);
    const double latest = FromDb(latest_db - combining_loss_db);
    const double mother_rate = modulation.code_rate > 0.25 ? 1.0 / 3 : 1.0 / 5;
    const double share_new = std::clamp(modulation.code_rate / mother_rate - 1, 0.0, 1.0);
    const double chase_db = ToDb(earlier + latest);
    if (share_new == 0)
    {
        return chase_db;
    }
    const InformationCurve& curve = InformationCurve::Of(modulation);
    const double information =
        curve.At(ToDb(earlier + (1 - share_new) * latest)).mean + share_new * curve.At(ToDb(latest)).mean;
    // Where nearly all is known, the curve is too flat to say more.
    const double known = std::min(information, modulation.bits_per_symbol - 1e-3);
    return std::max(chase_db, curve.SinrDbFor(known));
}

double ReceiverSinrDb(double sinr_db, const LinkAdaptationConfig& link)
{
    const double loss_db = link.low_sinr_loss > 0 ? ToDb(1 + link.low_sinr_loss / FromDb(sinr_db)) : 0;
    return sinr_db - link.margin_db - loss_db;
}

double SinrWithMarginDb(double sinr_db, const LinkAdaptationConfig& link)
{
    const double needed = FromDb(sinr_db + link.margin_db);
    return ToDb((needed + std::sqrt(needed * needed + 4 * needed * link.low_sinr_loss)) / 2);
}

} // namespace cosim::nr
