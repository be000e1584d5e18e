// SPDX-License-Identifier: GPL-2.0-only
#include "nr_access.h"

#include "epoch.h"
#include "nr/agenda.h"

#include "ns3/nstime.h"
#include "ns3/simulator.h"

#include <algorithm>
#include <array>
#include <stdexcept>
#include <utility>

namespace cosim
{

using namespace ns3;

namespace
{

void
Require(bool condition, const std::string& text)
{
    if (!condition)
    {
        throw std::invalid_argument(text);
    }
}

int64_t
Sum(const nr::AccessParts& parts)
{
    return parts.sr_wait_ns + parts.grant_wait_ns + parts.queue_ns + parts.air_ns + parts.harq_ns +
           parts.rlc_recovery_ns + parts.pdcp_reorder_ns + parts.processing_ns;
}

/// The address of an IPv4 packet (RFC 791 3.1) that is not the UE's.
Ipv4Address
ServerOf(const Packet& packet, bool up)
{
    std::array<uint8_t, 20> head{};
    packet.CopyData(head.data(), head.size());
    return Ipv4Address::Deserialize(head.data() + (up ? 16 : 12));
}

} // namespace

NrAccess::Way::Way(NrAccess& of, int32_t number, bool upwards, const std::string& name)
    : access(of),
      ue(number),
      up(upwards)
{
    counters.link = "access/" + name;
    counters.up = upwards;
}

bool
NrAccess::Way::Enter(Ptr<Packet> packet, const PacketStamp& stamp)
{
    return access.Enter(*this, std::move(packet), stamp);
}

NrAccess::NrAccess(const Topology& topology, const std::vector<Ipv4Address>& servers)
    : m_cell(topology.cell),
      m_last_bearer(static_cast<int32_t>(topology.cell.bearers.size()) - 1),
      m_event_ns(nr::kNever)
{
    const std::vector<nr::UeConfig>& ues = topology.cell.ues;
    Require(ues.size() >= topology.ues.size(), "the cell has fewer UEs than the topology");
    for (std::size_t i = 0; i < ues.size(); ++i)
    {
        const bool background = i >= topology.ues.size();
        Require(ues[i].background == background && (background || ues[i].name == topology.ues[i]),
                "UE " + ues[i].name + " of the cell: first come those of the topology in its order, then background ones");
        Require(m_ues.emplace(ues[i].name, static_cast<int32_t>(i)).second, "two UEs are named " + ues[i].name);
        if (!background)
        {
            m_ways.emplace_back(*this, static_cast<int32_t>(i), true, ues[i].name);
            m_ways.emplace_back(*this, static_cast<int32_t>(i), false, ues[i].name);
        }
    }
    for (const Flow& flow : topology.flows)
    {
        m_rules.push_back(RuleOf(flow, topology, servers));
    }
}

NrAccess::~NrAccess()
{
    m_event.Cancel();
}

void
NrAccess::Join(std::size_t ue, LinkDevice& modem, LinkDevice& router, StampContext& stamps)
{
    Way& up = m_ways.at(2 * ue);
    Way& down = m_ways.at(2 * ue + 1);
    modem.Connect(up, stamps, true);
    router.Connect(down, stamps, false);
    up.far = &router;
    down.far = &modem;
}

int32_t
NrAccess::Ue(const std::string& name) const
{
    const auto found = m_ues.find(name);
    Require(found != m_ues.end(), "no UE of the cell is named " + name);
    return found->second;
}

void
NrAccess::Change(const std::function<void(nr::Cell& cell, int64_t now_ns)>& change)
{
    change(m_cell, EpochNow());
    Await();
}

std::vector<LinkCounters>
NrAccess::Counters() const
{
    std::vector<LinkCounters> counters;
    for (const Way& way : m_ways)
    {
        counters.push_back(way.counters);
    }
    return counters;
}

std::vector<nr::RadioSample>
NrAccess::TakeSamples(bool cut)
{
    std::vector<nr::RadioSample> samples = m_cell.TakeSamples(EpochNow(), cut);
    for (const nr::RadioSample& sample : samples)
    {
        const std::size_t place = 2 * static_cast<std::size_t>(sample.ue) + (sample.up ? 0 : 1);
        if (sample.ue >= 0 && place < m_ways.size())
        {
            int64_t& most = m_ways[place].counters.max_queue_bytes;
            most = std::max(most, sample.max_queue_bytes);
        }
    }
    return samples;
}

NrAccess::Rule
NrAccess::RuleOf(const Flow& flow, const Topology& topology, const std::vector<Ipv4Address>& servers) const
{
    const auto& bearers = topology.cell.bearers;
    const auto bearer = std::find_if(bearers.begin(), bearers.end(), [&flow](const nr::BearerConfig& candidate) {
        return candidate.name == flow.bearer;
    });
    Require(bearer != bearers.end(), "no bearer is named " + flow.bearer);
    Rule rule;
    rule.bearer = static_cast<int32_t>(bearer - bearers.begin());
    rule.max_bytes = flow.max_bytes;
    if (!flow.path.empty())
    {
        const auto path = std::find_if(topology.paths.begin(), topology.paths.end(), [&flow](const Path& candidate) {
            return candidate.name == flow.path;
        });
        Require(path != topology.paths.end(), "no path is named " + flow.path);
        rule.server = servers.at(static_cast<std::size_t>(path - topology.paths.begin()));
        rule.of_server = true;
    }
    return rule;
}

int32_t
NrAccess::BearerOf(const Packet& packet, bool up) const
{
    if (m_rules.empty())
    {
        return m_last_bearer;
    }
    const Ipv4Address server = ServerOf(packet, up);
    for (const Rule& rule : m_rules)
    {
        const bool fits = rule.max_bytes < 0 || static_cast<int64_t>(packet.GetSize()) <= rule.max_bytes;
        if (fits && (!rule.of_server || rule.server == server))
        {
            return rule.bearer;
        }
    }
    return m_last_bearer;
}

bool
NrAccess::Enter(Way& way, Ptr<Packet> packet, const PacketStamp& stamp)
{
    const int32_t bearer = BearerOf(*packet, way.up);
    const auto n_bytes = static_cast<int64_t>(packet->GetSize());
    const uint64_t handle = Keep({std::move(packet), stamp, &way});
    const bool taken = m_cell.Enqueue(EpochNow(), way.ue, way.up, bearer, n_bytes, handle);
    if (!taken)
    {
        Take(handle);
        ++way.counters.dropped_queue;
    }
    Await();
    return taken;
}

uint64_t
NrAccess::Keep(Kept kept)
{
    if (m_free.empty())
    {
        m_kept.push_back(std::move(kept));
        return m_kept.size() - 1;
    }
    const uint64_t handle = m_free.back();
    m_free.pop_back();
    m_kept[handle] = std::move(kept);
    return handle;
}

NrAccess::Kept
NrAccess::Take(uint64_t handle)
{
    m_free.push_back(handle);
    return std::exchange(m_kept[handle], {});
}

void
NrAccess::Run()
{
    m_event_ns = nr::kNever;
    m_running = true; // what arrives may send at once
    m_cell.Run(EpochNow());
    for (const uint64_t handle : m_cell.TakeDropped())
    {
        ++Take(handle).way->counters.dropped_loss;
    }
    for (const nr::Arrival& arrival : m_cell.TakeArrivals())
    {
        Deliver(arrival);
    }
    m_running = false;
    Await();
}

void
NrAccess::Deliver(const nr::Arrival& arrival)
{
    Kept kept = Take(arrival.handle);
    const int64_t now_ns = Simulator::Now().GetNanoSeconds();
    const int64_t came_ns = kept.stamp.at_ns[static_cast<std::size_t>(kept.stamp.passed)];
    if (arrival.t_ns != EpochNow() || Sum(arrival.parts) != now_ns - came_ns)
    {
        throw std::logic_error("a packet that took " + std::to_string(now_ns - came_ns) + " ns through the cell has parts of " +
                               std::to_string(Sum(arrival.parts)) + " ns and is dated " + std::to_string(arrival.t_ns) +
                               " ns at " + std::to_string(EpochNow()) + " ns");
    }
    ++kept.way->counters.packets;
    kept.way->counters.n_bytes += kept.packet->GetSize();
    kept.stamp.access = arrival.parts;
    kept.stamp.Arrived(now_ns);
    kept.way->far->Receive(std::move(kept.packet), kept.stamp);
}

/// Have the event at the time of what the cell does next.
void
NrAccess::Await()
{
    const int64_t next_ns = m_cell.NextNs();
    if (m_running || next_ns == m_event_ns)
    {
        return;
    }
    m_event.Cancel();
    m_event_ns = next_ns;
    if (next_ns != nr::kNever)
    {
        const int64_t wait_ns = std::max<int64_t>(next_ns - EpochNow(), 0);
        m_event = Simulator::Schedule(NanoSeconds(wait_ns), &NrAccess::Run, this);
    }
}

} // namespace cosim
