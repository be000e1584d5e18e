// SPDX-License-Identifier: GPL-2.0-only
#include "link_direction.h"

#include "gamma_quantile.h"

#include "ns3/nstime.h"
#include "ns3/simulator.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <tuple>
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

/// What the names of a direction's random streams begin with.
std::string
Streams(const std::string& link, bool up)
{
    return link + (up ? "/up/" : "/down/");
}

bool
SameQueue(const FqCodel& a, const FqCodel& b)
{
    const auto values = [](const FqCodel& value) {
        return std::tie(value.target_ns, value.interval_ns, value.flows, value.quantum_bytes, value.packets);
    };
    return values(a) == values(b);
}

std::unique_ptr<FqCodelQueue>
MakeQueue(const Direction& value)
{
    return value.fq_codel.flows == 0 ? nullptr : std::make_unique<FqCodelQueue>(value.fq_codel);
}

} // namespace

LinkDirection::LinkDirection(std::string name, bool up, const Direction& value, uint64_t seed)
    : m_value(value),
      m_jitter(seed, Streams(name, up) + "jitter"),
      m_held_jitter(seed, Streams(name, up) + "held-jitter"),
      m_loss(seed, Streams(name, up)),
      m_fq_codel(MakeQueue(value))
{
    m_counters.link = std::move(name);
    m_counters.up = up;
}

LinkDirection::~LinkDirection()
{
    m_arrival.Cancel();
    m_pull.Cancel();
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
    const int64_t ready = EarliestStart(m_value, now);
    MarkStarted(now);
    if (m_fq_codel)
    {
        m_fq_codel->Enqueue(std::move(packet), stamp);
        Pull(now, ready);
        return true;
    }
    const bool waits = NextStart(m_value, m_settled.sent, ready) > now;
    if (waits && m_value.queue_bytes >= 0 && m_waiting_bytes + packet->GetSize() > m_value.queue_bytes)
    {
        ++m_counters.dropped_queue;
        m_use.Drop(now);
        return false;
    }
    Admit(std::move(packet), stamp, now, ready);
    return true;
}

void
LinkDirection::Lose(int64_t segment)
{
    m_loss.Lose(segment);
}

