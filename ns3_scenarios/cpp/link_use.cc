// SPDX-License-Identifier: GPL-2.0-only
#include "link_use.h"

#include <algorithm>
#include <utility>

namespace cosim
{

namespace
{

/// The end of the window that holds an instant.
int64_t
WindowEnd(int64_t now_ns)
{
    return kEpochNs + (now_ns - kEpochNs + kLinkWindowNs - 1) / kLinkWindowNs * kLinkWindowNs;
}

} // namespace

void
LinkUse::Send(int64_t start_ns, int64_t end_ns, int64_t n_bytes)
{
    MoveTo(start_ns);
    m_window.n_bytes += m_unsent_bytes;
    m_start_ns = start_ns;
    m_end_ns = end_ns;
    m_packet_bytes = m_unsent_bytes = n_bytes;
}

void
LinkUse::Queue(int64_t now_ns, int64_t waiting_bytes)
{
    MoveTo(now_ns);
    m_waiting_bytes = waiting_bytes;
    m_window.max_queue_bytes = std::max(m_window.max_queue_bytes, waiting_bytes);
}

void
LinkUse::Drop(int64_t now_ns)
{
    MoveTo(now_ns);
    ++m_window.dropped_packets;
}

int64_t
LinkUse::UnsentBytes(int64_t now_ns) const
{
    if (now_ns >= m_end_ns)
    {
        return 0;
    }
    // At 1 bit/s the product needs more than 64 bits.
    const auto left = static_cast<__int128>(m_packet_bytes) * (m_end_ns - now_ns);
    const int64_t duration_ns = m_end_ns - m_start_ns;
    return static_cast<int64_t>((left + duration_ns - 1) / duration_ns);
}

std::vector<LinkSample>
LinkUse::Take(int64_t now_ns, bool cut)
{
    MoveTo(now_ns);
    if (cut)
    {
        Close(now_ns);
    }
    return std::exchange(m_samples, {});
}

void
LinkUse::MoveTo(int64_t now_ns)
{
    while (m_window_end_ns < now_ns)
    {
        Close(m_window_end_ns);
        const bool idle = m_waiting_bytes == 0 && m_unsent_bytes == 0;
        m_window_end_ns = idle ? WindowEnd(now_ns) : m_window_end_ns + kLinkWindowNs;
    }
}

void
LinkUse::Close(int64_t t_ns)
{
    const int64_t unsent_bytes = std::min(m_unsent_bytes, UnsentBytes(t_ns));
    m_window.n_bytes += m_unsent_bytes - unsent_bytes;
    m_unsent_bytes = unsent_bytes;
    if (m_window.n_bytes > 0 || m_window.max_queue_bytes > 0 || m_window.dropped_packets > 0)
    {
        m_window.t_ns = t_ns - kEpochNs;
        m_samples.push_back(m_window);
    }
    m_window = LinkSample{.max_queue_bytes = m_waiting_bytes};
}

} // namespace cosim
