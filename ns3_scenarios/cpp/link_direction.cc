// SPDX-License-Identifier: GPL-2.0-only
#include "link_direction.h"

#include "ns3/nstime.h"
#include "ns3/simulator.h"

#include <algorithm>
#include <array>
#include <utility>

namespace cosim
{

namespace
{

// Beyond this many, flows that wait for nothing are forgotten.
constexpr std::size_t kMostFlows = 256;

int64_t
Now()
{
    return ns3::Simulator::Now().GetNanoSeconds();
}

/// Serialisation in ns, rounded up, of an IP packet at a rate.
int64_t
TransmissionTime(int64_t n_bytes, int64_t rate_bps)
{
    return rate_bps == 0 ? 0 : (n_bytes * 8 * 1'000'000'000 + rate_bps - 1) / rate_bps;
}

std::string
StreamName(const std::string& link, bool up, const char* purpose)
{
    return link + (up ? "/up/" : "/down/") + purpose;
}

/// Payload of an IPv4 packet with TCP (RFC 791 3.1 without options, RFC 9293 3.1).
int64_t
PayloadBytes(const ns3::Packet& packet)
{
    constexpr std::size_t kIpv4HeaderBytes = 20;
    constexpr std::size_t kDataOffset = kIpv4HeaderBytes + 12;
    std::array<uint8_t, kDataOffset + 1> head{};
    packet.CopyData(head.data(), head.size());
    return static_cast<int64_t>(packet.GetSize()) - static_cast<int64_t>(kIpv4HeaderBytes) - (head[kDataOffset] >> 4) * 4;
}

} // namespace

LinkDirection::LinkDirection(std::string name, bool up, const Direction& value, uint64_t seed)
    : m_value(value),
      m_jitter(seed, StreamName(name, up, "jitter")),
      m_loss(seed, StreamName(name, up, "loss"))
{
    m_counters.link = std::move(name);
    m_counters.up = up;
}

LinkDirection::~LinkDirection()
{
    m_arrival.Cancel();
}

void
LinkDirection::SetReceiver(Receiver receiver)
{
    m_receiver = std::move(receiver);
}

bool
LinkDirection::Enter(ns3::Ptr<ns3::Packet> packet, const PacketStamp& stamp)
{
    const int64_t now = Now();
    const auto n_bytes = static_cast<int64_t>(packet->GetSize());
    const int64_t start = m_value.rate_bps == 0 ? now : std::max(now, m_free_ns);
    MarkStarted(now);
    if (start > now && m_value.queue_bytes >= 0 && m_waiting_bytes + n_bytes > m_value.queue_bytes)
    {
        ++m_counters.dropped_queue;
        m_use.Drop(now);
        return false;
    }
    // Both draws happen for every packet, whatever the values: a change of one leaves later draws in step.
    const double jitter = m_jitter.Exponential();
    bool lost = m_loss.Uniform() < m_value.loss;
    if (m_segments_to_loss > 0 && PayloadBytes(*packet) > 0 && --m_segments_to_loss == 0)
    {
        lost = true;
    }
    Entry& entry = m_entries.emplace_back(Entry{std::move(packet), stamp, n_bytes, 0, 0, 0, jitter, lost});
    Place(entry, start);
    if (start > now)
    {
        m_waiting_bytes += n_bytes;
        m_counters.max_queue_bytes = std::max(m_counters.max_queue_bytes, m_waiting_bytes);
        m_use.Queue(now, m_waiting_bytes);
    }
    else
    {
        m_first_waiting = m_entries.size();
        Begin(entry);
    }
    if (!m_arrival.IsPending())
    {
        ScheduleHead(now);
    }
    return true;
}

void
LinkDirection::Lose(int64_t segment)
{
    m_segments_to_loss = segment;
}

void
LinkDirection::Set(const Direction& value)
{
    const int64_t now = Now();
    MarkStarted(now);
    m_value = value;
    const bool head_moves = m_first_waiting == 0 && !m_entries.empty();
    if (m_first_waiting < m_entries.size())
    {
        m_free_ns = m_first_waiting > 0 ? m_entries[m_first_waiting - 1].end_ns : m_entries.front().start_ns;
        m_last_arrival_ns = m_first_waiting > 0 ? m_entries[m_first_waiting - 1].arrival_ns : now;
        for (std::size_t i = m_first_waiting; i < m_entries.size(); ++i)
        {
            Place(m_entries[i], m_value.rate_bps == 0 ? now : std::max(now, m_free_ns));
        }
        MarkStarted(now);
    }
    if (head_moves)
    {
        m_arrival.Cancel();
        ScheduleHead(now);
    }
}

LinkCounters
LinkDirection::Counters()
{
    const int64_t now = Now();
    MarkStarted(now);
    LinkCounters counters = m_counters;
    counters.n_bytes -= m_use.UnsentBytes(now);
    return counters;
}

std::vector<LinkSample>
LinkDirection::TakeSamples(bool cut)
{
    const int64_t now = Now();
    MarkStarted(now);
    return m_use.Take(now, cut);
}

void
LinkDirection::Place(Entry& entry, int64_t start_ns)
{
    entry.start_ns = start_ns;
    entry.end_ns = start_ns + TransmissionTime(entry.n_bytes, m_value.rate_bps);
    const auto jitter = static_cast<int64_t>(entry.jitter * static_cast<double>(m_value.jitter_ns));
    entry.arrival_ns = std::max(m_last_arrival_ns, entry.end_ns + m_value.delay_ns + jitter);
    m_free_ns = entry.end_ns;
    m_last_arrival_ns = entry.arrival_ns;
}

void
LinkDirection::MarkStarted(int64_t now_ns)
{
    while (m_first_waiting < m_entries.size() && m_entries[m_first_waiting].start_ns <= now_ns)
    {
        const Entry& entry = m_entries[m_first_waiting++];
        m_waiting_bytes -= entry.n_bytes;
        Begin(entry);
        m_use.Queue(entry.start_ns, m_waiting_bytes);
    }
}

void
LinkDirection::Begin(const Entry& entry)
{
    ++m_counters.packets;
    m_counters.n_bytes += entry.n_bytes;
    m_use.Send(entry.start_ns, entry.end_ns, entry.n_bytes);
}

void
LinkDirection::ScheduleHead(int64_t now_ns)
{
    const ns3::Time delay = ns3::NanoSeconds(m_entries.front().arrival_ns - now_ns);
    m_arrival = ns3::Simulator::Schedule(delay, &LinkDirection::Arrive, this);
}

void
LinkDirection::Arrive()
{
    const int64_t now = Now();
    MarkStarted(now);
    while (!m_entries.empty() && m_entries.front().arrival_ns <= now)
    {
        Entry entry = std::move(m_entries.front());
        m_entries.pop_front();
        --m_first_waiting;
        if (entry.stamp.passed == 0)
        {
            StampEmission(entry);
        }
        if (entry.lost)
        {
            ++m_counters.dropped_loss;
            m_use.Drop(now);
            continue;
        }
        entry.stamp.Arrived(now);
        m_receiver(std::move(entry.packet), entry.stamp);
    }
    if (!m_entries.empty() && !m_arrival.IsPending())
    {
        ScheduleHead(now);
    }
}

void
LinkDirection::StampEmission(Entry& entry)
{
    if (m_sent_ns.size() >= kMostFlows)
    {
        std::erase_if(m_sent_ns, [&entry](const auto& flow) { return flow.second <= entry.stamp.at_ns[0]; });
    }
    int64_t& sent = m_sent_ns[entry.stamp.flow];
    entry.stamp.at_ns[0] = std::max(entry.stamp.at_ns[0], sent);
    sent = entry.end_ns;
}

} // namespace cosim
