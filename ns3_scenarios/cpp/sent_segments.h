// SPDX-License-Identifier: GPL-2.0-only
//
// The segments in flight: which are acknowledged selectively, lost, or sent again; and when they were sent.
#pragma once

#include "ns3/sequence-number.h"

#include <cstdint>
#include <deque>
#include <utility>
#include <vector>

namespace cosim
{

/// What one acknowledgement told.
struct Progress
{
    uint32_t segments{0};                 // acknowledged cumulatively
    uint32_t delivered{0};                // cumulatively or selectively, for the first time
    bool newly_sacked{false};
    bool resent_acknowledged{false};      // cumulatively, after having been sent again
    bool original_delivered{false};       // of those sent before the recovery, one never sent again
    int64_t first_sent_ns{-1};            // of the segments never sent again: acknowledged cumulatively
    int64_t last_sent_ns{-1};
    int64_t first_sacked_ns{-1};          // and selectively
    int64_t last_sacked_ns{-1};
    int64_t latest_resent_ns{-1};         // of those sent again
};

/// Linux's retransmission queue with its counters, and RACK's clock (RFC 8985 6.2).
class SentSegments
{
  public:
    struct Segment
    {
        ns3::SequenceNumber32 begin;
        ns3::SequenceNumber32 end;
        int64_t sent_ns;
        bool sacked;
        bool lost;
        bool resent;      // and that copy is in flight
        bool ever_resent;
    };

    using Blocks = std::vector<std::pair<ns3::SequenceNumber32, ns3::SequenceNumber32>>;

    void Sent(ns3::SequenceNumber32 begin, ns3::SequenceNumber32 end, int64_t now_ns);
    void Resent(Segment& segment, int64_t now_ns);

    /// Take in an acknowledgement; `high` is the end of what was sent before the recovery.
    Progress Acknowledge(ns3::SequenceNumber32 ack, const Blocks& blocks, ns3::SequenceNumber32 high, int64_t now_ns);

    /// RACK: mark lost what was sent a reordering window before the latest segment delivered. Returns after how many
    /// ns to look again, 0 for not.
    int64_t DetectLoss(int64_t now_ns, int64_t window_ns);

    /// After an RTO: the first, and all that RACK does not hold for young.
    void MarkTimedOut(int64_t now_ns);

    /// Nothing was lost after all.
    void Unmark();

    /// The first that is lost and not sent again; null if none.
    Segment* FirstLost();

    bool Empty() const { return m_segments.empty(); }
    Segment& First() { return m_segments.front(); }
    Segment& Last() { return m_segments.back(); }
    uint32_t Out() const { return static_cast<uint32_t>(m_segments.size()); }
    uint32_t Sacked() const { return m_sacked; }
    uint32_t Lost() const { return m_lost; }
    uint32_t ResentOut() const { return m_resent; }
    uint32_t InFlight() const { return Out() - m_sacked - m_lost + m_resent; }
    int64_t MinRttNs() const { return m_min_rtt_ns; }
    void SampleMinRtt(int64_t rtt_ns);

    /// Whether a delivery moved RACK's clock since it was asked last.
    bool TakeAdvanced() { return std::exchange(m_advanced, false); }

  private:
    void Deliver(const Segment& segment, int64_t now_ns);
    void Sack(Segment& segment, ns3::SequenceNumber32 high, int64_t now_ns, Progress& progress);
    void MarkLost(Segment& segment);
    bool SentBeforeLatest(const Segment& segment) const;

    std::deque<Segment> m_segments;
    uint32_t m_sacked{0};
    uint32_t m_lost{0};
    uint32_t m_resent{0};
    int64_t m_min_rtt_ns{0};
    // RACK: the latest sent of those delivered.
    bool m_advanced{false};
    int64_t m_latest_sent_ns{0};
    ns3::SequenceNumber32 m_latest_end{0};
    int64_t m_latest_rtt_ns{0};
};

} // namespace cosim
