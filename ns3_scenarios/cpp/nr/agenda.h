// SPDX-License-Identifier: GPL-2.0-only
//
// What a cell has still to do, in order of time and, at one time, in the order in which it was asked for.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <queue>
#include <utility>
#include <vector>

namespace cosim::nr
{

inline constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

class Agenda
{
  public:
    using Action = std::function<void()>;

    /// Times before now count as now.
    void At(int64_t t_ns, Action action)
    {
        m_entries.push_back(Entry{t_ns > m_now_ns ? t_ns : m_now_ns, m_sequence++, std::move(action)});
        std::push_heap(m_entries.begin(), m_entries.end(), Later{});
    }

    int64_t NextNs() const
    {
        return m_entries.empty() ? kNever : m_entries.front().t_ns;
    }

    int64_t NowNs() const
    {
        return m_now_ns;
    }

    /// Do everything due up to and at a time, which never goes back.
    void RunTo(int64_t t_ns)
    {
        while (!m_entries.empty() && m_entries.front().t_ns <= t_ns)
        {
            std::pop_heap(m_entries.begin(), m_entries.end(), Later{});
            Entry entry = std::move(m_entries.back());
            m_entries.pop_back();
            m_now_ns = entry.t_ns;
            entry.action();
        }
        m_now_ns = t_ns > m_now_ns ? t_ns : m_now_ns;
    }

  private:
    struct Entry
    {
        int64_t t_ns;
        uint64_t sequence;
        Action action;
    };

    struct Later
    {
        bool operator()(const Entry& a, const Entry& b) const
        {
            return a.t_ns != b.t_ns ? a.t_ns > b.t_ns : a.sequence > b.sequence;
        }
    };

    std::vector<Entry> m_entries;
    uint64_t m_sequence{0};
    int64_t m_now_ns{0};
};

/// Runs out once unless it is stopped or started anew.
class Timer
{
  public:
    Timer(Agenda& agenda, Agenda::Action action)
        : m_agenda(agenda),
          m_action(std::move(action))
    {
    }

    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;

    void Start(int64_t t_ns)
    {
        m_end_ns = t_ns;
        const uint64_t round = ++m_round;
        m_agenda.At(t_ns, [this, round] {
            if (round == m_round && m_end_ns != kNever)
            {
                m_end_ns = kNever;
                m_action();
            }
        });
    }

    void Stop()
    {
        m_end_ns = kNever;
        ++m_round;
    }

    bool Running() const
    {
        return m_end_ns != kNever;
    }

  private:
    Agenda& m_agenda;
    Agenda::Action m_action;
    int64_t m_end_ns{kNever};
    uint64_t m_round{0};
};

} // namespace cosim::nr
