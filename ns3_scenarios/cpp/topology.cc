// SPDX-License-Identifier: GPL-2.0-only
//
// Lists of a topology, for Python to fill.
#include "network.h"

namespace cosim
{

Flow&
Append(std::vector<Flow>& list)
{
    return list.emplace_back();
}

nr::SlotShape&
Append(std::vector<nr::SlotShape>& list)
{
    return list.emplace_back();
}

nr::BearerConfig&
Append(std::vector<nr::BearerConfig>& list)
{
    return list.emplace_back();
}

nr::UeConfig&
Append(std::vector<nr::UeConfig>& list)
{
    return list.emplace_back();
}

nr::TracePoint&
Append(std::vector<nr::TracePoint>& list)
{
    return list.emplace_back();
}

} // namespace cosim
