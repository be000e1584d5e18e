// SPDX-License-Identifier: GPL-2.0-only
#include "packet_identity.h"

#include "random_stream.h"
#include "tcp_head.h"

#include <algorithm>
#include <utility>

namespace cosim
{

namespace
{

// Flows that have long been silent are forgotten: of so many none is heard of while as many others are.
constexpr std::size_t kMostFlows = 4096;

// What was sent again so many segments ago was acknowledged since.
constexpr std::size_t kMostAgain = 65536;

enum class Kind : uint64_t
{
    kOther,
    kAcknowledgement,
    kPayload,
    kAgain,
};

/// Whether a sequence number lies before another (RFC 9293 3.4).
bool
IsBefore(uint32_t one, uint32_t other)
{
    return static_cast<int32_t>(one - other) < 0;
}

} // namespace

uint64_t
PacketIdentity::Name(const ns3::Packet& packet)
{
    const TcpHead head(packet);
    const uint64_t connection = Mix(Mix(head.Addresses()) ^ (head.IsTcp() ? head.Ports() : 0));
    Flow& flow = FlowOf(connection);
    const auto name = [key = Mix(connection ^ flow.salt)](Kind kind, uint64_t number, uint64_t times) {
        return Mix(Mix(Mix(key ^ static_cast<uint64_t>(kind)) ^ number) ^ times);
    };
    if (!head.IsTcp())
    {
        return name(Kind::kOther, flow.others++, 0);
    }
    if (head.PayloadBytes() <= 0)
    {
        const uint64_t acknowledged = head.Acknowledgement();
        flow.repeats = acknowledged == flow.acknowledged ? flow.repeats + 1 : 0;
        flow.acknowledged = acknowledged;
        return name(Kind::kAcknowledgement, acknowledged, flow.repeats);
    }
    const uint32_t first = head.Sequence();
    if (flow.begun && IsBefore(first, flow.next))
    {
        const uint32_t place = first / flow.full;
        return name(Kind::kAgain, place, TimesAgain(flow, place));
    }
    flow.begun = true;
    const auto payload_bytes = static_cast<uint32_t>(head.PayloadBytes());
    flow.next = first + payload_bytes;
    flow.full = std::max(flow.full, payload_bytes);
    // The first segments may be small; places never go back when the first full one comes.
    const uint64_t place = std::max<uint64_t>(flow.place, first / flow.full);
    flow.beside = place == flow.place ? flow.beside + 1 : 0;
    flow.place = place;
    return name(Kind::kPayload, place, flow.beside);
}

PacketIdentity::Flow&
PacketIdentity::FlowOf(uint64_t connection)
{
    const auto known = m_flows.find(connection);
    if (known != m_flows.end())
    {
        return known->second;
    }
    if (m_flows.size() >= kMostFlows)
    {
        m_earlier = std::exchange(m_flows, {});
        ++m_rotations;
    }
    const auto earlier = m_earlier.find(connection);
    if (earlier != m_earlier.end())
    {
        return m_flows.emplace(connection, std::move(earlier->second)).first->second;
    }
    // One that was forgotten must not have its names again: what was lost would be lost each time that it is sent.
    return m_flows.emplace(connection, Flow{.salt = m_rotations}).first->second;
}

uint64_t
PacketIdentity::TimesAgain(Flow& flow, uint32_t place) const
{
    if (flow.again.size() >= kMostAgain)
    {
        std::erase_if(flow.again, [&flow](const auto& one) { return one.first + kMostAgain < flow.place; });
    }
    return ++flow.again[place];
}

} // namespace cosim
