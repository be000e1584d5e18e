// SPDX-License-Identifier: GPL-2.0-only
#include "mcs.h"

#include <span>
#include <stdexcept>
#include <string>

namespace cosim::nr
{

namespace
{

/// Modulation order and target code rate x 1024, as the tables print them.
struct Entry
{
    int32_t bits_per_symbol;
    double rate_1024;
};

constexpr Entry kTable1[] = {
    {2, 120}, {2, 157}, {2, 193}, {2, 251}, {2, 308}, {2, 379}, {2, 449}, {2, 526}, {2, 602}, {2, 679},
    {4, 340}, {4, 378}, {4, 434}, {4, 490}, {4, 553}, {4, 616}, {4, 658}, {6, 438}, {6, 466}, {6, 517},
    {6, 567}, {6, 616}, {6, 666}, {6, 719}, {6, 772}, {6, 822}, {6, 873}, {6, 910}, {6, 948},
};

constexpr Entry kTable2[] = {
    {2, 120}, {2, 193}, {2, 308}, {2, 449},   {2, 602}, {4, 378}, {4, 434}, {4, 490}, {4, 553},   {4, 616},
    {4, 658}, {6, 466}, {6, 517}, {6, 567},   {6, 616}, {6, 666}, {6, 719}, {6, 772}, {6, 822},   {6, 873},
    {8, 682.5}, {8, 711}, {8, 754}, {8, 797}, {8, 841}, {8, 885}, {8, 916.5}, {8, 948},
};

constexpr Entry kTable3[] = {
    {2, 30},  {2, 40},  {2, 50},  {2, 64},  {2, 78},  {2, 99},  {2, 120}, {2, 157}, {2, 193}, {2, 251},
    {2, 308}, {2, 379}, {2, 449}, {2, 526}, {2, 602}, {4, 340}, {4, 378}, {4, 434}, {4, 490}, {4, 553},
    {4, 616}, {6, 438}, {6, 466}, {6, 517}, {6, 567}, {6, 616}, {6, 666}, {6, 719}, {6, 772},
};

constexpr Entry kCqi1[] = {
    {2, 78},  {2, 120}, {2, 193}, {2, 308}, {2, 449}, {2, 602}, {4, 378}, {4, 490},
    {4, 616}, {6, 466}, {6, 567}, {6, 666}, {6, 772}, {6, 873}, {6, 948},
};

constexpr Entry kCqi2[] = {
    {2, 78},  {2, 193}, {2, 449}, {4, 378}, {4, 490}, {4, 616}, {6, 466}, {6, 567},
    {6, 666}, {6, 772}, {6, 873}, {8, 711}, {8, 797}, {8, 885}, {8, 948},
};

constexpr Entry kCqi3[] = {
    {2, 30},  {2, 50},  {2, 78},  {2, 120}, {2, 193}, {2, 308}, {2, 449}, {2, 602},
    {4, 378}, {4, 490}, {4, 616}, {6, 466}, {6, 567}, {6, 666}, {6, 772},
};

constexpr std::span<const Entry> kMcsTables[] = {kTable1, kTable2, kTable3};
constexpr std::span<const Entry> kCqiTables[] = {kCqi1, kCqi2, kCqi3};

const Entry& EntryOf(std::span<const std::span<const Entry>> tables, int32_t table, int32_t index)
{
    if (table < 1 || table > 3)
    {
        throw std::invalid_argument("MCS table " + std::to_string(table) + " is not 1, 2 or 3");
    }
    const std::span<const Entry> entries = tables[table - 1];
    if (index < 0 || index >= static_cast<int32_t>(entries.size()))
    {
        throw std::invalid_argument("MCS table " + std::to_string(table) + " has no entry " + std::to_string(index));
    }
    return entries[index];
}

} // namespace

Modulation Mcs(int32_t table, int32_t index)
{
    const Entry& entry = EntryOf(kMcsTables, table, index);
    return Modulation{entry.bits_per_symbol, entry.rate_1024 / 1024};
}

int32_t MaxMcs(int32_t table)
{
    return table == 2 ? 27 : 28;
}

double CqiEfficiency(int32_t table, int32_t cqi)
{
    const Entry& entry = EntryOf(kCqiTables, table, cqi - 1);
    return entry.bits_per_symbol * entry.rate_1024 / 1024;
}

} // namespace cosim::nr
