// SPDX-License-Identifier: GPL-2.0-only
//
// What Python needs to fill a topology, compiled ahead.
#include "network.h"

namespace cosim
{

Topology::Topology() = default;
Topology::~Topology() = default;
Topology::Topology(const Topology& other) = default;

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
