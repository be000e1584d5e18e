// SPDX-License-Identifier: GPL-2.0-only
#include "sent_segments.h"

#include <algorithm>

namespace cosim
{

using ns3::SequenceNumber32;

void
SentSegments::Sent(SequenceNumber32 begin, SequenceNumber32 end, int64_t now_ns)
{
    m_segments.push_back({begin, end, now_ns, false, false, false, false});
}

void
SentSegments::Resent(Segment& segment, int64_t now_ns)
{
    m_resent += segment.resent ? 0 : 1;
    segment.resent = true;
    segment.ever_resent = true;
    segment.sent_ns = now_ns;
}

Progress
SentSegments::Acknowledge(SequenceNumber32 ack, const Blocks& blocks, SequenceNumber32 high, int64_t now_ns)
{
    Progress progress;
    for (const auto& [begin, end] : blocks)
    {
        auto segment = std::lower_bound(m_segments.begin(),
                                        m_segments.end(),
                                        begin,
                                        [](const Segment& s, SequenceNumber32 at) { return s.begin < at; });
        for (; segment != m_segments.end() && segment->end <= end; ++segment)
        {
            if (!segment->sacked && segment->end > ack)
            {
                Sack(*segment, high, now_ns, progress);
            }
        }
    }
    while (!m_segments.empty() && m_segments.front().end <= ack)
    {
        const Segment& segment = m_segments.front();
        ++progress.segments;
        m_lost -= segment.lost ? 1 : 0;
        m_resent -= segment.resent ? 1 : 0;
        if (segment.sacked)
        {
            --m_sacked;
        }
        else
        {
            ++progress.delivered;
            Deliver(segment, now_ns);
        }
        if (segment.ever_resent)
        {
            progress.resent_acknowledged = true;
            progress.latest_resent_ns = std::max(progress.latest_resent_ns, segment.sent_ns);
        }
        else if (!segment.sacked)
        {
            progress.first_sent_ns = progress.first_sent_ns < 0 ? segment.sent_ns : progress.first_sent_ns;
            progress.last_sent_ns = segment.sent_ns;
            progress.original_delivered |= segment.end <= high;
        }
        m_segments.pop_front();
    }
    return progress;
}

/// Linux: tcp_sacktag_one().
void
SentSegments::Sack(Segment& segment, SequenceNumber32 high, int64_t now_ns, Progress& progress)
{
    Deliver(segment, now_ns);
    if (!segment.ever_resent)
    {
        progress.original_delivered |= segment.end <= high;
        progress.first_sacked_ns = progress.first_sacked_ns < 0 ? segment.sent_ns : progress.first_sacked_ns;
        progress.last_sacked_ns = segment.sent_ns;
    }
    m_lost -= segment.lost ? 1 : 0;
    m_resent -= segment.resent ? 1 : 0;
    segment.lost = false;
    segment.resent = false;
    segment.sacked = true;
    ++m_sacked;
    ++progress.delivered;
    progress.newly_sacked = true;
}

/// RFC 8985 6.2 step 2; a copy that came back sooner than any round trip is the answer to the original.
void
SentSegments::Deliver(const Segment& segment, int64_t now_ns)
{
    const int64_t rtt_ns = now_ns - segment.sent_ns;
    if (segment.ever_resent && rtt_ns < m_min_rtt_ns)
    {
        return;
    }
    m_advanced = true;
    m_latest_rtt_ns = rtt_ns;
    if (SentBeforeLatest(segment))
    {
        return;
    }
    m_latest_sent_ns = segment.sent_ns;
    m_latest_end = segment.end;
}

void
SentSegments::SampleMinRtt(int64_t rtt_ns)
{
    m_min_rtt_ns = m_min_rtt_ns == 0 ? rtt_ns : std::min(m_min_rtt_ns, rtt_ns);
}

bool
SentSegments::SentBeforeLatest(const Segment& segment) const
{
    return segment.sent_ns < m_latest_sent_ns ||
           (segment.sent_ns == m_latest_sent_ns && segment.end < m_latest_end);
}

int64_t
SentSegments::DetectLoss(int64_t now_ns, int64_t window_ns)
{
    int64_t again_ns = 0;
    for (Segment& segment : m_segments)
    {
        if (segment.sacked || (segment.lost && !segment.resent) || !SentBeforeLatest(segment))
        {
            continue;
        }
        const int64_t left_ns = m_latest_rtt_ns + window_ns - (now_ns - segment.sent_ns);
        if (left_ns <= 0)
        {
            MarkLost(segment);
        }
        else
        {
            again_ns = std::max(again_ns, left_ns);
        }
    }
    return again_ns;
}

void
SentSegments::MarkTimedOut(int64_t now_ns)
{
    for (Segment& segment : m_segments)
    {
        if (&segment == &m_segments.front() || m_latest_rtt_ns - (now_ns - segment.sent_ns) <= 0)
        {
            MarkLost(segment);
        }
    }
}

void
SentSegments::MarkLost(Segment& segment)
{
    if (segment.sacked)
    {
        return;
    }
    m_lost += segment.lost ? 0 : 1;
    m_resent -= segment.resent ? 1 : 0;
    segment.lost = true;
    segment.resent = false;
}

void
SentSegments::Unmark()
{
    for (Segment& segment : m_segments)
    {
        segment.lost = false;
    }
    m_lost = 0;
    m_advanced = true;
}

SentSegments::Segment*
SentSegments::FirstLost()
{
    if (m_lost <= m_resent)
    {
        return nullptr;
    }
    for (Segment& segment : m_segments)
    {
        if (segment.lost && !segment.resent)
        {
            return &segment;
        }
    }
    return nullptr;
}

} // namespace cosim
