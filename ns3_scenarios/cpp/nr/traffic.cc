// SPDX-License-Identifier: GPL-2.0-only
#include "traffic.h"

#include "agenda.h"

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>

namespace cosim::nr
{

namespace
{

constexpr int64_t kLongestNs = 1'000'000'000'000'000'000; // so that sums stay within 64 bits

/// How long a rate takes for so many packets.
int64_t
DurationNs(int64_t packet_bytes, int64_t packets, int64_t rate_bps)
{
    const auto duration_ns = static_cast<__int128>(packet_bytes) * 8'000'000'000 * packets / rate_bps;
    return static_cast<int64_t>(std::min<__int128>(duration_ns, kLongestNs));
}

} // namespace

TrafficSource::TrafficSource(std::string_view stream, uint64_t seed, int64_t buffer_bytes)
    : m_random(seed, stream),
      m_buffer_bytes(buffer_bytes),
      m_next_ns(kNever)
{
}

void
TrafficSource::Set(int64_t now_ns, bool present, const TrafficConfig& config)
{
    const auto kind = static_cast<TrafficKind>(config.kind);
    const bool constant = kind == TrafficKind::kConstantRate;
    const bool bursts = kind == TrafficKind::kPoissonBursts;
    if (!constant && !bursts && kind != TrafficKind::kFullBuffer)
    {
        throw std::invalid_argument("traffic is of kind 0, 1 or 2, not " + std::to_string(config.kind));
    }
    if (config.rate_bps < 0 || config.burst_bytes < 0 || (bursts && config.burst_bytes == 0))
    {
        throw std::invalid_argument("traffic needs a rate of at least 0, and bursts of at least 1 byte");
    }
    Advance(now_ns);
    m_config = config;
    m_full = present && kind == TrafficKind::kFullBuffer;
    m_burst_bytes = config.burst_bytes > 0 ? config.burst_bytes : kTrafficPacketBytes;
    m_next_ns = kNever;
    if (!present || m_full || config.rate_bps == 0)
    {
        return;
    }
    m_count = 0;
    m_start_ns = now_ns;
    if (constant)
    {
        const auto distance_ns = static_cast<double>(DurationNs(m_burst_bytes, 1, config.rate_bps));
        m_start_ns += static_cast<int64_t>(m_random.Uniform() * distance_ns);
        m_next_ns = m_start_ns;
    }
    else
    {
        m_next_ns = now_ns;
        Schedule();
    }
}

int64_t
TrafficSource::Take(int64_t now_ns, int64_t n_bytes)
{
    const int64_t taken_bytes = std::min(n_bytes, AvailableBytes(now_ns));
    m_waiting_bytes -= m_full ? std::min(taken_bytes, m_waiting_bytes) : taken_bytes;
    return taken_bytes;
}

int64_t
TrafficSource::TakeDropped()
{
    return std::exchange(m_dropped, 0);
}

void
TrafficSource::Advance(int64_t now_ns)
{
    while (m_next_ns <= now_ns)
    {
        const int64_t room_bytes = std::max<int64_t>(m_buffer_bytes - m_waiting_bytes, 0);
        m_dropped += m_burst_bytes > room_bytes ? 1 : 0;
        m_waiting_bytes += std::min(m_burst_bytes, room_bytes);
        Schedule();
    }
}

/// The time of the next packet or burst.
void
TrafficSource::Schedule()
{
    if (static_cast<TrafficKind>(m_config.kind) == TrafficKind::kConstantRate)
    {
        ++m_count;
        m_next_ns = m_start_ns + DurationNs(m_burst_bytes, m_count, m_config.rate_bps);
        return;
    }
    const auto mean_ns = static_cast<double>(DurationNs(m_burst_bytes, 1, m_config.rate_bps));
    const double distance_ns = std::min(m_random.Exponential() * mean_ns, static_cast<double>(kLongestNs));
    m_next_ns += std::max<int64_t>(1, static_cast<int64_t>(distance_ns));
}

} // namespace cosim::nr