void
LinkDirection::Set(const Direction& value)
{
    const int64_t now = Now();
    MarkStarted(now);
    if (m_pull.IsPending() && ns3::Simulator::GetDelayLeft(m_pull).IsZero())
    {
        Pull(now, now); // due at this instant: by the values so far
    }
    const bool same_queue = SameQueue(m_value.fq_codel, value.fq_codel);
    if (KeepsOpportunities(value.opportunities))
    {
        Opportunities kept = std::move(m_value.opportunities);
        m_value = value;
        m_value.opportunities = std::move(kept);
    }
    else
    {
        if (!SameOpportunities(m_value.opportunities, value.opportunities))
        {
            m_begun.sent.opportunity = -1;
        }
        m_value = value;
    }
    m_settled = m_begun;
    if (m_first_waiting == 0)
    {
        m_arrival.Cancel();
    }
    const int64_t ready = EarliestStart(m_value, now);
    if (same_queue)
    {
        for (std::size_t i = m_first_waiting; i < m_entries.size(); ++i)
        {
            Place(m_entries[i], ready);
        }
        MarkStarted(now);
    }
    else
    {
        Requeue(now, ready);
    }
    if (!m_entries.empty() && !m_arrival.IsPending())
    {
        ScheduleHead(now);
    }
    if (m_fq_codel)
    {
        m_pull.Cancel();
        Pull(now, ready);
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
LinkDirection::Admit(ns3::Ptr<ns3::Packet> packet, const PacketStamp& stamp, int64_t now_ns, int64_t ready_ns)
{
    const auto n_bytes = static_cast<int64_t>(packet->GetSize());
    const uint64_t name = m_identity.Name(*packet);
    const double jitter = JitterDraw(now_ns, name);
    const bool lost = m_loss.Next(m_value, *packet, name);
    Entry& entry = m_entries.emplace_back(Entry{std::move(packet), stamp, n_bytes, {}, 0, jitter, lost});
    Place(entry, ready_ns);
    if (entry.sent.start_ns > now_ns)
    {
        m_waiting_bytes += n_bytes;
        m_counters.max_queue_bytes = std::max(m_counters.max_queue_bytes, m_waiting_bytes);
        m_use.Queue(now_ns, m_waiting_bytes);
    }
    else
    {
        m_first_waiting = m_entries.size();
        Begin(entry);
    }
    if (!m_arrival.IsPending())
    {
        ScheduleHead(now_ns);
    }
}

/// Windows begin where the first draw puts them: two links are not to change in step with each other or with clients.
double
LinkDirection::JitterDraw(int64_t now_ns, uint64_t name) const
{
    if (m_value.jitter_hold_ns == 0)
    {
        return m_jitter.UniformOf(name);
    }
    const double offset_ns = m_held_jitter.UniformOf(0) * static_cast<double>(m_value.jitter_hold_ns);
    const int64_t window = (now_ns + static_cast<int64_t>(offset_ns)) / m_value.jitter_hold_ns;
    return m_held_jitter.UniformOf(1 + static_cast<uint64_t>(window));
}

void
LinkDirection::Place(Entry& entry, int64_t ready_ns)
{
    entry.sent = Transmit(m_value, m_settled.sent, ready_ns, entry.n_bytes);
    int64_t jitter_ns = 0;
    if (m_value.jitter_ns > 0)
    {
        const double times_mean = GammaQuantile(entry.jitter, m_value.jitter_shape);
        jitter_ns = static_cast<int64_t>(times_mean * static_cast<double>(m_value.jitter_ns));
    }
    entry.arrival_ns = std::max(m_settled.arrival_ns, entry.sent.end_ns + m_value.delay_ns + jitter_ns);
    m_settled = {entry.sent, entry.arrival_ns};
}

void
LinkDirection::MarkStarted(int64_t now_ns)
{
    while (m_first_waiting < m_entries.size() && m_entries[m_first_waiting].sent.start_ns <= now_ns)
    {
        const Entry& entry = m_entries[m_first_waiting++];
        m_waiting_bytes -= entry.n_bytes;
        Begin(entry);
        m_use.Queue(entry.sent.start_ns, m_waiting_bytes);
    }
}

void
LinkDirection::Begin(const Entry& entry)
{
    ++m_counters.packets;
    m_counters.n_bytes += entry.n_bytes;
    m_use.Send(entry.sent.start_ns, entry.sent.end_ns, entry.n_bytes);
    m_begun = {entry.sent, entry.arrival_ns};
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
    sent = entry.sent.end_ns;
}

/// Send what FQ-CoDel gives while the next packet can start now, and come back when one can.
void
LinkDirection::Pull(int64_t now_ns, int64_t ready_ns)
{
    while (!m_fq_codel->Empty() && NextStart(m_value, m_begun.sent, ready_ns) <= now_ns)
    {
        if (std::optional<FqCodelQueue::Waiting> next = m_fq_codel->Dequeue())
        {
            Admit(std::move(next->packet), next->stamp, now_ns, ready_ns);
        }
    }
    NoteQueue(now_ns);
    if (!m_fq_codel->Empty() && !m_pull.IsPending())
    {
        const int64_t start_ns = NextStart(m_value, m_begun.sent, ready_ns);
        m_pull = ns3::Simulator::Schedule(ns3::NanoSeconds(start_ns - now_ns), [this, start_ns] {
            Pull(start_ns, start_ns);
        });
    }
}

void
LinkDirection::NoteQueue(int64_t now_ns)
{
    for (int64_t drops = m_fq_codel->TakeDrops(); drops > 0; --drops)
    {
        ++m_counters.dropped_queue;
        m_use.Drop(now_ns);
    }
    m_waiting_bytes = m_fq_codel->Bytes();
    m_counters.max_queue_bytes = std::max(m_counters.max_queue_bytes, m_waiting_bytes);
    m_use.Queue(now_ns, m_waiting_bytes);
}

/// Move what waits to the queue that the values ask for. CoDel may drop what it gives up, as at any departure.
void
LinkDirection::Requeue(int64_t now_ns, int64_t ready_ns)
{
    std::vector<FqCodelQueue::Waiting> waiting;
    if (m_fq_codel)
    {
        m_pull.Cancel();
        while (std::optional<FqCodelQueue::Waiting> next = m_fq_codel->Dequeue())
        {
            waiting.push_back(std::move(*next));
        }
        NoteQueue(now_ns);
    }
    const auto first = m_entries.begin() + static_cast<std::ptrdiff_t>(m_first_waiting);
    std::transform(first, m_entries.end(), std::back_inserter(waiting), [](Entry& entry) {
        return FqCodelQueue::Waiting{std::move(entry.packet), entry.stamp};
    });
    m_entries.erase(first, m_entries.end());
    m_waiting_bytes = 0;
    m_fq_codel = MakeQueue(m_value);
    for (FqCodelQueue::Waiting& one : waiting)
    {
        if (m_fq_codel)
        {
            m_fq_codel->Enqueue(std::move(one.packet), one.stamp);
        }
        else
        {
            Admit(std::move(one.packet), one.stamp, now_ns, ready_ns);
        }
    }
}

} // namespace cosim
