// SPDX-License-Identifier: GPL-2.0-only
//
// BBR's model of a path: its rate, its shortest RTT, whether it is full, and how its ACKs come in clumps.
// Linux: bbr_update_bw(), bbr_check_full_bw_reached(), bbr_update_min_rtt(), bbr_update_ack_aggregation(), bbr_bdp().
#pragma once

#include "bbr_rate.h"

#include "ns3/nstime.h"
#include "ns3/windowed-filter.h"

#include <array>
#include <cstdint>

namespace cosim
{

/// Gains are fixed-point numbers with this for 1.
inline constexpr uint32_t kBbrUnit = 1 << 8;

class BbrPath
{
  public:
    BbrPath();

    /// The handshake is done.
    void Begin();

    /// Rate, rounds and clumps; `window` in segments.
    void Update(const BbrSample& sample, uint32_t window);

    void UpdateFull(const BbrSample& sample);

    /// Whether the shortest RTT was older than 10 s when the ACK came.
    bool UpdateMinRtt(const BbrSample& sample);

    /// The next round ends when what leaves from now on is acknowledged.
    void StartRound(uint64_t delivered_ever);

    /// A pause ends: ACKs begin to be counted anew.
    void StartEpoch();

    /// The shortest RTT holds for another 10 s.
    void KeepMinRtt();

    /// After a timeout the path may have another rate.
    void ForgetFullRate();

    bool RoundStart() const;
    bool Full() const;
    int64_t MinRttUs() const;

    /// The largest rate of ten rounds.
    double SegmentsPerSecond() const;

    /// Segments that go through in a time.
    uint64_t Delivers(int64_t time_us) const;

    /// Segments, rounded up; the initial window while no RTT is known.
    uint32_t BandwidthDelayProduct(uint32_t gain) const;

    /// Segments that keep the path busy between two clumps of ACKs.
    uint32_t AggregationWindow() const;

  private:
    using MaxRate = ns3::WindowedFilter<uint64_t, ns3::MaxFilter<uint64_t>, uint32_t, uint32_t>;

    /// Segments per us times 2^24.
    uint64_t Rate() const;
    void UpdateRate(const BbrSample& sample);
    void UpdateAggregation(const BbrSample& sample, uint32_t window);

    MaxRate m_rate;
    uint32_t m_round{0};
    uint64_t m_round_end{0}; // segments delivered
    bool m_round_start{false};

    bool m_full{false};
    uint64_t m_full_rate{0};
    uint32_t m_full_rounds{0};

    int64_t m_min_rtt_us{-1};
    ns3::Time m_min_rtt_stamp;

    // ACK aggregation: the most of each of two windows of five rounds.
    ns3::Time m_epoch;
    uint32_t m_epoch_acked{0};
    std::array<uint32_t, 2> m_extra_acked{0, 0};
    uint32_t m_slot{0};
    uint32_t m_slot_rounds{0};
};

} // namespace cosim
