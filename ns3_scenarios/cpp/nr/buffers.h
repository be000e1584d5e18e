// SPDX-License-Identifier: GPL-2.0-only
//
// What waits above the MAC: the bearers of each UE with the stacks around them, or the traffic of a background UE.
#pragma once

#include "agenda.h"
#include "cell.h"
#include "config.h"
#include "harq.h"
#include "kpi.h"
#include "rlc.h"
#include "traffic.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace cosim::nr
{

class Buffers
{
  public:
    /// What the MAC does when there is something new to send.
    struct Mac
    {
        /// Uplink data comes to the RLC: the wait for resources that it joins, if any.
        std::function<std::shared_ptr<AccessCycle>(int64_t now_ns, int32_t ue)> join;
        std::function<void(int64_t now_ns, int32_t ue, bool up)> wake;
    };

    Buffers(const CellConfig& config, Agenda& agenda, RadioKpis& kpis, Mac mac);

    /// As of Cell.
    bool Enqueue(int64_t now_ns, int32_t ue, bool up, int32_t bearer, int64_t n_bytes, uint64_t handle);
    PacketBytes Account(int32_t ue, bool up) const;
    void SetTraffic(int64_t now_ns, int32_t ue, bool up, bool present, const TrafficConfig& traffic);
    std::vector<Arrival> TakeArrivals();
    std::vector<uint64_t> TakeDropped();

    /// Bytes that want to be sent, headers included, by bearer. Those of a background UE are in the least urgent one.
    const std::vector<int64_t>& Pending(int64_t now_ns, int32_t ue, bool up);

    /// Whether any does.
    bool Any(int64_t now_ns, int32_t ue, bool up);

    /// Bearers in order of priority.
    const std::vector<int32_t>& ByPriority() const
    {
        return m_by_priority;
    }

    /// Fill `room_bytes` of a TB by priority of the bearers (38.321 5.4.3.1, without prioritised bit rates); false if
    /// nothing went in.
    bool Fill(int64_t now_ns, TransportBlock& block, int64_t room_bytes);

    /// A TB was decoded.
    void Receive(int64_t now_ns, const TransportBlock& block);

    /// A TB was given up.
    void Lose(const TransportBlock& block);

  private:
    struct Direction
    {
        std::vector<std::unique_ptr<RlcBearer>> bearers;
        std::unique_ptr<TrafficSource> traffic;
        std::vector<int64_t> pending_bytes; // by bearer, as of the last look
        bool looked{false};                 // and still so
        std::vector<int64_t> stack_bytes;   // by bearer, on their way to the RLC
        int64_t awaited_ns{-1};             // next traffic
        PacketBytes account;
    };

    struct Ue
    {
        Direction up;
        Direction down;
    };

    struct Packet
    {
        int32_t ue;
        bool up;
        int32_t bearer;
        int64_t n_bytes;
        uint64_t handle;
    };

    Direction& Of(int32_t ue, bool up);
    void MakeBearers(int32_t ue);
    bool Push(int64_t now_ns, const Packet& packet);
    void Leave(int32_t ue, bool up, const RlcArrival& arrival);
    void GiveUp(int32_t ue, bool up, uint64_t handle, int64_t n_bytes);
    void TellQueue(int64_t now_ns, int32_t ue, bool up);
    void AwaitTraffic(int64_t now_ns, int32_t ue, bool up);

    const CellConfig& m_config;
    Agenda& m_agenda;
    RadioKpis& m_kpis;
    Mac m_mac;
    std::vector<int32_t> m_by_priority;
    std::vector<Ue> m_ues;
    std::vector<Arrival> m_arrivals;
    std::vector<uint64_t> m_dropped;
};

} // namespace cosim::nr
