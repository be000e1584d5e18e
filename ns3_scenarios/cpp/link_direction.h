// SPDX-License-Identifier: GPL-2.0-only
//
// One direction of a link: queue, transmission, propagation, jitter and loss of packets that never overtake.
#pragma once

#include "fq_codel_queue.h"
#include "link_use.h"
#include "loss_process.h"
#include "network.h"
#include "packet_identity.h"
#include "packet_stamp.h"
#include "random_stream.h"
#include "transmission.h"
#include "transmitter.h"

#include "ns3/event-id.h"
#include "ns3/packet.h"
#include "ns3/ptr.h"

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace cosim
{

/// Without FQ-CoDel, times when a packet starts and ends transmission and arrives are settled when it enters, so a packet
/// costs one event. A change of values reschedules the packets whose transmission has not begun; those being sent or on
/// their way keep their times. With FQ-CoDel the queue is asked for a packet each time one can be sent.
///
/// A host's packet counts as emitted when this direction has sent the connection's previous one. Linux's TCP small
/// queues keep a segment in TCP until then, where ns-3's TCP hands over a whole window at once; when packets arrive does
/// not depend on it, only whether a connection's wait behind itself counts as transport or as the link's.
///
/// Jitter is an extra delay, gamma-distributed with mean `jitter_ns` and shape `jitter_shape`: of each packet, or the
/// same for all that enter within a window of `jitter_hold_ns`, as behind one queue of other people's traffic. Arrival is
/// never earlier than that of the packet before, as under RLC AM (3GPP TS 38.322 5.2.3) or PDCP reordering (TS 38.323
/// 5.2.2). Loss happens after transmission: a lost packet has used its share of the rate. A packet's draws of jitter and
/// of loss by itself follow from what it is (PacketIdentity), whatever the values and whatever came between; a packet that
/// the queue drops has none. Only what moves from one queue to another, as the values change from or to FQ-CoDel, draws
/// anew.
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
        Transmission sent;
        int64_t arrival_ns;
        double jitter; // uniform
        bool lost;
    };

    /// What the times of a packet depend on of the packet before.
    struct Before
    {
        Transmission sent;
        int64_t arrival_ns{0};
    };

    void Admit(ns3::Ptr<ns3::Packet> packet, const PacketStamp& stamp, int64_t now_ns, int64_t ready_ns);
    double JitterDraw(int64_t now_ns, uint64_t name) const;
    void Place(Entry& entry, int64_t ready_ns);
    void MarkStarted(int64_t now_ns);
    void Begin(const Entry& entry);
    void ScheduleHead(int64_t now_ns);
    void Arrive();
    void StampEmission(Entry& entry);
    void Pull(int64_t now_ns, int64_t ready_ns);
    void NoteQueue(int64_t now_ns);
    void Requeue(int64_t now_ns, int64_t ready_ns);

    Direction m_value;
    PacketIdentity m_identity;
    RandomStream m_jitter;
    RandomStream m_held_jitter;
    LossProcess m_loss;
    Receiver m_receiver;
    std::unique_ptr<FqCodelQueue> m_fq_codel; // null: what waits is in m_entries
    ns3::EventId m_pull;
    std::deque<Entry> m_entries; // in order of arrival: on their way, being sent, waiting
    std::size_t m_first_waiting{0};
    int64_t m_waiting_bytes{0};
    Before m_begun;   // the last packet whose transmission has begun
    Before m_settled; // the last of m_entries
    ns3::EventId m_arrival;
    std::unordered_map<uint64_t, int64_t> m_sent_ns; // flow -> end of its latest transmission
    LinkCounters m_counters;
    LinkUse m_use;
};

} // namespace cosim
