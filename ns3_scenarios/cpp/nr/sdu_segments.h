// SPDX-License-Identifier: GPL-2.0-only
//
// Which bytes of an SDU have been received.
#pragma once

#include <cstdint>
#include <vector>

namespace cosim::nr
{

class SduSegments
{
  public:
    struct Range
    {
        int64_t start{0};
        int64_t end{0};
    };

    /// Bytes [start, end); with `last` the SDU ends there.
    void Add(int64_t start, int64_t end, bool last);

    bool Empty() const
    {
        return m_prefix == 0 && m_islands.empty();
    }

    bool Complete() const
    {
        return m_prefix == m_length;
    }

    /// Bytes are missing before the last one received.
    bool HasGap() const
    {
        return !m_islands.empty();
    }

    /// The ranges that are missing; the last one ends with `sdu_end` where the SDU's end has not been received.
    std::vector<Range> Missing(int64_t sdu_end) const;

  private:
    int64_t m_prefix{0};  // bytes received without a gap
    int64_t m_length{-1}; // -1: not known
    std::vector<Range> m_islands; // behind a gap each, in order
};

} // namespace cosim::nr
