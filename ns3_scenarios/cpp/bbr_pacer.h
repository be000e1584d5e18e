// SPDX-License-Identifier: GPL-2.0-only
//
// When TCP may send under BBR: Linux's internal pacing, tcp_pacing_check() and tcp_update_skb_after_send().
//
// ns-3's pacing timer lets one segment leave at a time, and gives no credit for a late start.
#pragma once

#include "ns3/nstime.h"

#include <cstdint>

namespace cosim
{

class BbrPacer
{
  public:
    /// A segment left; `burst_segments` may leave at once at `rate` bytes per s.
    void Sent(uint32_t n_bytes, double rate, uint32_t burst_segments);

    /// Whether the next segment has to wait.
    bool Holds() const;

    /// When the next burst may leave.
    ns3::Time Next() const;

  private:
    uint32_t m_segments{0}; // ever sent
    ns3::Time m_next;
    // The burst under way: it was begun at m_start, m_credit late, and m_left more segments may join it.
    ns3::Time m_start;
    ns3::Time m_credit;
    uint32_t m_left{0};
    int64_t m_burst_ns{0};
};

} // namespace cosim
