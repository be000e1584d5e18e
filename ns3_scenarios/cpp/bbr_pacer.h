// SPDX-License-Identifier: GPL-2.0-only
//
// How fast and in what bursts BBR lets segments leave, as Linux's TCP paces itself: bbr_set_pacing_rate(),
// bbr_tso_segs(), tcp_pacing_check(), tcp_update_skb_after_send().
//
// ns-3's pacing lets one segment leave at a time and gives no credit for a late start.
#pragma once

#include "ns3/data-rate.h"
#include "ns3/nstime.h"

#include <cstdint>

namespace cosim
{

class BbrPacer
{
  public:
    void SetSegmentSize(uint32_t n_bytes);

    /// A gain on the rate of the path. Until one is known, the initial `window` of segments each RTT; a path that is
    /// not full yet never slows the flow.
    void SetRate(double segments_per_s, uint32_t gain, bool full, uint32_t window, ns3::Time srtt);

    ns3::DataRate Rate() const;

    /// Segments that may leave at once: a millisecond's worth.
    uint32_t BurstSegments() const;

    /// A segment left.
    void Sent(uint32_t n_bytes);

    /// Whether the next segment has to wait for the next burst.
    bool Holds() const;

    /// Time until the next burst may leave.
    ns3::Time UntilNext() const;

  private:
    double RateOf(double segments_per_s, uint32_t gain) const;

    uint32_t m_segment_size{1};
    double m_rate{0}; // bytes per s
    bool m_has_seen_rtt{false};
    uint32_t m_segments{0}; // ever sent
    ns3::Time m_next;
    // The burst under way: when it began, how late, how many more segments may join it, and what it costs.
    ns3::Time m_start;
    ns3::Time m_late;
    uint32_t m_left{0};
    ns3::Time m_cost;
};

} // namespace cosim
