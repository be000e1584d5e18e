// SPDX-License-Identifier: GPL-2.0-only
//
// The cell as ns-3's devices see it: a way for packets between each UE and the router.
#pragma once

#include "link_device.h"
#include "network.h"
#include "nr/cell.h"
#include "packet_stamp.h"
#include "transmitter.h"

#include "ns3/event-id.h"
#include "ns3/ipv4-address.h"
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

/// Times of the cell are the run's. One event of ns-3 is pending, at the time of what the cell does next; an idle cell
/// has none.
///
/// A UE's packet counts as emitted when TCP hands it over: a modem's buffer lies below the reach of Linux's TCP small
/// queues, so what waits in RLC is the access network's.
class NrAccess
{
  public:
    /// `servers`: addresses in the order of the topology's paths. Throws std::invalid_argument on UEs that are not the
    /// topology's, on flows that name no bearer or path, and on what the cell cannot carry.
    NrAccess(const Topology& topology, const std::vector<ns3::Ipv4Address>& servers);
    ~NrAccess();
    NrAccess(const NrAccess&) = delete;
    NrAccess& operator=(const NrAccess&) = delete;

    /// Join the device of a UE and the router's device for it.
    void Join(std::size_t ue, LinkDevice& modem, LinkDevice& router, StampContext& stamps);

    /// The cell's number of a UE, background or not. Throws std::invalid_argument.
    int32_t Ue(const std::string& name) const;

    /// Change something about the cell, now.
    void Change(const std::function<void(nr::Cell& cell, int64_t now_ns)>& change);

    /// Of each UE with packets, up and down.
    std::vector<LinkCounters> Counters() const;

    /// See nr::Cell.
    std::vector<nr::RadioSample> TakeSamples(bool cut);

  private:
    /// One direction of a UE; `far`: the device at its end.
    struct Way final : Transmitter
    {
        Way(NrAccess& access, int32_t ue, bool up, const std::string& name);
        bool Enter(ns3::Ptr<ns3::Packet> packet, const PacketStamp& stamp) override;

        NrAccess& access;
        int32_t ue;
        bool up;
        LinkDevice* far{nullptr};
        LinkCounters counters;
    };

    /// A packet in the cell, at its handle.
    struct Kept
    {
        ns3::Ptr<ns3::Packet> packet;
        PacketStamp stamp;
        Way* way{nullptr};
    };

    struct Rule
    {
        int32_t bearer{0};
        ns3::Ipv4Address server; // only if `of_server`
        bool of_server{false};
        int64_t max_bytes{-1};
    };

    Rule RuleOf(const Flow& flow, const Topology& topology, const std::vector<ns3::Ipv4Address>& servers) const;
    int32_t BearerOf(const ns3::Packet& packet, bool up) const;
    bool Enter(Way& way, ns3::Ptr<ns3::Packet> packet, const PacketStamp& stamp);
    uint64_t Keep(Kept kept);
    Kept Take(uint64_t handle);
    void Run();
    void Deliver(const nr::Arrival& arrival);
    void Await();

    nr::Cell m_cell;
    std::unordered_map<std::string, int32_t> m_ues;
    int32_t m_last_bearer;
    std::vector<Rule> m_rules;
    std::deque<Way> m_ways; // of each UE: up, down
    std::vector<Kept> m_kept;
    std::vector<uint64_t> m_free; // handles
    ns3::EventId m_event;
    int64_t m_event_ns;
    bool m_running{false};
};

} // namespace cosim
