// SPDX-License-Identifier: GPL-2.0-only
//
// When Linux's receiver acknowledges each segment and when every second.
#pragma once

#include <algorithm>
#include <cstdint>

namespace cosim
{

/// As tcp_event_data_recv(), tcp_grow_window(), tcp_rcv_space_adjust() and __tcp_ack_snd_check() have it: each of a
/// connection's first segments, each segment that lets the receive window grow, and a small one that the application
/// reads; every second one otherwise, and always when the connection answers what it receives ("pingpong").
/// The window itself is not bounded by this: on clean paths it opens ahead of the congestion window.
class QuickAck
{
  public:
    /// A segment in order has arrived; `rtt_ns` 0 if unknown. Returns whether to acknowledge it at once.
    bool Arrived(int64_t n_bytes, int64_t mss, int64_t now_ns, int64_t rtt_ns)
    {
        if (m_last_ns < 0)
        {
            m_left = kAtStart;
            m_round_start_ns = now_ns;
        }
        m_last_ns = now_ns;
        m_round_bytes += n_bytes;
        bool grows = false;
        if (m_threshold < m_window)
        {
            m_threshold = std::min(m_window, m_threshold + 2 * n_bytes);
            grows = true;
        }
        if (now_ns - m_round_start_ns >= rtt_ns && rtt_ns > 0)
        {
            EndRound(mss, now_ns);
        }
        if (m_answers)
        {
            return false;
        }
        if (grows || m_left > 0)
        {
            m_left -= m_left > 0 ? 1 : 0;
            return true;
        }
        return n_bytes < mss;
    }

    /// Data leaves: an answer if data came just before.
    void Sent(int64_t now_ns)
    {
        m_answers |= m_last_ns >= 0 && now_ns - m_last_ns < kDelayNs;
    }

    /// An acknowledgement was held back for as long as may be.
    void Delayed()
    {
        m_answers = false;
    }

    static constexpr int64_t kDelayNs = 40'000'000; // Linux: TCP_ATO_MIN

  private:
    static constexpr int32_t kAtStart = 16;         // Linux: TCP_MAX_QUICKACKS

    /// The window follows twice what the application read in a round trip, and further while that grows.
    void EndRound(int64_t mss, int64_t now_ns)
    {
        if (m_round_bytes > m_space)
        {
            int64_t window = 2 * m_round_bytes + 16 * mss;
            window += 2 * window * (m_round_bytes - m_space) / m_space;
            m_window = std::clamp(window, m_window, kLargest);
            m_space = m_round_bytes;
        }
        m_round_bytes = 0;
        m_round_start_ns = now_ns;
    }

    static constexpr int64_t kLargest = 16 << 20;   // of tcp_rmem[2]

    bool m_answers{false};
    int32_t m_left{0};
    int64_t m_last_ns{-1};
    int64_t m_threshold{65'160};                    // of tcp_rmem[1], 45 segments of 1448
    int64_t m_window{80'896};
    int64_t m_space{14'480};                        // 10 segments
    int64_t m_round_bytes{0};
    int64_t m_round_start_ns{0};
};

} // namespace cosim
