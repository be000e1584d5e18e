// SPDX-License-Identifier: GPL-2.0-only
//
// Gamma-distributed numbers from one uniform number each.
#pragma once

namespace cosim
{

/// The value below which a gamma distribution with mean 1 and a shape has the share `uniform`, in [0, 1).
///
/// Inversion takes one uniform number whatever the shape and grows with it, so that draws stay in step when the shape
/// changes. Shape 1 is the exponential distribution. For shapes from 0.01 to 1000; the relative error is below 1e-12.
double GammaQuantile(double uniform, double shape);

} // namespace cosim
