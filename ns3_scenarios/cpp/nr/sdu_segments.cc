// SPDX-License-Identifier: GPL-2.0-only
#include "sdu_segments.h"

#include <algorithm>

namespace cosim::nr
{

void
SduSegments::Add(int64_t start, int64_t end, bool last)
{
    if (last)
    {
        m_length = end;
    }
    if (start > m_prefix)
    {
        Range island{start, end};
        auto from = std::find_if(m_islands.begin(), m_islands.end(), [&](const Range& r) { return r.end >= start; });
        auto to = std::find_if(from, m_islands.end(), [&](const Range& r) { return r.start > end; });
        if (from != to)
        {
            island = Range{std::min(start, from->start), std::max(end, std::prev(to)->end)};
        }
        m_islands.insert(m_islands.erase(from, to), island);
        return;
    }
    m_prefix = std::max(m_prefix, end);
    auto island = m_islands.begin();
    for (; island != m_islands.end() && island->start <= m_prefix; ++island)
    {
        m_prefix = std::max(m_prefix, island->end);
    }
    m_islands.erase(m_islands.begin(), island);
}

std::vector<SduSegments::Range>
SduSegments::Missing(int64_t sdu_end) const
{
    std::vector<Range> missing;
    int64_t at = m_prefix;
    for (const Range& island : m_islands)
    {
        missing.push_back(Range{at, island.start});
        at = island.end;
    }
    if (at != m_length)
    {
        missing.push_back(Range{at, m_length < 0 ? sdu_end : m_length});
    }
    return missing;
}

} // namespace cosim::nr
