// SPDX-License-Identifier: GPL-2.0-only
//
// Connected-mode DRX of a UE (38.321 5.7) with its long cycle: when the gNB can reach it.
#pragma once

#include "config.h"

#include <cstdint>

namespace cosim::nr
{

/// Pure arithmetic: nothing is scheduled. The UE is awake in the on-duration that each cycle starts with, while
/// drx-InactivityTimer runs, and while an SR of its own waits for an answer. HARQ retransmissions do not ask: their
/// drx-RetransmissionTimer is taken to last long enough.
class Drx
{
  public:
    /// `offset_ns`: of the cycles (drx-StartOffset). Without a cycle the UE is always awake.
    explicit Drx(const DrxConfig& config, int64_t offset_ns = 0);

    bool Awake(int64_t t_ns) const
    {
        return m_config.cycle_ns == 0 || m_sr_pending || t_ns < m_inactive_ns || t_ns >= NextOnNs(t_ns);
    }

    /// The first time at or after `t_ns` at which the UE is awake, should nothing else happen.
    int64_t AwakeFrom(int64_t t_ns) const
    {
        return Awake(t_ns) ? t_ns : NextOnNs(t_ns);
    }

    /// A DCI for a new transmission in either direction: drx-InactivityTimer starts anew.
    void Activity(int64_t t_ns);

    /// An SR has been sent and not been answered yet, or no longer so.
    void SrPending(bool pending)
    {
        m_sr_pending = pending;
    }

  private:
    /// Start of the on-duration that holds an instant (at or before it), else of the next one.
    int64_t NextOnNs(int64_t t_ns) const;

    DrxConfig m_config;
    int64_t m_offset_ns;
    int64_t m_inactive_ns{-1}; // end of drx-InactivityTimer
    bool m_sr_pending{false};
};

} // namespace cosim::nr
