// SPDX-License-Identifier: GPL-2.0-only
//
// What a direction of a link may be.
#pragma once

#include "network.h"

#include <string>

namespace cosim
{

/// Throws std::invalid_argument, which names the link, on values that ns-3 or the arithmetic cannot carry.
void Validate(const std::string& link, const Direction& value);

} // namespace cosim
