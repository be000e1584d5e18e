// SPDX-License-Identifier: GPL-2.0-only
//
// One direction of a link: queue, serialisation, propagation, jitter and loss of packets that never overtake.
#pragma once

#include "link_use.h"
#include "network.h"
#include "packet_stamp.h"
#include "random_stream.h"
#include "transmitter.h"

#include "ns3/event-id.h"
#include "ns3/packet.h"
#include "ns3/ptr.h"

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <unordered_map>
#include <vector>

namespace cosim
{

/// Times when a packet starts and ends transmission and arrives are settled when it enters, so a packet costs one
/// event. A change of values reschedules the packets whose transmission has not begun; those being sent or on their
/// way keep their times.
///
/// A host's packet counts as emitted when this direction has sent the connection's previous one. Linux's TCP small
/// queues keep a segment in TCP until then, where ns-3's TCP hands over a whole window at once; when packets arrive does
/// not depend on it, only whether a connection's wait behind itself counts as transport or as the link's.
///
/// Jitter is an extra delay per packet, exponential with mean `jitter_ns`; arrival is never earlier than that of the
/// packet before, as under RLC AM (3GPP TS 38.322 5.2.3) or PDCP reordering (TS 38.323 5.2.2). Loss is Bernoulli and
/// happens after transmission: a lost packet has used its share of the rate.
class LinkDirection : public Transmitter
{
  public:
    using Receiver = std::function<void(ns3::Ptr<ns3::Packet>, const PacketStamp&)>;

    LinkDirection(std::string name, bool up, const Direction& value, uint64_t seed);
    ~LinkDirection() override;
    LinkDirection(const LinkDirection&) = delete;
    LinkDirection& operator=(const LinkDirection&) = delete;

    void SetReceiver(Receiver receiver);

    /// False if the queue has no room.
    bool Enter(ns3::Ptr<ns3::Packet> packet, const PacketStamp& stamp) override;

    void Set(const Direction& value);

    /// Lose the `segment`-th TCP segment with payload from now on, counted from 1.
    void Lose(int64_t segment);

    /// As of now.
    LinkCounters Counters();

    /// See LinkUse::Take.
    std::vector<LinkSample> TakeSamples(bool cut);

  private:
    struct Entry
    {
        ns3::Ptr<ns3::Packet> packet;
        PacketStamp stamp;
        int64_t n_bytes;
        int64_t start_ns;
        int64_t end_ns;
        int64_t arrival_ns;
        double jitter; // exponential, mean 1
        bool lost;
    };

    void Place(Entry& entry, int64_t start_ns);
    void MarkStarted(int64_t now_ns);
    void Begin(const Entry& entry);
    void ScheduleHead(int64_t now_ns);
    void Arrive();
    void StampEmission(Entry& entry);

    Direction m_value;
    RandomStream m_jitter;
    RandomStream m_loss;
    int64_t m_segments_to_loss{0}; // 0: none is to be lost
    Receiver m_receiver;
    std::deque<Entry> m_entries;  // in order of arrival: on their way, being sent, waiting
    std::size_t m_first_waiting{0};
    int64_t m_waiting_bytes{0};
    int64_t m_free_ns{0};         // end of the last transmission
    int64_t m_last_arrival_ns{0};
    ns3::EventId m_arrival;
    std::unordered_map<uint64_t, int64_t> m_sent_ns; // flow -> end of its latest transmission
    LinkCounters m_counters;
    LinkUse m_use;
};

} // namespace cosim
