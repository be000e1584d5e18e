// SPDX-License-Identifier: GPL-2.0-only
//
// What Python needs to fill a topology, compiled ahead.
#include "network.h"

namespace cosim
{

Direction::Direction() = default;
Direction::~Direction() = default;
Direction::Direction(const Direction& other) = default;
Direction& Direction::operator=(const Direction& other) = default;

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

void
Assign(std::vector<int64_t>& list, const int64_t* numbers, std::size_t count)
{
    list.assign(numbers, numbers + count);
}

} // namespace cosim
