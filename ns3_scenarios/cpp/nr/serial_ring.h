// SPDX-License-Identifier: GPL-2.0-only
//
// A queue whose entries are found by their number: appended at the end, taken off at the front, without a call to the
// allocator but for growth.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace cosim::nr
{

template <typename T>
class SerialRing
{
  public:
    /// Entries are numbered [First, End), from 0 on.
    int64_t First() const
    {
        return m_first;
    }

    int64_t End() const
    {
        return m_end;
    }

    bool Empty() const
    {
        return m_first == m_end;
    }

    bool Holds(int64_t serial) const
    {
        return serial >= m_first && serial < m_end;
    }

    T& operator[](int64_t serial)
    {
        return m_entries[Index(serial)];
    }

    const T& operator[](int64_t serial) const
    {
        return m_entries[Index(serial)];
    }

    void Append(T entry)
    {
        if (static_cast<std::size_t>(m_end - m_first) == m_entries.size())
        {
            Grow();
        }
        m_entries[Index(m_end++)] = std::move(entry);
    }

    /// Append empty entries until `end` is the end.
    void ExtendTo(int64_t end)
    {
        while (m_end < end)
        {
            Append(T{});
        }
    }

    T PopFront()
    {
        return std::exchange(m_entries[Index(m_first++)], T{});
    }

  private:
    std::size_t Index(int64_t serial) const
    {
        return static_cast<std::size_t>(serial) & (m_entries.size() - 1);
    }

    /// The size is a power of 2.
    void Grow()
    {
        std::vector<T> entries(m_entries.empty() ? 16 : 2 * m_entries.size());
        for (int64_t serial = m_first; serial < m_end; ++serial)
        {
            entries[static_cast<std::size_t>(serial) & (entries.size() - 1)] = std::move(m_entries[Index(serial)]);
        }
        m_entries = std::move(entries);
    }

    std::vector<T> m_entries;
    int64_t m_first{0};
    int64_t m_end{0};
};

} // namespace cosim::nr
