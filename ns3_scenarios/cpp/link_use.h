// SPDX-License-Identifier: GPL-2.0-only
//
// What one direction of a link did in each window of virtual time.
#pragma once

#include "epoch.h"
#include "network.h"

#include <cstdint>
#include <vector>

namespace cosim
{

inline constexpr int64_t kLinkWindowNs = 100'000'000; // cosim/network/link_use.py has the same

/// Windows of 100 ms, aligned to multiples of 100 ms since the run's epoch; an instant on a boundary belongs to the
/// window that it ends. Bytes count when they are sent: a packet whose transmission crosses a boundary has a share in
/// each window, so that no window has more than the rate allows. A window in which nothing was sent, waiting or
/// dropped gives no sample.
///
/// Nothing is scheduled: a window is closed at the first call for a later time. Calls come in order of time. Times of
/// calls are ns-3's, those of samples the run's.
class LinkUse
{
  public:
    /// A packet is sent from `start_ns` to `end_ns`.
    void Send(int64_t start_ns, int64_t end_ns, int64_t n_bytes);

    /// The backlog is `waiting_bytes` from now on.
    void Queue(int64_t now_ns, int64_t waiting_bytes);

    void Drop(int64_t now_ns);

    /// Bytes of the latest packet that are still to be sent.
    int64_t UnsentBytes(int64_t now_ns) const;

    /// Close the windows that ended before now, and with `cut` the one under way, at now; give and forget the samples.
    std::vector<LinkSample> Take(int64_t now_ns, bool cut);

  private:
    void MoveTo(int64_t now_ns);
    void Close(int64_t t_ns);

    int64_t m_window_end_ns{kEpochNs + kLinkWindowNs};
    int64_t m_start_ns{0}; // of the latest transmission
    int64_t m_end_ns{0};
    int64_t m_unsent_bytes{0}; // of the latest packet, not counted in a window yet
    int64_t m_packet_bytes{0};
    int64_t m_waiting_bytes{0};
    LinkSample m_window;
    std::vector<LinkSample> m_samples;
};

} // namespace cosim
