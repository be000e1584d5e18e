// SPDX-License-Identifier: GPL-2.0-only
//
// Traffic of a background UE in one direction: bytes that exist in the MAC only.
#pragma once

#include "../random_stream.h"
#include "config.h"

#include <cstdint>
#include <string_view>

namespace cosim::nr
{

enum class TrafficKind : int32_t
{
    kFullBuffer = 0,
    kConstantRate = 1,
    kPoissonBursts = 2
};

inline constexpr int64_t kFullBufferBytes = 1'000'000'000; // more than any slot carries
inline constexpr int64_t kTrafficPacketBytes = 1'400;      // of constant bit rate where burst_bytes is 0

/// Constant bit rate: packets of `burst_bytes` in equal distances, the first after a random part of one. Poisson bursts:
/// bursts of `burst_bytes` in exponential distances whose mean makes up the rate. Times never go back.
class TrafficSource
{
  public:
    /// `stream` names the UE and direction, for random numbers. More than `buffer_bytes` do not wait: the rest of a
    /// packet or burst is dropped. There is no traffic before Set.
    TrafficSource(std::string_view stream, uint64_t seed, int64_t buffer_bytes);

    /// From now on; not `present`: no new bytes. What waits stays.
    void Set(int64_t now_ns, bool present, const TrafficConfig& config);

    /// Bytes that wait to be sent; kFullBufferBytes where they never end.
    int64_t AvailableBytes(int64_t now_ns)
    {
        if (m_next_ns <= now_ns)
        {
            Advance(now_ns);
        }
        return m_full ? kFullBufferBytes : m_waiting_bytes;
    }

    /// Send up to so many bytes; returns how many there were.
    int64_t Take(int64_t now_ns, int64_t n_bytes);

    /// When more bytes appear; kNever if none do, or if there are always enough.
    int64_t NextNs() const
    {
        return m_next_ns;
    }

    /// Packets or bursts that did not fit in whole since the last call.
    int64_t TakeDropped();

  private:
    void Advance(int64_t now_ns);
    void Schedule();

    RandomStream m_random;
    int64_t m_buffer_bytes;
    bool m_full{false};
    TrafficConfig m_config;
    int64_t m_burst_bytes{0};
    int64_t m_start_ns{0}; // constant bit rate: of its first packet
    int64_t m_count{0};    // packets or bursts since then
    int64_t m_next_ns;
    int64_t m_waiting_bytes{0};
    int64_t m_dropped{0};
};

} // namespace cosim::nr
