// SPDX-License-Identifier: GPL-2.0-only
#include "gamma_quantile.h"

#include <cmath>

namespace cosim
{

namespace
{

constexpr double kPrecision = 1e-14;
constexpr int kMostSteps = 60; // Newton's method takes 3 to 10

/// x times the density of a gamma distribution of rate 1.
double
ScaledDensity(double shape, double x)
{
    return std::exp(shape * std::log(x) - x - std::lgamma(shape));
}

/// P(shape, x), for x < shape + 1 (NIST Digital Library of Mathematical Functions, 8.11.4).
double
LowerBySeries(double shape, double x)
{
    double term = 1 / shape;
    double sum = term;
    for (double divisor = shape + 1; term > sum * kPrecision; divisor += 1)
    {
        term *= x / divisor;
        sum += term;
    }
    return sum * ScaledDensity(shape, x);
}

/// Q(shape, x), for x >= shape + 1: the continued fraction of DLMF 8.9.2, contracted to its even part, evaluated from
/// the front by Lentz's method (DLMF 3.10.3).
double
UpperByFraction(double shape, double x)
{
    double denominator = x + 1 - shape;
    double c = 1e300;
    double d = 1 / denominator;
    double fraction = d;
    for (double i = 1;; i += 1)
    {
        const double numerator = -i * (i - shape);
        denominator += 2;
        d = 1 / (numerator * d + denominator);
        c = denominator + numerator / c;
        fraction *= d * c;
        if (std::abs(d * c - 1) < kPrecision)
        {
            return fraction * ScaledDensity(shape, x);
        }
    }
}

double
Upper(double shape, double x)
{
    return x < shape + 1 ? 1 - LowerBySeries(shape, x) : UpperByFraction(shape, x);
}

/// Below the mean: Newton's method for ln P over ln x. The density over ln x is log-concave, and so is P: from its
/// second step on the method approaches from below without overshooting.
double
BelowMean(double uniform, double shape)
{
    double log_x = std::log(shape);
    for (int step = 0; step < kMostSteps; ++step)
    {
        const double x = std::exp(log_x);
        if (x == 0)
        {
            return 0; // a small shape puts most of its values below what a double holds
        }
        const double lower = LowerBySeries(shape, x);
        const double change = std::log(lower / uniform) * lower / ScaledDensity(shape, x);
        log_x -= change;
        if (std::abs(change) < 1e-12)
        {
            break;
        }
    }
    return std::exp(log_x);
}

/// Above the mean: Newton's method for ln Q over x, of which the slope is the hazard rate. It grows with x for shapes
/// above 1 and falls below, so that the method approaches from one side after its first step.
double
AboveMean(double uniform, double shape)
{
    double x = shape;
    for (int step = 0; step < kMostSteps; ++step)
    {
        const double upper = Upper(shape, x);
        const double change = std::log((1 - uniform) / upper) * upper * x / ScaledDensity(shape, x);
        x -= change;
        if (std::abs(change) < x * 1e-12)
        {
            break;
        }
    }
    return x;
}

} // namespace

double
GammaQuantile(double uniform, double shape)
{
    if (shape == 1)
    {
        return -std::log1p(-uniform);
    }
    if (uniform == 0)
    {
        return 0;
    }
    const double share_below_mean = LowerBySeries(shape, shape);
    return (uniform < share_below_mean ? BelowMean(uniform, shape) : AboveMean(uniform, shape)) / shape;
}

} // namespace cosim
